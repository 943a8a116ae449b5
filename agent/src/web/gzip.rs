//! Answers made smaller, for clients that say they take it: gzip, or zlib under the name of deflate, as the peer does.
//!
//! The fastest level: texts of series repeat their labels, and that is found at once. A compressor lives as long as its
//! answer and holds some 300 KiB.

use std::io::Write;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};

/// Answers smaller than this are sent as they are: there is nothing to gain.
pub const BYTES_MIN: usize = 256;

/// How an answer is to be made smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// gzip.
    Gzip,
    /// zlib, which HTTP calls deflate.
    Deflate,
}

impl Encoding {
    /// Returns what the client takes, by its `Accept-Encoding`; the first of ours in it counts, and its weights do not,
    /// as with the peer.
    pub fn accepted(header: &str) -> Option<Encoding> {
        header.split(',').find_map(|name| match name.trim() {
            "gzip" => Some(Encoding::Gzip),
            "deflate" => Some(Encoding::Deflate),
            _ => None,
        })
    }

    /// Returns its name in `Content-Encoding`.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Gzip => "gzip",
            Encoding::Deflate => "deflate",
        }
    }

    /// Returns the text made smaller; `None` where it is not.
    pub fn compress(self, text: &[u8]) -> Option<Vec<u8>> {
        let out = Vec::with_capacity(text.len() / 6);
        let packed = match self {
            Encoding::Gzip => packed(GzEncoder::new(out, Compression::fast()), text, GzEncoder::finish),
            Encoding::Deflate => packed(ZlibEncoder::new(out, Compression::fast()), text, ZlibEncoder::finish),
        };
        packed.ok().filter(|packed| packed.len() < text.len())
    }
}

fn packed<W: Write>(mut writer: W, text: &[u8], finish: fn(W) -> std::io::Result<Vec<u8>>) -> std::io::Result<Vec<u8>> {
    writer.write_all(text)?;
    finish(writer)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::{GzDecoder, ZlibDecoder};

    use super::*;

    #[test]
    fn texts_come_back_as_they_were() {
        let text = "{\"metric\":{\"__name__\":\"node_load1\"},\"value\":[1795249204.020,\"0.42\"]}".repeat(1_000);
        for (encoding, name) in [(Encoding::Gzip, "gzip"), (Encoding::Deflate, "deflate")] {
            let small = encoding.compress(text.as_bytes()).expect("smaller");
            assert!(small.len() * 20 < text.len() && encoding.name() == name, "{} bytes", small.len());
            let mut back = String::new();
            match encoding {
                Encoding::Gzip => GzDecoder::new(small.as_slice()).read_to_string(&mut back),
                Encoding::Deflate => ZlibDecoder::new(small.as_slice()).read_to_string(&mut back),
            }
            .expect("it can be undone");
            assert_eq!(back, text);
            assert_eq!(encoding.compress(b"x"), None, "it would be larger");
        }
    }

    #[test]
    fn the_client_says_what_it_takes() {
        assert_eq!(Encoding::accepted("gzip, deflate, br"), Some(Encoding::Gzip));
        assert_eq!(Encoding::accepted("br,deflate"), Some(Encoding::Deflate));
        assert_eq!(Encoding::accepted("identity"), None);
        assert_eq!(Encoding::accepted(""), None);
    }
}
