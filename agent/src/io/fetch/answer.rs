//! Reading an HTTP answer: its head, then its body by length, in chunks or up to the end, and what is compressed.
//!
//! Every length that is claimed is checked before it is believed, every byte is counted before it is kept. Interim
//! answers (1xx) are passed over.

use std::io::{self, Read};

use targets::{Failure, Reason};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::{about, worded};

/// The longest head, in bytes.
const HEAD_BYTES_MAX: usize = 32 << 10;
/// The most headers.
const HEADERS_MAX: usize = 100;
/// How much is asked for at once, in bytes.
const READ_BYTES: usize = 8 << 10;
/// The most that is made room for at once of a length that is only claimed, in bytes.
const PIECE_BYTES_MAX: usize = 64 << 10;
/// How much longer a text is than what it was compressed to, mostly.
const GZIP_RATIO_USUAL: usize = 12;
/// The longest line before a chunk, in bytes.
const CHUNK_LINE_BYTES_MAX: usize = 4 << 10;

/// What a head says, as far as it matters.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    pub status: u16,
    pub reason: String,
    pub content_type: String,
    pub location: Option<String>,
    pub is_gzip: bool,
    pub length: Option<u64>,
    pub is_chunked: bool,
    /// Whether the other side leaves the connection open behind the body.
    pub stays_open: bool,
}

/// A body as it was sent.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sent {
    pub bytes: Vec<u8>,
    /// Whether the connection is where the next answer begins.
    pub ends_clean: bool,
}

/// Why a body was not read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// It is longer than it may be.
    TooLong,
    /// All answers together are.
    TooMany,
    /// The connection, or what it brought.
    Broken(String),
}

impl Head {
    pub fn is_redirect(&self) -> bool {
        matches!(self.status, 301 | 302 | 303 | 307 | 308)
    }
}

impl Problem {
    pub fn failure(self, url: &str) -> Failure {
        match self {
            Problem::TooLong => Failure { what: "body size limit exceeded".to_owned(), reason: Reason::BodySize },
            Problem::TooMany => {
                let what = "too many bytes of all answers at once".to_owned();
                Failure { what, reason: Reason::BodySize }
            }
            Problem::Broken(what) => about(url, &what, Reason::Connection),
        }
    }
}

/// Reads a head into `bytes`, which are what has come behind it afterwards; nothing has come of an answer as long as
/// they are empty.
pub(super) async fn read_head(stream: &mut (impl AsyncRead + Unpin), bytes: &mut Vec<u8>) -> Result<Head, String> {
    loop {
        if let Some((head, length)) = parse_head(bytes)? {
            bytes.drain(..length);
            if head.status >= 200 {
                return Ok(head);
            }
            continue;
        }
        if bytes.len() > HEAD_BYTES_MAX {
            return Err("net/http: server response headers exceeded 32768 bytes; aborted".to_owned());
        }
        bytes.reserve(READ_BYTES);
        match stream.read_buf(bytes).await {
            Ok(0) => return Err("EOF".to_owned()),
            Ok(_) => {}
            Err(error) => return Err(worded(&error)),
        }
    }
}

/// Returns a head and its length in bytes, or `None` when more is needed.
fn parse_head(bytes: &[u8]) -> Result<Option<(Head, usize)>, String> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let length = match response.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(format!("malformed HTTP response: {error}")),
    };
    let mut head = Head {
        status: response.code.unwrap_or(0),
        reason: response.reason.unwrap_or("").chars().filter(|c| !c.is_control()).take(80).collect(),
        stays_open: response.version == Some(1),
        ..Head::default()
    };
    for header in response.headers.iter() {
        let value = String::from_utf8_lossy(header.value).trim().to_owned();
        match header.name.to_ascii_lowercase().as_str() {
            "content-type" => head.content_type = value,
            "location" => head.location = Some(value),
            "content-encoding" => head.is_gzip = value.eq_ignore_ascii_case("gzip"),
            "connection" => head.stays_open = keeps_open(&value, head.stays_open),
            "transfer-encoding" => head.is_chunked = value.to_ascii_lowercase().ends_with("chunked"),
            "content-length" => {
                let length = value.parse().map_err(|_| format!("bad Content-Length {value:?}"))?;
                if head.length.is_some_and(|other| other != length) {
                    return Err("http: message cannot contain multiple Content-Length headers".to_owned());
                }
                head.length = Some(length);
            }
            _ => {}
        }
    }
    Ok(Some((head, length)))
}

/// Returns what a `Connection` header makes of a connection that stays open, or not, by itself.
fn keeps_open(value: &str, by_itself: bool) -> bool {
    let says = |word: &str| value.split(',').any(|part| part.trim().eq_ignore_ascii_case(word));
    (by_itself || says("keep-alive")) && !says("close")
}

/// Reads a body as it was sent, of which `rest` has come already; `grow` is told how long it has become and may say
/// that this is too much.
pub(super) async fn read_body(
    stream: &mut (impl AsyncRead + Unpin),
    head: &Head,
    rest: Vec<u8>,
    limit: usize,
    grow: &mut (dyn FnMut(usize) -> bool + Send),
) -> Result<Sent, Problem> {
    match head.is_chunked {
        true => read_chunks(stream, rest, limit, grow).await,
        false => read_plain(stream, head.length, rest, limit, grow).await,
    }
}

async fn read_plain(
    stream: &mut (impl AsyncRead + Unpin),
    length: Option<u64>,
    rest: Vec<u8>,
    limit: usize,
    grow: &mut (dyn FnMut(usize) -> bool + Send),
) -> Result<Sent, Problem> {
    if length.is_some_and(|length| length > limit as u64) {
        return Err(Problem::TooLong);
    }
    let mut body = rest;
    loop {
        let missing = length.map(|length| (length as usize).saturating_sub(body.len()));
        if missing == Some(0) {
            let ends_clean = length == Some(body.len() as u64);
            body.truncate(length.unwrap_or(0) as usize);
            return grown(&body, limit, grow, 0).map(|()| Sent { bytes: body, ends_clean });
        }
        grown(&body, limit, grow, 0)?;
        // What is claimed is believed piece by piece.
        body.reserve(missing.unwrap_or(READ_BYTES).min(PIECE_BYTES_MAX));
        match stream.read_buf(&mut body).await {
            Ok(0) if length.is_none() => return Ok(Sent { bytes: body, ends_clean: false }),
            read => is_more(read)?,
        }
    }
}

async fn read_chunks(
    stream: &mut (impl AsyncRead + Unpin),
    rest: Vec<u8>,
    limit: usize,
    grow: &mut (dyn FnMut(usize) -> bool + Send),
) -> Result<Sent, Problem> {
    let (mut chunks, mut body, mut piece) = (Chunks::default(), Vec::new(), rest);
    loop {
        let end = chunks.take(&piece, &mut body).map_err(Problem::Broken)?;
        grown(&body, limit, grow, 0)?;
        if let Some(behind) = end {
            return Ok(Sent { bytes: body, ends_clean: behind == 0 });
        }
        piece.clear();
        piece.reserve(READ_BYTES);
        is_more(stream.read_buf(&mut piece).await)?;
    }
}

/// Says whether a body may be so long, beside so many bytes that it was made of.
fn grown(
    body: &[u8],
    limit: usize,
    grow: &mut (dyn FnMut(usize) -> bool + Send),
    beside: usize,
) -> Result<(), Problem> {
    if body.len() > limit {
        return Err(Problem::TooLong);
    }
    if grow(body.len() + beside) { Ok(()) } else { Err(Problem::TooMany) }
}

fn is_more(read: io::Result<usize>) -> Result<(), Problem> {
    match read {
        Ok(0) => Err(Problem::Broken("unexpected EOF".to_owned())),
        Ok(_) => Ok(()),
        Err(error) => Err(Problem::Broken(worded(&error))),
    }
}

/// Takes a chunked body apart, whatever pieces it comes in.
#[derive(Debug, Default)]
struct Chunks {
    /// The line that is being read: a chunk's length, or a trailer.
    line: Vec<u8>,
    /// How much of the present chunk is missing; its line end counts.
    left: usize,
    in_trailer: bool,
}

/// The line end behind a chunk, in bytes.
const LINE_END: usize = 2;

impl Chunks {
    /// Appends what a piece brings; at the end of the body returns how much of the piece lies behind it.
    fn take(&mut self, mut piece: &[u8], body: &mut Vec<u8>) -> Result<Option<usize>, String> {
        while !piece.is_empty() {
            if self.left > 0 {
                let (part, after) = piece.split_at(self.left.min(piece.len()));
                let data = self.left.saturating_sub(LINE_END).min(part.len());
                body.extend_from_slice(&part[..data]);
                self.left -= part.len();
                piece = after;
                continue;
            }
            let (first, after) = (piece[0], &piece[1..]);
            piece = after;
            if first != b'\n' {
                self.line.push(first);
                if self.line.len() > CHUNK_LINE_BYTES_MAX {
                    return Err("http: chunk line too long".to_owned());
                }
                continue;
            }
            let line = std::mem::take(&mut self.line);
            let line = line.strip_suffix(b"\r").unwrap_or(&line);
            if self.in_trailer {
                if line.is_empty() {
                    return Ok(Some(piece.len()));
                }
                continue;
            }
            let digits = line.split(|byte| *byte == b';').next().unwrap_or(&[]).trim_ascii();
            let size = std::str::from_utf8(digits).ok().filter(|text| !text.starts_with('+'));
            let size = size.and_then(|text| u32::from_str_radix(text, 16).ok());
            let size = size.ok_or("invalid byte in chunk length")? as usize;
            self.in_trailer = size == 0;
            self.left = if size == 0 { 0 } else { size.saturating_add(LINE_END) };
        }
        Ok(None)
    }
}

/// Returns what a body is uncompressed: up to the limit, and a compressed bomb not a byte further.
pub(super) fn inflate(
    body: &[u8],
    limit: usize,
    grow: &mut (dyn FnMut(usize) -> bool + Send),
) -> Result<Vec<u8>, Problem> {
    let mut reader = flate2::bufread::MultiGzDecoder::new(body);
    let mut out = Vec::new();
    loop {
        // What it comes to is guessed from what it was, and never believed.
        let room = (body.len() * GZIP_RATIO_USUAL).clamp(READ_BYTES, PIECE_BYTES_MAX);
        let from = out.len();
        match from {
            // The system has zeros already.
            0 => out = vec![0; room],
            _ => out.resize(from + room, 0),
        }
        let mut filled = from;
        while filled < out.len() {
            match reader.read(&mut out[filled..]) {
                Ok(0) => {
                    out.truncate(filled);
                    return grown(&out, limit, grow, body.len()).map(|()| out);
                }
                Ok(read) => filled += read,
                Err(error) => return Err(Problem::Broken(format!("gzip: {error}"))),
            }
        }
        grown(&out, limit, grow, body.len())?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_as_far_as_they_matter() {
        let text =
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nCONTENT-ENCODING: GZip\r\nContent-Length: 5\r\n\r\nhello";
        let (head, length) = parse_head(text).expect("well formed").expect("whole");
        assert_eq!(
            (head.status, head.content_type.as_str(), head.is_gzip, head.length),
            (200, "text/plain", true, Some(5))
        );
        assert_eq!(&text[length..], b"hello");
        assert_eq!(parse_head(&text[..40]), Ok(None));
        assert!(parse_head(b"garbage\r\n\r\n").is_err());
        assert!(parse_head(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n").is_err());
        assert!(parse_head(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n").is_err());
    }

    #[test]
    fn connections_stay_open_as_both_versions_have_it() {
        for (text, expected) in [
            ("HTTP/1.1 200 OK\r\n\r\n", true),
            ("HTTP/1.1 200 OK\r\nConnection: Close\r\n\r\n", false),
            ("HTTP/1.1 200 OK\r\nConnection: upgrade, close\r\n\r\n", false),
            ("HTTP/1.0 200 OK\r\n\r\n", false),
            ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", true),
        ] {
            let (head, _) = parse_head(text.as_bytes()).expect("well formed").expect("whole");
            assert_eq!(head.stays_open, expected, "{text}");
        }
    }

    #[test]
    fn chunks_come_in_any_pieces() {
        let text = b"5;x=y\r\nhello\r\n1\r\n \r\n6\r\nworld!\r\n0\r\nTrailer: x\r\n\r\n";
        for size in 1..text.len() {
            let (mut chunks, mut body, mut end) = (Chunks::default(), Vec::new(), None);
            for piece in text.chunks(size) {
                end = chunks.take(piece, &mut body).expect("well formed");
            }
            assert!(end == Some(0) && body == b"hello world!", "{size}");
        }
        let behind = Chunks::default().take(b"0\r\n\r\nHTTP", &mut Vec::new());
        assert_eq!(behind, Ok(Some(4)));
        for bad in [&b"x\r\n"[..], b"\r\n", b"-1\r\n", b"fffffffff\r\n", b"+5\r\n"] {
            assert!(Chunks::default().take(bad, &mut Vec::new()).is_err(), "{bad:?}");
        }
        assert!(Chunks::default().take(&[b'0'; CHUNK_LINE_BYTES_MAX + 1], &mut Vec::new()).is_err());
    }

    #[test]
    fn a_bomb_is_stopped_at_the_limit() {
        use std::io::Write;
        let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        let zeros = vec![0; 1 << 20];
        (0..64).for_each(|_| bomb.write_all(&zeros).expect("into memory"));
        let bomb = bomb.finish().expect("into memory");
        assert!(bomb.len() < 100 << 10);
        let mut most = 0;
        let mut grow = |bytes| {
            most = bytes;
            true
        };
        assert_eq!(inflate(&bomb, 1 << 20, &mut grow), Err(Problem::TooLong));
        assert!(most <= bomb.len() + (1 << 20) + PIECE_BYTES_MAX);
        assert!(matches!(inflate(b"no gzip", 10, &mut |_| true), Err(Problem::Broken(_))));
        assert_eq!(inflate(&bomb, 1 << 30, &mut |bytes| bytes < 1 << 20), Err(Problem::TooMany));
    }
}
