//! What loading a configuration may ask of the world: files, directories, the environment, the list of collectors.
//!
//! Handed in, so that this module opens nothing itself and a test's world is four closures. The shell's reads from
//! disk with a bound on bytes; paths are as written in the configuration, joined to its directory when relative.

use std::io;
use std::path::Path;

/// The world as a configuration sees it.
#[derive(Clone, Copy)]
pub struct Outside<'a> {
    /// Returns a file's text.
    pub read: &'a dyn Fn(&Path) -> io::Result<String>,
    /// Returns the names in a directory, in any order.
    pub list: &'a dyn Fn(&Path) -> io::Result<Vec<String>>,
    /// Returns a variable of the environment.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// The collectors there are, by node_exporter's names.
    pub collectors: &'a [&'static str],
    /// The collectors' flags, by node_exporter's names without the leading dashes.
    pub collector_flags: &'a [&'static str],
    /// Which parts of the query language are on, in rule files too.
    pub features: promql::Features,
}
