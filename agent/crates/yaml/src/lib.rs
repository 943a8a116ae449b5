//! YAML with places: a small tree whose every node knows its line and column, and typed getters on it.
//!
//! Promises: whatever the text, no panic, bounded memory and time (`limits` below); every error carries file, line,
//! column and the dotted key, and all errors of a file are found at once, not just the first. A key nobody asked
//! for is an error that names the nearest known one; a peer's key that is not served yet is a warning.
//!
//! Values are read as Go's yaml.v2 reads them, because that is what people's files were written for: numbers are
//! accepted where a text is wanted, `yes` and `on` are booleans, `~` is absent, `<<` merges.
//!
//! Not here: writing YAML, several documents in one file, custom tags, comments.

mod compose;
mod tree;

mod map;
mod read;
mod scalar;

mod error;
mod secret;
mod suggest;

#[cfg(test)]
mod tests;

pub use compose::{Bounds, parse, parse_first};
pub use error::{Error, Errors};
pub use map::Map;
pub use scalar::bytes as size;
pub use secret::Secret;
pub use suggest::nearest;
pub use tree::{Node, Place};

/// What bounds a file. Each limit is an error that names it.
pub mod limits {
    /// The longest file, in bytes.
    pub const TEXT_BYTES_MAX: usize = 1 << 20;

    /// The most nodes of a file once its aliases and merge keys are expanded.
    pub const NODES_MAX: usize = 65_536;

    /// How deep maps and lists may nest.
    pub const DEPTH_MAX: usize = 64;

    /// The most errors that are kept; further ones are counted.
    pub const ERRORS_MAX: usize = 200;

    /// The longest value that an error quotes, in characters.
    pub const QUOTED_CHARS_MAX: usize = 60;

    /// The longest line that an error shows, in characters.
    pub const SHOWN_CHARS_MAX: usize = 160;
}
