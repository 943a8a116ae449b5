//! Limits that several crates must agree on. Each says its unit last; limits of one crate live there.
//!
//! What happens at each limit is decided where it is enforced: refused, counted by reason, and said.

/// The longest label name or value, in bytes. The packed form could carry 65,535; no real label comes near.
pub const LABEL_BYTES_MAX: usize = 4_096;

/// The most labels one series may have.
pub const LABELS_MAX: usize = 64;

/// The longest regular expression, in bytes.
pub const PATTERN_BYTES_MAX: usize = 8_192;

/// The most rows one batch may carry; a source with more is cut off there and the rest counted.
pub const BATCH_ROWS_MAX: usize = 200_000;

/// The most bytes of label sets one batch may carry.
pub const BATCH_LABEL_BYTES_MAX: usize = 64 << 20;

const _: () = assert!(LABEL_BYTES_MAX <= u16::MAX as usize);
const _: () = assert!(BATCH_LABEL_BYTES_MAX <= u32::MAX as usize);
