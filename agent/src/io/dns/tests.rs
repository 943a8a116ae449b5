//! Questions and answers byte by byte, and a server of the test's own.

use super::wire::{Said, answers, question};
use super::*;

fn config(text: &str) -> Config {
    Config::parse(text)
}

#[test]
fn the_systems_file_says_whom_to_ask_and_for_what() {
    let found = config(
        "# x\nnameserver 10.0.0.1\nnameserver fe80::1%eth0\nsearch barn.example. example\noptions ndots:2 rotate\n",
    );
    assert_eq!(
        found.servers,
        ["10.0.0.1:53".parse().expect("an address"), "[fe80::1]:53".parse().expect("an address")]
    );
    assert_eq!(found.names("plc"), ["plc.barn.example.", "plc.example.", "plc."]);
    assert_eq!(found.names("_m._tcp.plc"), ["_m._tcp.plc.", "_m._tcp.plc.barn.example.", "_m._tcp.plc.example."]);
    assert_eq!(found.names("plc.example."), ["plc.example."]);
    assert_eq!(config("").servers, ["127.0.0.1:53".parse().expect("an address")]);
}

/// An answer to a question: the header, the question back, and these records, whose name points to the question's.
fn answer(question: &[u8], flags: u16, records: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let mut out = question[..2].to_vec();
    for number in [flags, 1, records.len() as u16, 0, 0] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    out.extend_from_slice(&question[12..question.len() - 11]);
    for (kind, data) in records {
        out.extend_from_slice(&[0xc0, 12]);
        out.extend_from_slice(&kind.to_be_bytes());
        out.extend_from_slice(&[0, 1, 0, 0, 0, 60]);
        out.extend_from_slice(&(data.len() as u16).to_be_bytes());
        out.extend_from_slice(data);
    }
    out
}

fn srv(port: u16) -> (u16, Vec<u8>) {
    let mut data = vec![0, 1, 0, 2];
    data.extend_from_slice(&port.to_be_bytes());
    // `plc` and then the question's own name from its second label on.
    data.extend_from_slice(b"\x03plc");
    data.extend_from_slice(&[0xc0, 15]);
    (33, data)
}

#[test]
fn records_of_each_kind_are_read() {
    for (record, kind, data, host, port) in [
        (Record::A, 1, vec![10, 0, 0, 1], "10.0.0.1", None),
        (Record::Aaaa, 28, [&[0u8; 15][..], &[1]].concat(), "::1", None),
        (Record::Mx, 15, b"\x00\x0a\x04mail\x00".to_vec(), "mail.", None),
        (Record::Ns, 2, b"\x02ns\xc0\x0c".to_vec(), "ns._m.barn.", None),
        (Record::Srv, 33, srv(9100).1, "plc.barn.", Some(9100)),
    ] {
        let asked = question(7, "_m.barn", record).expect("a name");
        // A record of another kind on the way is passed over.
        let message = answer(&asked, 0x8180, &[(5, b"\x01x\x00".to_vec()), (kind, data)]);
        let expected = Answer { kind: record, host: host.to_owned(), port };
        assert_eq!(answers(7, &asked, &message, record), Said::Records(vec![expected]), "{record:?}");
    }
}

#[test]
fn what_is_no_answer_is_told_apart() {
    let asked = question(7, "_m.barn.", Record::A).expect("a name");
    let whole = answer(&asked, 0x8180, &[(1, vec![10, 0, 0, 1])]);
    assert_eq!(answers(8, &asked, &whole, Record::A), Said::Other);
    assert_eq!(answers(7, &asked, &answer(&asked, 0x0180, &[]), Record::A), Said::Other);
    assert_eq!(answers(7, &asked, &answer(&asked, 0x8183, &[]), Record::A), Said::NoName);
    assert_eq!(answers(7, &asked, &answer(&asked, 0x8380, &[]), Record::A), Said::Cut);
    assert!(matches!(answers(7, &asked, &answer(&asked, 0x8182, &[]), Record::A), Said::Failed(_)));
    for cut in 0..whole.len() {
        let said = answers(7, &asked, &whole[..cut], Record::A);
        assert!(matches!(said, Said::Other | Said::Failed(_)), "{cut}: {said:?}");
    }
    // A name that points to itself.
    let mut looping = whole.clone();
    let place = asked.len() - 11;
    looping[place] = 0xc0;
    looping[place + 1] = place as u8;
    assert!(matches!(answers(7, &asked, &looping, Record::A), Said::Failed(_)));
    for bad in ["", ".", "a..b", &"x".repeat(64), &"x.".repeat(200)] {
        assert_eq!(question(7, bad, Record::A), None, "{bad}");
    }
}

/// Any byte may be wrong: there is always an answer, and never a panic.
#[test]
fn damaged_answers_do_no_harm() {
    let asked = question(7, "_m._tcp.barn.example", Record::Srv).expect("a name");
    let whole = answer(&asked, 0x8180, &[srv(1), srv(2)]);
    for at in 0..whole.len() {
        for byte in [0, 1, 0x3f, 0x40, 0xc0, 0xff] {
            let mut message = whole.clone();
            message[at] = byte;
            answers(7, &asked, &message, Record::Srv);
        }
    }
}

#[test]
fn a_server_is_asked_and_a_silent_one_passed_over() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let server = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
        let closed = UdpSocket::bind("127.0.0.1:0").await.and_then(|socket| socket.local_addr()).expect("a free port");
        let address = server.local_addr().expect("it is bound");
        let config = Config { servers: vec![closed, address], search: vec!["barn".to_owned()], ndots: 1 };
        let serve = async {
            let mut buf = [0; 512];
            for _ in 0..2 {
                let (read, from) = server.recv_from(&mut buf).await.expect("a question");
                let asked = &buf[..read];
                let is_whole = asked.windows(5).any(|part| part == b"\x04barn");
                let flags = if is_whole { 0x8180 } else { 0x8183 };
                let records = if is_whole { vec![srv(9100)] } else { Vec::new() };
                server.send_to(&answer(asked, flags, &records), from).await.expect("it is sent");
            }
        };
        let (found, ()) = tokio::join!(ask(&config, "_m.b", Record::Srv), serve);
        let found = found.expect("an answer");
        assert_eq!((found.len(), found[0].port), (1, Some(9100)));
    });
}
