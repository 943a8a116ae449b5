//! CRC32C (Castagnoli), the checksum on everything the store writes.
//!
//! Slicing by eight: one table lookup a byte, eight bytes a round, in plain safe code. A running checksum goes on
//! where it stopped: `extend(extend(0, a), b) == extend(0, ab)`. The tables are 8 KiB of read-only data.
//!
//! Where the processor has an instruction for it, that is used: a query over days checks megabytes.

const POLYNOMIAL: u32 = 0x82f6_3b78;
static TABLES: [[u32; 256]; 8] = tables();

/// Returns the checksum of some bytes.
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    extend(0, bytes)
}

/// Returns the checksum of everything so far and these bytes.
pub(crate) fn extend(crc: u32, bytes: &[u8]) -> u32 {
    kernel::crc32c(crc, bytes).unwrap_or_else(|| by_tables(crc, bytes))
}

fn by_tables(crc: u32, bytes: &[u8]) -> u32 {
    let mut crc = !crc;
    let mut words = bytes.chunks_exact(8);
    for word in &mut words {
        let low = u32::from_le_bytes([word[0], word[1], word[2], word[3]]) ^ crc;
        crc = TABLES[7][(low & 0xff) as usize]
            ^ TABLES[6][(low >> 8 & 0xff) as usize]
            ^ TABLES[5][(low >> 16 & 0xff) as usize]
            ^ TABLES[4][(low >> 24) as usize]
            ^ TABLES[3][word[4] as usize]
            ^ TABLES[2][word[5] as usize]
            ^ TABLES[1][word[6] as usize]
            ^ TABLES[0][word[7] as usize];
    }
    for byte in words.remainder() {
        crc = TABLES[0][((crc ^ u32::from(*byte)) & 0xff) as usize] ^ crc >> 8;
    }
    !crc
}

const fn tables() -> [[u32; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut i = 0;
    while i < 256 {
        let mut crc = i as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ POLYNOMIAL } else { crc >> 1 };
            bit += 1;
        }
        tables[0][i] = crc;
        i += 1;
    }
    let mut slice = 1;
    while slice < 8 {
        let mut i = 0;
        while i < 256 {
            let before = tables[slice - 1][i];
            tables[slice][i] = tables[0][(before & 0xff) as usize] ^ before >> 8;
            i += 1;
        }
        slice += 1;
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_check_values_come_out() {
        // RFC 3720, appendix B.4, and the usual check string.
        let ascending: Vec<u8> = (0..32).collect();
        for crc32c in [crc32c, |bytes: &[u8]| by_tables(0, bytes)] {
            assert_eq!(crc32c(b"123456789"), 0xe306_9283);
            assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
            assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
            assert_eq!(crc32c(&ascending), 0x46dd_794e);
        }
    }

    #[test]
    fn a_running_checksum_goes_on_anywhere() {
        let bytes: Vec<u8> = (0..=255).collect();
        for cut in 0..bytes.len() {
            assert_eq!(extend(crc32c(&bytes[..cut]), &bytes[cut..]), crc32c(&bytes));
            assert_eq!(by_tables(by_tables(0, &bytes[..cut]), &bytes[cut..]), crc32c(&bytes));
        }
    }
}
