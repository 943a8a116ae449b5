//! Connections to those who are asked, and where each leads: one that stays open is used again for the same.
//!
//! A connection that was used before may have been closed by the other side while nobody looked. Where not a byte of
//! an answer comes over it, the same is asked once more over a new one, as Go does: a GET may be asked twice.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::answer::{Head, read_head};
use super::url::Url;
use super::{proxy_authorization, worded};
use crate::io::tls::TlsClient;

/// Bytes both ways, whatever they travel over.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// An open connection over which nothing is on its way.
pub struct Connection {
    pub(super) stream: Box<dyn Duplex>,
    way: Way,
}

/// Where a connection leads, and how.
#[derive(Debug, Clone)]
pub(super) struct Way {
    host: String,
    port: u16,
    secure: Option<Secure>,
}

/// What is laid over a connection, and who is at its end.
#[derive(Debug, Clone)]
struct Secure {
    host: String,
    /// What a proxy is asked first, where it goes through one.
    tunnel: Option<String>,
    tls: Arc<TlsClient>,
}

impl Way {
    /// Returns the way to what a URL names, through a proxy where there is one.
    pub fn of(url: &Url, proxy: Option<&Url>, tls: &Arc<TlsClient>) -> Way {
        let next = proxy.unwrap_or(url);
        let tunnel = proxy.map(|proxy| {
            let to = format!(
                "{}:{}",
                if url.host.contains(':') { format!("[{}]", url.host) } else { url.host.clone() },
                url.port
            );
            let login = proxy.login.as_deref().map(proxy_authorization).unwrap_or_default();
            format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n{login}\r\n")
        });
        let secure = url.is_https.then(|| Secure { host: url.host.clone(), tunnel, tls: tls.clone() });
        Way { host: next.host.clone(), port: next.port, secure }
    }
}

impl PartialEq for Way {
    fn eq(&self, other: &Way) -> bool {
        let secure = match (&self.secure, &other.secure) {
            (Some(a), Some(b)) => Arc::ptr_eq(&a.tls, &b.tls) && (&a.host, &a.tunnel) == (&b.host, &b.tunnel),
            (None, None) => true,
            _ => false,
        };
        secure && (&self.host, self.port) == (&other.host, other.port)
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
    let stream = dial(&way.host, way.port).await?;
    match &way.secure {
        Some(secure) => shake_hands(stream, secure).await,
        None => Ok(Box::new(stream)),
    }
}

/// Has a proxy pass on what follows, where there is one, and lays TLS over the connection.
#[cfg(feature = "tls")]
async fn shake_hands(mut stream: TcpStream, secure: &Secure) -> Result<Box<dyn Duplex>, String> {
    if let Some(request) = &secure.tunnel {
        stream.write_all(request.as_bytes()).await.map_err(|error| worded(&error))?;
        let mut rest = Vec::new();
        let head = read_head(&mut stream, &mut rest).await?;
        // Who speaks before it is asked is no TLS server.
        if head.status != 200 || !rest.is_empty() {
            return Err(head.reason);
        }
    }
    let name = secure.tls.server_name(&secure.host)?;
    let connector = tokio_rustls::TlsConnector::from(secure.tls.config()?);
    let stream = connector.connect(name, stream).await.map_err(|error| worded(&error))?;
    Ok(Box::new(stream))
}

#[cfg(not(feature = "tls"))]
async fn shake_hands(_stream: TcpStream, _secure: &Secure) -> Result<Box<dyn Duplex>, String> {
    Err(crate::io::tls::ABSENT.to_owned())
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
