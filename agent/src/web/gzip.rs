//! Answers made smaller, for clients that say they take it: gzip, or zlib under the name of deflate, as the peer does.
//!
//! The fastest level: texts of series repeat their labels, and that is found at once. A compressor holds some 270 KiB,
//! and to get and clear them takes longer than to pack a `/metrics`, so one for gzip is kept until it is told to rest.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use flate2::{Compress, Compression, FlushCompress, Status};

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
}

/// The window of gzip, as a power of two: the largest there is.
const WINDOW_BITS: u8 = 15;

/// Returns what gzip says behind a text, to show that it is whole.
pub fn checksum(text: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(text);
    crc.sum()
}

/// Makes answers smaller, for any thread.
#[derive(Default)]
pub struct Packer {
    /// A compressor for gzip that nobody uses just now.
    kept: Mutex<Option<Compress>>,
    /// Whether anybody used it since it was told to rest.
    is_used: AtomicBool,
}

impl Packer {
    /// Gives back the memory of the compressor that is kept, unless somebody used it since this was called last.
    pub fn rest(&self) {
        if !self.is_used.swap(false, Ordering::Relaxed) {
            *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    /// Returns the text made smaller; `None` where it is not.
    pub fn compress(&self, encoding: Encoding, text: &[u8]) -> Option<Vec<u8>> {
        if encoding == Encoding::Deflate {
            return packed(&mut Compress::new(Compression::fast(), true), text);
        }
        self.is_used.store(true, Ordering::Relaxed);
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let compressor = kept().take();
        let mut compressor = compressor.unwrap_or_else(|| Compress::new_gzip(Compression::fast(), WINDOW_BITS));
        let packed = packed(&mut compressor, text);
        compressor.reset();
        *kept() = Some(compressor);
        packed
    }
}

fn packed(compressor: &mut Compress, text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4);
    while out.len() < text.len() {
        let rest = text.get(usize::try_from(compressor.total_in()).ok()?..)?;
        match compressor.compress_vec(rest, &mut out, FlushCompress::Finish).ok()? {
            Status::StreamEnd => return Some(out).filter(|out| out.len() < text.len()),
            _ => out.reserve(out.capacity().max(64)),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::{GzDecoder, ZlibDecoder};

    use super::*;

    #[test]
    fn texts_come_back_as_they_were() {
        let packer = Packer::default();
        let text = "{\"metric\":{\"__name__\":\"node_load1\"},\"value\":[1795249204.020,\"0.42\"]}".repeat(1_000);
        for (encoding, name) in [(Encoding::Gzip, "gzip"), (Encoding::Deflate, "deflate")] {
            let small = packer.compress(encoding, text.as_bytes()).expect("smaller");
            assert!(small.len() * 20 < text.len() && encoding.name() == name, "{} bytes", small.len());
            let mut back = String::new();
            match encoding {
                Encoding::Gzip => GzDecoder::new(small.as_slice()).read_to_string(&mut back),
                Encoding::Deflate => ZlibDecoder::new(small.as_slice()).read_to_string(&mut back),
            }
            .expect("it can be undone");
            assert_eq!(back, text);
            assert_eq!(packer.compress(encoding, b"x"), None, "it would be larger");
            assert_eq!(packer.compress(encoding, text.as_bytes()).as_ref(), Some(&small), "one that is kept is as new");
            let is_kept = || packer.kept.lock().expect("nobody panics").is_some();
            packer.rest();
            assert!(is_kept(), "it was used since");
            packer.rest();
            assert!(!is_kept());
            assert_eq!(packer.compress(encoding, text.as_bytes()).as_ref(), Some(&small), "and so is another");
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
