//! Asks the local network who offers a service: multicast DNS, for boards that find each other without a server.
//!
//! One question a round, sent to 224.0.0.251:5353 from a port of our own through one interface; so answers come back to us
//! alone (a "one-shot" query), nothing listens in between, and no other responder on the board is in the way. What is
//! heard within a second and a half is all there is: PTR names instances, SRV where they are, A their addresses, TXT
//! what else is known, of which `path` is the path of the metrics. What somebody did not say at once is asked for once.
//! Everything is bounded: packets, bytes, records, instances. Anybody on the network may answer, so what is found is
//! worth as much as the network.
//!
//! Source: RFC 6762, sections 5.1 and 6.7; RFC 6763.

mod wire;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use model::Labels;
use targets::Group;
use tokio::net::UdpSocket;

use wire::{Data, question, records};

/// Where responders listen.
const GROUP: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(224, 0, 0, 251), 5353);
/// How long is listened after a question, in milliseconds.
const LISTEN_MS: u64 = 1_500;
/// The most packets of one round.
const PACKETS_MAX: usize = 512;
/// The longest packet, in bytes.
const PACKET_BYTES_MAX: usize = 9_000;
/// The most records that are kept of one round.
const RECORDS_MAX: usize = 8_192;
/// The most names that are asked for besides.
const MISSING_MAX: usize = 64;

/// What was heard: records by their names, in lower case.
#[derive(Debug, Default)]
struct Heard {
    records: BTreeMap<(String, u16), Vec<Data>>,
    count: usize,
}

/// Returns the instances of a service, such as `_prometheus-http._tcp`, that answer through the interface of an address
/// (0.0.0.0: the system's choice).
///
/// # Errors
/// When nothing can be sent. No answer is nobody there.
pub async fn browse(service: &str, interface: Ipv4Addr) -> Result<Group, String> {
    browse_in(GROUP, service, interface).await
}

async fn browse_in(group: SocketAddrV4, service: &str, interface: Ipv4Addr) -> Result<Group, String> {
    let name = format!("{}.local", service.trim_end_matches('.').trim_end_matches(".local"));
    // A socket of that address sends through that interface.
    let said = |error: std::io::Error| format!("asking for {name}: {error}");
    let socket = UdpSocket::bind((interface, 0)).await.map_err(said)?;
    let mut heard = Heard::default();
    let first = question(&[(name.clone(), wire::PTR)]).ok_or_else(|| format!("{name} is no name"))?;
    socket.send_to(&first, group).await.map_err(said)?;
    heard.listen(&socket).await;
    let missing = heard.missing(&name);
    if let Some(more) = question(&missing).filter(|_| !missing.is_empty()) {
        socket.send_to(&more, group).await.map_err(said)?;
        heard.listen(&socket).await;
    }
    Ok(heard.group(&name, service))
}

impl Heard {
    async fn listen(&mut self, socket: &UdpSocket) {
        let mut packet = vec![0; PACKET_BYTES_MAX];
        let all = async {
            for _ in 0..PACKETS_MAX {
                let Ok((read, _)) = socket.recv_from(&mut packet).await else { continue };
                self.take(packet.get(..read).unwrap_or_default());
            }
        };
        // What comes later comes with the next round.
        let _ = tokio::time::timeout(Duration::from_millis(LISTEN_MS), all).await;
    }

    fn take(&mut self, packet: &[u8]) {
        for (name, data) in records(packet) {
            if self.count >= RECORDS_MAX {
                return;
            }
            let known = self.records.entry((name.to_ascii_lowercase(), data.kind())).or_default();
            if !known.contains(&data) {
                known.push(data);
                self.count += 1;
            }
        }
    }

    fn of(&self, name: &str, kind: u16) -> impl Iterator<Item = &Data> {
        self.records.get(&(name.to_ascii_lowercase(), kind)).into_iter().flatten()
    }

    fn instances(&self, name: &str) -> impl Iterator<Item = &str> {
        self.of(name, wire::PTR).filter_map(|data| match data {
            Data::Name(instance) => Some(instance.as_str()),
            _ => None,
        })
    }

    /// Returns what must be asked for to know where instances are.
    fn missing(&self, name: &str) -> Vec<(String, u16)> {
        let mut missing = Vec::new();
        for instance in self.instances(name) {
            match self.of(instance, wire::SRV).next() {
                Some(Data::Service { host, .. }) if self.of(host, wire::A).next().is_none() => {
                    missing.push((host.clone(), wire::A));
                }
                Some(_) => {}
                None => missing.extend([(instance.to_owned(), wire::SRV), (instance.to_owned(), wire::TXT)]),
            }
        }
        missing.truncate(MISSING_MAX);
        missing
    }

    fn group(&self, name: &str, service: &str) -> Group {
        let mut group = Group { source: format!("mdns/{service}"), ..Group::default() };
        for instance in self.instances(name) {
            for found in self.of(instance, wire::SRV) {
                if let Data::Service { host, port } = found {
                    group.targets.push(self.target(instance, service, host, *port));
                }
            }
        }
        group.targets.sort();
        group.targets.dedup();
        group.targets.truncate(targets::limits::TARGETS_MAX);
        group
    }

    fn target(&self, instance: &str, service: &str, host: &str, port: u16) -> Labels {
        let address = self.of(host, wire::A).find_map(|data| match data {
            Data::Address(address) => Some(address.to_string()),
            _ => None,
        });
        // Without an address the system's resolver may know the name.
        let address = address.unwrap_or_else(|| host.to_owned());
        let mut pairs = vec![
            ("__address__".to_owned(), format!("{address}:{port}")),
            ("__meta_mdns_instance".to_owned(), label_of(instance, service)),
            ("__meta_mdns_service".to_owned(), service.to_owned()),
            ("__meta_mdns_host".to_owned(), host.to_owned()),
            ("__meta_mdns_port".to_owned(), port.to_string()),
        ];
        for text in self.of(instance, wire::TXT) {
            let Data::Texts(texts) = text else { continue };
            for (key, value) in texts.iter().filter_map(|text| text.split_once('=')) {
                if key.eq_ignore_ascii_case("path") && value.starts_with('/') {
                    pairs.push(("__metrics_path__".to_owned(), value.to_owned()));
                }
                let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
                let name: String = key.chars().map(plain).collect();
                pairs.push((format!("__meta_mdns_txt_{name}"), value.to_owned()));
            }
        }
        // Of a key that comes twice the first counts.
        let mut first: BTreeMap<&str, &str> = BTreeMap::new();
        pairs.iter().for_each(|(name, value)| _ = first.entry(name).or_insert(value));
        let fits = |text: &str| text.len() <= model::limits::LABEL_BYTES_MAX;
        Labels::from_pairs(first.into_iter().filter(|(name, value)| fits(name) && fits(value)))
    }
}

/// Returns what an instance is called before its service: `barn` of `barn._prometheus-http._tcp.local`.
fn label_of(instance: &str, service: &str) -> String {
    let end = instance.to_ascii_lowercase().find(&format!(".{}", service.to_ascii_lowercase()));
    instance.get(..end.unwrap_or(instance.len())).unwrap_or(instance).to_owned()
}

#[cfg(test)]
mod tests;
