//! The collectors' readers of one family, out of any bytes: text files of metrics.
//!
//! No panic, no end of rows, and what is told parses again. What an input is made of: `families`.
#![no_main]

#[path = "../../exporters/tests/families.rs"]
#[allow(dead_code)]
mod families;

libfuzzer_sys::fuzz_target!(|input: &[u8]| families::textfile(input));
