//! A connection whose first request line may hold what only must be escaped: `curl 'http://board:9090/...?query=up{a="b"}'`.
//!
//! The peer takes such a line and hyper does not, so here the letters that hyper refuses are escaped on their way in. Only
//! the first line of a connection is touched, because only there is it certain what a line is: bytes of a body are never
//! looked at. People who type an address open a connection for it; programs escape.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How much is read at a time while the line lasts, in bytes.
const CHUNK: usize = 4 << 10;

/// A stream whose first line is escaped.
pub(super) struct FirstLine<S> {
    stream: S,
    in_line: bool,
    /// What was read and not yet handed on.
    pending: Vec<u8>,
    handed: usize,
}

impl<S> FirstLine<S> {
    /// Returns the stream, at the beginning of its first line.
    pub(super) fn new(stream: S) -> FirstLine<S> {
        FirstLine { stream, in_line: true, pending: Vec::new(), handed: 0 }
    }

    fn hand_on(&mut self, buf: &mut ReadBuf<'_>) {
        let rest = self.pending.get(self.handed..).unwrap_or_default();
        let part = rest.get(..buf.remaining()).unwrap_or(rest);
        buf.put_slice(part);
        self.handed += part.len();
        if self.handed == self.pending.len() {
            self.handed = 0;
            self.pending.clear();
            if !self.in_line {
                self.pending = Vec::new();
            }
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.in_line &= *byte != b'\n';
            if self.in_line && must_be_escaped(*byte) {
                let hex =
                    |half: u8| char::from_digit(u32::from(half), 16).map_or(b'0', |c| c.to_ascii_uppercase() as u8);
                self.pending.extend([b'%', hex(byte >> 4), hex(byte & 15)]);
            } else {
                self.pending.push(*byte);
            }
        }
    }
}

fn must_be_escaped(byte: u8) -> bool {
    byte >= 0x80 || b"\"#<>\\^`{|}".contains(&byte)
}

impl<S: AsyncRead + Unpin> AsyncRead for FirstLine<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.pending.is_empty() {
            if !self.in_line {
                return Pin::new(&mut self.stream).poll_read(cx, buf);
            }
            let mut chunk = [0; CHUNK];
            let mut read = ReadBuf::new(&mut chunk);
            std::task::ready!(Pin::new(&mut self.stream).poll_read(cx, &mut read))?;
            self.take(read.filled());
        }
        self.hand_on(buf);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for FirstLine<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(reads: &[&[u8]], expected: &[u8]) {
        let mut line = FirstLine::new(());
        let mut found = Vec::new();
        for bytes in reads {
            line.take(bytes);
            while !line.pending.is_empty() {
                let mut room = [0; 7];
                let mut buf = ReadBuf::new(&mut room);
                line.hand_on(&mut buf);
                found.extend_from_slice(buf.filled());
            }
        }
        assert_eq!(String::from_utf8_lossy(&found), String::from_utf8_lossy(expected));
    }

    #[test]
    fn only_the_first_line_is_escaped() {
        let expected = b"GET /?query=up%7Ba=%22%C3%A9%22%7D%23%3C HTTP/1.1\r\nX: \"{\r\n\r\n\"{\n";
        check(&["GET /?query=up{a=\"é\"}#< HTTP/1.1\r\nX: \"{\r\n\r\n\"{\n".as_bytes()], expected);
        check(&[b"GET /?\"", b"\" HTTP/1.1\r", b"\n\"\n\""], b"GET /?%22%22 HTTP/1.1\r\n\"\n\"");
        check(&[b"PRI * HTTP/2.0\r\n\r\n"], b"PRI * HTTP/2.0\r\n\r\n");
    }
}
