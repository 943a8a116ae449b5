//! A tiny HTTP client: one request a connection, plain text, every step bounded in time.
//!
//! It is not ureq on purpose, so that a test does not check a library with itself. Bodies come by `Content-Length`,
//! in chunks, or until the end of the connection.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long each read or write may take.
pub const TIMEOUT: Duration = Duration::from_secs(30);

/// The most bytes of a head, and of a body.
pub const HEAD_BYTES_MAX: u64 = 64 << 10;
/// The most bytes of a body.
pub const BODY_BYTES_MAX: u64 = 256 << 20;

/// What a server answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// Returns the body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Returns a header's value; names in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }
}

/// Gets a path, query included.
///
/// # Errors
/// As the connection fails, or what comes back is no HTTP.
pub fn get(address: SocketAddr, path: &str) -> io::Result<Answer> {
    request(address, "GET", path, &[], b"")
}

/// Posts a body.
///
/// # Errors
/// As [`get`].
pub fn post(address: SocketAddr, path: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<Answer> {
    request(address, "POST", path, headers, body)
}

/// Sends one request and returns the answer.
///
/// # Errors
/// As [`get`].
pub fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    if method != "GET" {
        head += &format!("Content-Length: {}\r\n", body.len());
    }
    stream.write_all((head + "\r\n").as_bytes())?;
    stream.write_all(body)?;
    let mut reader = BufReader::new(stream);
    let (line, headers) = read_head(&mut reader)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let status =
        line.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(|| odd("a status line", &line))?;
    let body = if method == "HEAD" { Vec::new() } else { read_body(&mut reader, &headers, true)? };
    Ok(Answer { status, headers, body })
}

/// A first line and the headers, names in lower case.
pub(crate) type Head = (String, Vec<(String, String)>);

/// Reads a first line and headers; `None` when the connection ended before it.
pub(crate) fn read_head(reader: &mut impl BufRead) -> io::Result<Option<Head>> {
    let mut reader = reader.take(HEAD_BYTES_MAX);
    let mut first = String::new();
    if reader.read_line(&mut first)? == 0 {
        return Ok(None);
    }
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end();
        if line.is_empty() {
            return Ok(Some((first.trim_end().to_owned(), headers)));
        }
        let (name, value) = line.split_once(':').ok_or_else(|| odd("a header", line))?;
        headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
    }
}

/// Reads a body as the headers announce it; without a word about it, until the end if `to_end`, else nothing.
pub(crate) fn read_body(reader: &mut impl BufRead, headers: &[(String, String)], to_end: bool) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if find(headers, "transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        while read_chunk(reader, &mut body)? {}
    } else if let Some(length) = find(headers, "content-length") {
        let length: u64 = length.parse().map_err(|_| odd("a length", length))?;
        if length > BODY_BYTES_MAX {
            return Err(odd("a shorter body", &length.to_string()));
        }
        reader.take(length).read_to_end(&mut body)?;
        if (body.len() as u64) < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    } else if to_end {
        reader.take(BODY_BYTES_MAX).read_to_end(&mut body)?;
    }
    Ok(body)
}

/// Appends one chunk; `false` after the last.
fn read_chunk(reader: &mut impl BufRead, body: &mut Vec<u8>) -> io::Result<bool> {
    let mut line = String::new();
    reader.take(HEAD_BYTES_MAX).read_line(&mut line)?;
    let size = line.split(';').next().unwrap_or("").trim();
    let size = u64::from_str_radix(size, 16).map_err(|_| odd("a chunk size", &line))?;
    if size + body.len() as u64 > BODY_BYTES_MAX {
        return Err(odd("a shorter body", &line));
    }
    let start = body.len();
    reader.take(size).read_to_end(body)?;
    if ((body.len() - start) as u64) < size {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    // The line after the chunk; after the last one, trailers up to an empty line.
    loop {
        line.clear();
        let n = reader.take(HEAD_BYTES_MAX).read_line(&mut line)?;
        if size > 0 || n == 0 || line.trim_end().is_empty() {
            return Ok(size > 0);
        }
    }
}

pub(crate) fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
}

fn odd(expected: &str, found: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("expected {expected}, found {found:?}"))
}

/// Returns a text with everything but plain letters and digits escaped, for a query.
pub fn escape(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(byte as char),
            _ => out += &format!("%{byte:02X}"),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn check(raw: &'static str, status: u16, body: &str) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
        let address = listener.local_addr().expect("bound");
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            let head = read_head(&mut BufReader::new(&stream)).expect("a request").expect("not empty");
            stream.write_all(raw.as_bytes()).expect("read by the client");
            head.0
        });
        let answer = get(address, "/a?b").expect("an answer");
        assert_eq!((answer.status, answer.text().as_str()), (status, body));
        assert_eq!(server.join().expect("no panic"), "GET /a?b HTTP/1.1");
    }

    #[test]
    fn bodies_come_in_three_ways() {
        check("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcd", 200, "abc");
        check("HTTP/1.1 404 Not Found\r\n\r\nuntil the end", 404, "until the end");
        check(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=1\r\nabc\r\nA\r\n0123456789\r\n0\r\nT: 1\r\n\r\n",
            200,
            "abc0123456789",
        );
    }

    #[test]
    fn queries_are_escaped() {
        assert_eq!(escape("up{a=\"b c\"}"), "up%7Ba%3D%22b%20c%22%7D");
    }
}
