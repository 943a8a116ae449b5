//! Remote write out of any bytes, both versions: no panic, limits hold, and no row has a label set that is none.
//!
//! What is compressed comes uncompressed here: snappy is not ours.
#![no_main]

use exposition::{WriteLimits, WriteVersion, read_write_request};
use libfuzzer_sys::fuzz_target;
use model::Labels;

fuzz_target!(|bytes: &[u8]| {
    let limits = WriteLimits { series: 50, samples_each: 20, symbols: 200 };
    for version in [WriteVersion::V1, WriteVersion::V2] {
        let Ok(written) = read_write_request(bytes, version, limits) else { continue };
        for batch in written.floats.iter().chain(&written.histograms) {
            assert!(batch.rows().len() <= limits.series);
            for row in batch.rows() {
                assert!(Labels::from_packed(batch.packed(row)).is_some());
                assert!(row.at.is_some(), "a sample without a time");
            }
        }
        assert!(written.floats.len() + written.histograms.len() <= 2 * limits.samples_each);
        assert!(written.left_out > 0 || written.reasons.is_empty());
    }
});
