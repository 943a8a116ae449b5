//! Where a job's targets come from: `static_configs`, `file_sd_configs`, `http_sd_configs`, `dns_sd_configs`; and
//! `mdns_sd_configs`, which Prometheus has not.
//!
//! ```text
//! static_configs: [{targets: ['plc:9100'], labels: {line: '1'}}]
//! file_sd_configs: [{files: [targets/*.json], refresh_interval: 1m}]
//! ```
//! Other discoveries of Prometheus's are known by name: each is a warning that says how its targets get here all the
//! same. Nothing is discovered here; files and names are checked as far as their spelling goes.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use model::duration::DisplayMs;
use model::{Labels, LabelsBuilder};
use targets::Group;
use targets::limits::TARGETS_MAX;
use yaml::{Errors, Map, Node};

use super::http::HttpUrl;
use super::http_client::HttpClient;
use super::limits::{DISCOVERIES_MAX, INTERVAL_MS_MAX};
use super::raw::{at, items, within};

const FILE_REFRESH_MS: u64 = 300_000;
const HTTP_REFRESH_MS: u64 = 60_000;
const DNS_REFRESH_MS: u64 = 30_000;
const REFRESH_MS_MIN: u64 = 1_000;
const MDNS_SERVICE: &str = "_prometheus-http._tcp";
const MDNS_REFRESH_MS: u64 = 60_000;
/// Everybody in the network hears each question.
const MDNS_REFRESH_MS_MIN: u64 = 5_000;

/// Discoveries that only Prometheus has.
const UNSERVED: [&str; 29] = [
    "aws_sd_configs",
    "azure_sd_configs",
    "consul_sd_configs",
    "digitalocean_sd_configs",
    "docker_sd_configs",
    "dockerswarm_sd_configs",
    "ec2_sd_configs",
    "eureka_sd_configs",
    "gce_sd_configs",
    "hetzner_sd_configs",
    "ionos_sd_configs",
    "kubernetes_sd_configs",
    "kuma_sd_configs",
    "lightsail_sd_configs",
    "linode_sd_configs",
    "marathon_sd_configs",
    "nerve_sd_configs",
    "nomad_sd_configs",
    "oci_sd_configs",
    "openstack_sd_configs",
    "outscale_sd_configs",
    "ovhcloud_sd_configs",
    "puppetdb_sd_configs",
    "scaleway_sd_configs",
    "serverset_sd_configs",
    "stackit_sd_configs",
    "triton_sd_configs",
    "uyuni_sd_configs",
    "vultr_sd_configs",
];

const INSTEAD: &str = "write its targets to a file and name that under file_sd_configs, or serve them as JSON and name \
                       the address under http_sd_configs";

/// Where the targets of one job come from.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Discovery {
    /// Named here.
    pub fixed: Vec<Group>,
    /// In files that are read again and again.
    pub files: Vec<FileSd>,
    /// In answers of other programs.
    pub https: Vec<HttpSd>,
    /// In the answers of name servers.
    pub names: Vec<DnsSd>,
    /// In what neighbours say of themselves.
    pub neighbours: Vec<MdnsSd>,
}

/// Targets that answer a question to everybody in the local network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MdnsSd {
    /// Which service is asked for, such as `_prometheus-http._tcp`.
    pub service: String,
    /// The address of the interface that is asked through; 0.0.0.0: the system's choice.
    pub interface: Ipv4Addr,
    /// How often, in milliseconds.
    pub refresh_ms: u64,
}

/// Targets in files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSd {
    /// Paths whose last part may have a `*`.
    pub files: Vec<PathBuf>,
    /// How often they are read although they look unchanged, in milliseconds.
    pub refresh_ms: u64,
}

/// Targets in another program's answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpSd {
    /// Whom to ask.
    pub url: HttpUrl,
    /// How often, in milliseconds.
    pub refresh_ms: u64,
    /// How.
    pub client: HttpClient,
}

/// Targets in the answers of name servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsSd {
    /// What is asked for.
    pub names: Vec<String>,
    /// Which records.
    pub record: Record,
    /// The port of every target; of no use with SRV records, which have one.
    pub port: Option<u16>,
    /// How often, in milliseconds.
    pub refresh_ms: u64,
}

/// A kind of record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record {
    /// Hosts with ports.
    Srv,
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Hosts that take mail.
    Mx,
    /// Name servers.
    Ns,
}

impl Discovery {
    /// Reads the keys that stand among those of a job.
    pub(super) fn read(map: &mut Map, base: &Path, errors: &mut Errors, warnings: &mut Errors) -> Discovery {
        let found = Discovery {
            fixed: static_groups(items(map, "static_configs", TARGETS_MAX, errors), errors),
            files: each(map, "file_sd_configs", errors, |node, errors| file_sd(node, base, errors)),
            https: each(map, "http_sd_configs", errors, |node, errors| http_sd(node, base, errors, warnings)),
            names: each(map, "dns_sd_configs", errors, dns_sd),
            neighbours: each(map, "mdns_sd_configs", errors, mdns_sd),
        };
        map.known_but_unserved(&UNSERVED, INSTEAD, warnings);
        found
    }
}

fn each<T>(
    map: &mut Map,
    key: &'static str,
    errors: &mut Errors,
    mut read: impl FnMut(&Node, &mut Errors) -> Option<T>,
) -> Vec<T> {
    let mut found = Vec::new();
    for node in items(map, key, DISCOVERIES_MAX, errors) {
        match node.is_null() {
            true => node.complain(["empty or null section in ", key].concat(), "", errors),
            false => found.extend(read(&node, errors)),
        }
    }
    found
}

fn static_groups(nodes: Vec<Node>, errors: &mut Errors) -> Vec<Group> {
    let mut groups = Vec::new();
    for (index, node) in nodes.iter().enumerate() {
        if node.is_null() {
            node.complain("empty or null section in static_configs", "", errors);
            continue;
        }
        let mut map = node.map(errors);
        let targets = map.list("targets", errors);
        let labels = map.get("labels").map_or_else(Labels::empty, |node| labels(&node, errors));
        map.finish(errors);
        let targets: Vec<String> = targets.iter().filter_map(|target| address(target, errors)).collect();
        groups.push(Group::of(index.to_string(), &targets, labels));
    }
    groups
}

fn address(node: &Node, errors: &mut Errors) -> Option<String> {
    let address = node.str(errors)?;
    if address.contains('/') {
        node.complain(["\"", &address, "\" is not a valid hostname"].concat(), "host:port", errors);
    }
    Some(address)
}

/// Reads labels that targets share.
pub(super) fn labels(node: &Node, errors: &mut Errors) -> Labels {
    let mut builder = LabelsBuilder::new();
    for (name, value) in node.pairs(errors) {
        if name.is_empty() {
            node.complain("\"\" is not a valid label name", "", errors);
        } else if let Err(error) = builder.set(&name, &value) {
            node.complain(error.to_string(), "", errors);
        }
    }
    builder.finish()
}

fn file_sd(node: &Node, base: &Path, errors: &mut Errors) -> Option<FileSd> {
    let mut map = node.map(errors);
    let patterns = map.list("files", errors);
    let refresh = at(&mut map, "refresh_interval", errors, Node::duration_ms);
    map.finish(errors);
    if patterns.is_empty() {
        let what = "file service discovery config must contain at least one path name";
        node.complain(what, "", errors);
    }
    let mut files = Vec::new();
    for pattern in patterns {
        let Some(path) = pattern.str(errors) else { continue };
        if !is_file_pattern(&path) {
            let what = ["path name \"", &path, "\" is not valid for file discovery"].concat();
            pattern.complain(what, "a path that ends in .json, .yml or .yaml, with at most one *", errors);
        }
        files.push(base.join(path));
    }
    Some(FileSd {
        files,
        refresh_ms: within(refresh, REFRESH_MS_MIN..=INTERVAL_MS_MAX, FILE_REFRESH_MS, DisplayMs, errors),
    })
}

/// The peer's pattern: `^[^*]*(\*[^/]*)?\.(json|yml|yaml|JSON|YML|YAML)$`.
fn is_file_pattern(path: &str) -> bool {
    let Some((stem, end)) = path.rsplit_once('.') else { return false };
    let star = stem.find('*').map(|at| &stem[at..]);
    ["json", "yml", "yaml", "JSON", "YML", "YAML"].contains(&end) && star.is_none_or(|rest| !rest.contains('/'))
}

fn http_sd(node: &Node, base: &Path, errors: &mut Errors, warnings: &mut Errors) -> Option<HttpSd> {
    let mut map = node.map(errors);
    let url = at(&mut map, "url", errors, Node::str);
    let refresh = at(&mut map, "refresh_interval", errors, Node::duration_ms);
    let client = HttpClient::read(&mut map, base, errors, warnings);
    map.finish(errors);
    let Some(url) = url.filter(|url| !url.value.is_empty()) else {
        node.complain("URL is missing", "http://host:port/path", errors);
        return None;
    };
    let is_http = ["http://", "https://"].iter().any(|scheme| url.value.starts_with(scheme));
    let parsed = HttpUrl::parse(&url.value);
    match &parsed {
        None if !is_http => url.complain("URL scheme must be 'http' or 'https'", "", errors),
        None => url.complain("host is missing in URL", "http://host:port/path", errors),
        Some(_) => {}
    }
    let refresh_ms = within(refresh, REFRESH_MS_MIN..=INTERVAL_MS_MAX, HTTP_REFRESH_MS, DisplayMs, errors);
    Some(HttpSd { url: parsed?, refresh_ms, client })
}

fn dns_sd(node: &Node, errors: &mut Errors) -> Option<DnsSd> {
    let mut map = node.map(errors);
    let names = map.strings("names", errors);
    let kind = at(&mut map, "type", errors, Node::str);
    let port = at(&mut map, "port", errors, Node::u64);
    let refresh = at(&mut map, "refresh_interval", errors, Node::duration_ms);
    map.finish(errors);
    if names.is_empty() {
        node.complain("DNS-SD config must contain at least one SRV record name", "", errors);
    }
    let record = match kind.as_ref().map(|at| at.value.to_ascii_uppercase()).as_deref() {
        None | Some("SRV") => Record::Srv,
        Some("A") => Record::A,
        Some("AAAA") => Record::Aaaa,
        Some("MX") => Record::Mx,
        Some("NS") => Record::Ns,
        Some(other) => {
            let what = ["invalid DNS-SD records type ", other].concat();
            kind.as_ref()?.complain(what, "SRV, A, AAAA, MX or NS", errors);
            return None;
        }
    };
    if record != Record::Srv && port.as_ref().is_none_or(|port| port.value == 0) {
        let what = "a port is required in DNS-SD configs for all record types except SRV";
        node.complain(what, "", errors);
    }
    let port = within(port, 0..=u64::from(u16::MAX), 0, |n| n, errors);
    Some(DnsSd {
        names,
        record,
        port: u16::try_from(port).ok().filter(|port| *port != 0),
        refresh_ms: within(refresh, REFRESH_MS_MIN..=INTERVAL_MS_MAX, DNS_REFRESH_MS, DisplayMs, errors),
    })
}

fn mdns_sd(node: &Node, errors: &mut Errors) -> Option<MdnsSd> {
    let mut map = node.map(errors);
    let service = at(&mut map, "service", errors, Node::str);
    let interface = map.get("interface_address");
    let refresh = at(&mut map, "refresh_interval", errors, Node::duration_ms);
    map.finish(errors);
    let is_service = |text: &str| {
        let (name, protocol) = text.split_once('.').unwrap_or((text, ""));
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let is_name =
            name.strip_prefix('_').is_some_and(|name| (1..=15).contains(&name.len()) && name.chars().all(plain));
        is_name && matches!(protocol, "_tcp" | "_udp")
    };
    if let Some(wrong) = service.as_ref().filter(|at| !is_service(&at.value)) {
        wrong.complain("this is no service", "a name and a protocol such as _prometheus-http._tcp", errors);
    }
    let expected = "the IPv4 address of an interface of this board";
    let interface = interface.and_then(|node| node.parsed(expected, |text| text.parse().ok(), errors));
    Some(MdnsSd {
        service: service.map_or_else(|| MDNS_SERVICE.to_owned(), |at| at.value),
        interface: interface.unwrap_or(Ipv4Addr::UNSPECIFIED),
        refresh_ms: within(refresh, MDNS_REFRESH_MS_MIN..=INTERVAL_MS_MAX, MDNS_REFRESH_MS, DisplayMs, errors),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_targets_are_checked_as_the_peer_does() {
        for good in ["a.json", "b/*.yml", "b/x*y.yaml", "*.YML", "single/file.yml"] {
            assert!(is_file_pattern(good), "{good}");
        }
        for bad in ["a", "a.txt", "*/a.yml", "a*/b.json", "json"] {
            assert!(!is_file_pattern(bad), "{bad}");
        }
    }
}
