//! Connections to those who are asked, and where each leads: one that stays open is used again for the same.
//!
//! A connection that was used before may have been closed by the other side while nobody looked. Where not a byte of
//! an answer comes over it, the same is asked once more over a new one, as Go does: a GET may be asked twice.

use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::answer::{Head, read_head};
use super::url::Url;
use super::worded;

/// Bytes both ways, whatever they travel over.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// An open connection over which nothing is on its way.
pub struct Connection {
    pub(super) stream: Box<dyn Duplex>,
    way: Way,
}

/// Where a connection leads, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Way {
    host: String,
    port: u16,
}

impl Way {
    /// Returns the way to what a URL names, through a proxy where there is one.
    pub fn of(url: &Url, proxy: Option<&Url>) -> Way {
        let next = proxy.unwrap_or(url);
        Way { host: next.host.clone(), port: next.port }
    }
}

/// What was heard: the head of an answer, what has come behind it, and over what the rest comes.
pub(super) struct Heard {
    pub connection: Connection,
    pub head: Head,
    pub rest: Vec<u8>,
}

/// Sends a request, over a connection that is open already if it leads there.
///
/// # Errors
/// What went wrong, as Go would word it.
pub(super) async fn ask(open: Option<Connection>, way: &Way, request: &str) -> Result<Heard, String> {
    if let Some(connection) = open.filter(|open| open.way == *way) {
        let mut rest = Vec::new();
        match heard(connection, request, &mut rest).await {
            Ok((connection, head)) => return Ok(Heard { connection, head, rest }),
            Err(_) if rest.is_empty() => {}
            Err(what) => return Err(what),
        }
    }
    let stream = connect(way).await?;
    let mut rest = Vec::new();
    let (connection, head) = heard(Connection { stream, way: way.clone() }, request, &mut rest).await?;
    Ok(Heard { connection, head, rest })
}

async fn heard(mut connection: Connection, request: &str, rest: &mut Vec<u8>) -> Result<(Connection, Head), String> {
    connection.stream.write_all(request.as_bytes()).await.map_err(|error| worded(&error))?;
    let head = read_head(&mut connection.stream, rest).await?;
    Ok((connection, head))
}

/// Connects to a host; its name is looked up beside the runtime.
async fn connect(way: &Way) -> Result<Box<dyn Duplex>, String> {
    Ok(Box::new(dial(&way.host, way.port).await?))
}

async fn dial(host: &str, port: u16) -> Result<TcpStream, String> {
    if let Ok(address) = host.parse() {
        return dial_address(SocketAddr::new(address, port)).await;
    }
    let looked_up = tokio::net::lookup_host((host, port)).await;
    let addresses = looked_up.map_err(|_| format!("dial tcp: lookup {host}: no such host"))?;
    let mut last = format!("dial tcp: lookup {host}: no such host");
    for address in addresses {
        match dial_address(address).await {
            Ok(stream) => return Ok(stream),
            Err(what) => last = what,
        }
    }
    Err(last)
}

async fn dial_address(address: SocketAddr) -> Result<TcpStream, String> {
    let stream = TcpStream::connect(address).await;
    let stream = stream.map_err(|error| format!("dial tcp {address}: connect: {}", worded(&error)))?;
    // What is asked goes out at once. Without this it only takes longer.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}
