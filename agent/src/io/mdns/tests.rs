//! Browsing on the loopback interface, with responders of the test's own, good ones and others.

use std::net::UdpSocket as StdSocket;
use std::thread;

use super::*;

fn name(out: &mut Vec<u8>, labels: &[&str]) {
    for label in labels {
        out.push(label.len() as u8);
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
}

fn record(out: &mut Vec<u8>, owner: &[&str], kind: u16, ttl: u8, data: &[u8]) {
    name(out, owner);
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&[0x80, 1, 0, 0, 0, ttl]);
    out.extend_from_slice(&(data.len() as u16).to_be_bytes());
    out.extend_from_slice(data);
}

fn named(labels: &[&str]) -> Vec<u8> {
    let mut out = Vec::new();
    name(&mut out, labels);
    out
}

fn service(port: u16, host: &[&str]) -> Vec<u8> {
    [&[0, 0, 0, 0][..], &port.to_be_bytes(), &named(host)].concat()
}

fn packet(records: &[Vec<u8>]) -> Vec<u8> {
    let mut out = vec![0, 0, 0x84, 0, 0, 0];
    out.extend_from_slice(&(records.len() as u16).to_be_bytes());
    out.extend_from_slice(&[0; 4]);
    records.iter().for_each(|record| out.extend_from_slice(record));
    out
}

fn made(owner: &[&str], kind: u16, ttl: u8, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    record(&mut out, owner, kind, ttl, data);
    out
}

const SERVICE: [&str; 3] = ["_prometheus-http", "_tcp", "local"];

fn instance(label: &str) -> Vec<&str> {
    [&[label][..], &SERVICE].concat()
}

/// A responder that listens to the group on the loopback interface and answers each question with the next packets.
fn responder(mut rounds: Vec<Vec<Vec<u8>>>) -> (SocketAddrV4, thread::JoinHandle<Vec<Vec<u8>>>) {
    let socket = StdSocket::bind("0.0.0.0:0").expect("a port");
    socket.join_multicast_v4(GROUP.ip(), &Ipv4Addr::LOCALHOST).expect("loopback takes part");
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a limit");
    let port = socket.local_addr().expect("it is bound").port();
    let asked = thread::spawn(move || {
        let (mut asked, mut buf) = (Vec::new(), [0; 2_000]);
        rounds.reverse();
        while let Some(packets) = rounds.pop() {
            let (read, from) = socket.recv_from(&mut buf).expect("a question");
            asked.push(buf[..read].to_vec());
            for packet in packets {
                socket.send_to(&packet, from).expect("an answer");
            }
        }
        asked
    });
    (SocketAddrV4::new(*GROUP.ip(), port), asked)
}

fn browse_at(group: SocketAddrV4) -> Group {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(browse_in(group, "_prometheus-http._tcp", Ipv4Addr::LOCALHOST)).expect("loopback takes packets")
}

#[test]
fn instances_are_found_with_what_they_say_of_themselves() {
    let whole = packet(&[
        made(&SERVICE, wire::PTR, 120, &named(&instance("Barn 2.0"))),
        made(&instance("Barn 2.0"), wire::SRV, 120, &service(9100, &["barn", "local"])),
        made(&instance("Barn 2.0"), wire::TXT, 120, b"\x0cpath=/custom\x06Line=3\x05noise"),
        made(&["barn", "local"], wire::A, 120, &[192, 0, 2, 7]),
    ]);
    // Another says where it is only when it is asked; a third has just gone.
    let shy = packet(&[
        made(&SERVICE, wire::PTR, 120, &named(&instance("mill"))),
        made(&SERVICE, wire::PTR, 0, &named(&instance("gone"))),
    ]);
    let later = packet(&[made(&instance("mill"), wire::SRV, 120, &service(9200, &["mill", "local"]))]);
    let broken = whole[..whole.len() - 5].to_vec();
    let rounds = vec![vec![b"junk".to_vec(), broken, whole, shy], vec![later]];
    let (group, asked) = responder(rounds);
    let found = browse_at(group);
    let shown: Vec<String> =
        found.targets.iter().map(|labels| labels.iter().map(|(n, v)| format!("{n}={v};")).collect()).collect();
    assert_eq!(
        shown,
        [
            "__address__=192.0.2.7:9100;__meta_mdns_host=barn.local;__meta_mdns_instance=Barn 2.0;__meta_mdns_port=9100;\
             __meta_mdns_service=_prometheus-http._tcp;__meta_mdns_txt_line=3;__meta_mdns_txt_path=/custom;\
             __metrics_path__=/custom;",
            "__address__=mill.local:9200;__meta_mdns_host=mill.local;__meta_mdns_instance=mill;__meta_mdns_port=9200;\
             __meta_mdns_service=_prometheus-http._tcp;",
        ]
    );
    let asked = asked.join().expect("it answered");
    assert!(asked[0].ends_with(b"\x10_prometheus-http\x04_tcp\x05local\x00\x00\x0c\x80\x01"), "{:?}", asked[0]);
    assert!(asked[1].windows(5).any(|part| part == b"\x04mill"), "{:?}", asked[1]);
}

#[test]
fn nobody_is_an_answer_too() {
    let (group, _asked) = responder(vec![vec![]]);
    assert_eq!(browse_at(group).targets, []);
}

/// Packets of anybody: bytes changed, cut, and names that point at themselves.
#[test]
fn strange_packets_are_bounded_and_harmless() {
    let good = packet(&[
        made(&SERVICE, wire::PTR, 120, &named(&instance("barn"))),
        made(&instance("barn"), wire::SRV, 120, &service(9100, &["barn", "local"])),
        made(&instance("barn"), wire::TXT, 120, b"\x05path=\xff"),
    ]);
    let mut seed = 7u64;
    for turn in 0..20_000 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut packet = good.clone();
        let at = (seed >> 33) as usize % packet.len();
        packet[at] = (seed >> 24) as u8;
        packet.truncate(if turn % 3 == 0 { at } else { packet.len() });
        let mut heard = Heard::default();
        heard.take(&packet);
        assert!(
            heard.count <= 3 && heard.group("_prometheus-http._tcp.local", "_prometheus-http._tcp").targets.len() <= 3
        );
    }
    let mut looping = packet(&[]);
    looping[7] = 1;
    looping.extend_from_slice(&[0xc0, 12, 0, 12, 0, 1, 0, 0, 0, 9, 0, 2, 0xc0, 12]);
    assert!(wire::records(&looping).is_empty());
    let many: Vec<Vec<u8>> = (0..900u32).map(|n| made(&["x", "local"], wire::A, 9, &n.to_be_bytes())).collect();
    let mut heard = Heard::default();
    (0..20).for_each(|_| heard.take(&packet(&many)));
    assert_eq!(heard.count, 900);
}
