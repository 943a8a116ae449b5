//! CRC32C by the processor's own instruction, where it has one.
//!
//! The store checks every page that a query reads; by tables that is a tenth of a query's work, by the instruction it
//! is nothing. What the published check values are is tested where the tables are: here both ways must agree there.

/// Returns the checksum (Castagnoli's polynomial, RFC 3720) of everything so far and these bytes; `None` where this
/// processor has no instruction for it. Begun with 0.
pub fn crc32c(crc: u32, bytes: &[u8]) -> Option<u32> {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("sse4.2") {
        // SAFETY: the processor was just asked whether it has the instruction.
        #[allow(unsafe_code)]
        return Some(!unsafe { with_sse42(!crc, bytes) });
    }
    #[cfg(target_arch = "aarch64")]
    if std::arch::is_aarch64_feature_detected!("crc") {
        // SAFETY: the processor was just asked whether it has the instruction.
        #[allow(unsafe_code)]
        return Some(!unsafe { with_crc(!crc, bytes) });
    }
    let _ = (crc, bytes);
    None
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sse4.2")]
fn with_sse42(crc: u32, bytes: &[u8]) -> u32 {
    use std::arch::x86_64::{_mm_crc32_u8, _mm_crc32_u64};
    let (words, rest) = bytes.as_chunks();
    let crc = words.iter().fold(u64::from(crc), |crc, word| _mm_crc32_u64(crc, u64::from_le_bytes(*word)));
    rest.iter().fold(crc as u32, |crc, byte| _mm_crc32_u8(crc, *byte))
}

#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "crc")]
fn with_crc(crc: u32, bytes: &[u8]) -> u32 {
    use std::arch::aarch64::{__crc32cb, __crc32cd};
    let (words, rest) = bytes.as_chunks();
    let crc = words.iter().fold(crc, |crc, word| __crc32cd(crc, u64::from_le_bytes(*word)));
    rest.iter().fold(crc, |crc, byte| __crc32cb(crc, *byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_check_values_come_out_where_there_is_an_instruction() {
        // RFC 3720, appendix B.4, and the usual check string.
        let ascending: Vec<u8> = (0..32).collect();
        for (bytes, expected) in [
            (&b"123456789"[..], 0xe306_9283),
            (&[0; 32], 0x8a91_36aa),
            (&[0xff; 32], 0x62a8_ab43),
            (&ascending, 0x46dd_794e),
            (b"", 0),
        ] {
            assert!(crc32c(0, bytes).is_none_or(|found| found == expected), "{bytes:?}");
        }
        #[cfg(target_arch = "x86_64")]
        assert_eq!(crc32c(0, b"").is_some(), std::arch::is_x86_feature_detected!("sse4.2"));
    }

    #[test]
    fn a_running_checksum_goes_on_anywhere() {
        let bytes: Vec<u8> = (0..=255).collect();
        for cut in 0..bytes.len() {
            let parts = crc32c(0, &bytes[..cut]).and_then(|crc| crc32c(crc, &bytes[cut..]));
            assert_eq!(parts, crc32c(0, &bytes));
        }
    }
}
