//! The name an alert has in notices and in the API: FNV-1a over its sorted labels, as the peers compute it.
//!
//! Source: prometheus/common, `model/signature.go`: name, 0xff, value, 0xff for every label in order of names.

use model::Labels;

const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// Goes on with a hash over some bytes.
pub(crate) fn fnv1a(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME))
}

/// Returns the hash of nothing, to go on from.
pub(crate) fn fnv1a_start() -> u64 {
    OFFSET
}

/// Returns the fingerprint of a label set; printed as 16 hexadecimal digits.
pub fn fingerprint(labels: &Labels) -> u64 {
    let mut hash = OFFSET;
    for (name, value) in labels.iter() {
        for part in [name, value] {
            hash = fnv1a(fnv1a(hash, part.as_bytes()), &[0xff]);
        }
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_the_peers() {
        assert_eq!(format!("{:016x}", fingerprint(&Labels::empty())), "cbf29ce484222325");
        // As Alertmanager 0.33.1 has it.
        let labels = Labels::from_pairs([("alertname", "Hot"), ("device", "cpu")]);
        assert_eq!(format!("{:016x}", fingerprint(&labels)), "e10e8bd857c478c9");
    }
}
