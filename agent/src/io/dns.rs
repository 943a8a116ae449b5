//! Asks name servers for records: a small resolver for `dns_sd_configs`, which the system's own cannot serve.
//!
//! Servers, search list and options are `/etc/resolv.conf`'s, read at each question. A question goes to each server in
//! turn by UDP, over TCP where the answer was cut; no more than `SECONDS_MAX` in all. A name that does not exist has
//! no records, which is an answer; no answer at all is an error. Nothing is cached: the interval bounds the rate.
//!
//! Source: RFC 1035, RFC 2782; Prometheus 3, `discovery/dns/dns.go`.

pub(super) mod name;
mod wire;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use crate::config::Record;
use crate::os::clock::monotonic_ns;

pub use wire::Answer;

/// Where servers are named.
const CONFIG: &str = "/etc/resolv.conf";
/// The port of name servers.
const PORT: u16 = 53;
/// How long one server may take, in seconds.
const SERVER_SECONDS_MAX: u64 = 3;
/// How long a question may take with all servers and names, in seconds.
const SECONDS_MAX: u64 = 15;
/// The most servers that are asked.
const SERVERS_MAX: usize = 3;
/// The most domains that are tried.
const SEARCH_MAX: usize = 6;

/// What `resolv.conf` says.
#[derive(Debug, PartialEq, Eq)]
struct Config {
    servers: Vec<SocketAddr>,
    search: Vec<String>,
    ndots: usize,
}

/// Returns the records of a name, of one kind.
///
/// # Errors
/// When no server gave an answer.
pub async fn resolve(name: &str, record: Record) -> Result<Vec<Answer>, String> {
    let config = Config::parse(&std::fs::read_to_string(CONFIG).unwrap_or_default());
    ask(&config, name, record).await
}

async fn ask(config: &Config, name: &str, record: Record) -> Result<Vec<Answer>, String> {
    let all = async {
        for name in config.names(name) {
            if let Some(found) = ask_servers(config, &name, record).await? {
                return Ok(found);
            }
        }
        Ok(Vec::new())
    };
    let limit = Duration::from_secs(SECONDS_MAX);
    tokio::time::timeout(limit, all).await.unwrap_or_else(|_| Err("no answer in time".to_owned()))
}

/// Returns the records; `None` when there is no such name.
async fn ask_servers(config: &Config, name: &str, record: Record) -> Result<Option<Vec<Answer>>, String> {
    let mut last = "there is no name server".to_owned();
    for server in &config.servers {
        let limit = Duration::from_secs(SERVER_SECONDS_MAX);
        match tokio::time::timeout(limit, ask_server(*server, name, record)).await {
            Ok(Ok(found)) => return Ok(found),
            Ok(Err(what)) => last = format!("{server}: {what}"),
            Err(_) => last = format!("{server}: no answer in time"),
        }
    }
    Err(last)
}

async fn ask_server(server: SocketAddr, name: &str, record: Record) -> Result<Option<Vec<Answer>>, String> {
    // Together with the port that the system chooses, this is what a forger would have to guess.
    let id = (monotonic_ns() ^ (monotonic_ns() >> 16)) as u16;
    let question = wire::question(id, name, record).ok_or("this is no name")?;
    let said = |error: std::io::Error| error.to_string();
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await.map_err(said)?;
    socket.connect(server).await.map_err(said)?;
    socket.send(&question).await.map_err(said)?;
    let mut buf = vec![0; wire::UDP_BYTES_MAX];
    loop {
        let read = socket.recv(&mut buf).await.map_err(said)?;
        let message = buf.get(..read).unwrap_or_default();
        match wire::answers(id, &question, message, record) {
            // Somebody else's, or a late one: the right one may still come.
            wire::Said::Other => {}
            wire::Said::Cut => return ask_by_tcp(server, id, &question, record).await,
            said => return said.settle(),
        }
    }
}

async fn ask_by_tcp(
    server: SocketAddr,
    id: u16,
    question: &[u8],
    record: Record,
) -> Result<Option<Vec<Answer>>, String> {
    let said = |error: std::io::Error| error.to_string();
    let mut stream = TcpStream::connect(server).await.map_err(said)?;
    let length = (question.len() as u16).to_be_bytes();
    stream.write_all(&[&length[..], question].concat()).await.map_err(said)?;
    let mut message = vec![0; usize::from(stream.read_u16().await.map_err(said)?)];
    stream.read_exact(&mut message).await.map_err(said)?;
    wire::answers(id, question, &message, record).settle()
}

impl Config {
    fn parse(text: &str) -> Config {
        let mut config = Config { servers: Vec::new(), search: Vec::new(), ndots: 1 };
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    let address = words.next().and_then(|word| word.split('%').next()?.parse::<IpAddr>().ok());
                    config.servers.extend(address.map(|address| SocketAddr::new(address, PORT)));
                }
                Some("search" | "domain") => config.search = words.map(str::to_owned).take(SEARCH_MAX).collect(),
                Some("options") => {
                    let ndots = words.find_map(|word| word.strip_prefix("ndots:")?.parse().ok());
                    config.ndots = ndots.unwrap_or(config.ndots);
                }
                _ => {}
            }
        }
        config.servers.truncate(SERVERS_MAX);
        if config.servers.is_empty() {
            config.servers.push(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), PORT));
        }
        config
    }

    /// Returns the names that are tried for one, with their final dots.
    fn names(&self, name: &str) -> Vec<String> {
        if name.ends_with('.') {
            return vec![name.to_owned()];
        }
        let whole = [name, "."].concat();
        let mut names: Vec<String> =
            self.search.iter().map(|domain| [name, ".", domain.trim_matches('.'), "."].concat()).collect();
        let at = if name.matches('.').count() >= self.ndots { 0 } else { names.len() };
        names.insert(at, whole);
        names
    }
}

#[cfg(test)]
mod tests;
