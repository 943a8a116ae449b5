//! Procedures of NFS by version, and rows that count one procedure a column.
//!
//! Client and server print the procedures of versions 2 and 3 in the order of the protocols; those of version 4 are
//! each side's own.

use crate::columns::number;
use crate::sheet::{Head, Sheet};

/// Procedures of version 2 in the order of the row.
pub const VERSION_2: &str = "Null GetAttr SetAttr Root Lookup ReadLink Read WrCache Write Create Remove Rename Link \
     SymLink MkDir RmDir ReadDir FsStat";
/// Procedures of version 3 in the order of the row.
pub const VERSION_3: &str = "Null GetAttr SetAttr Lookup Access ReadLink Read Write Create MkDir SymLink MkNod Remove \
     RmDir Rename Link ReadDir ReadDirPlus FsStat FsInfo PathConf Commit";

/// Adds the columns of a row from one on, each under its name as the last label; `-` stands for one that is not
/// told. Returns the line when it is odd.
pub fn put_named(
    text: &str,
    key: &str,
    start: usize,
    head: &'static Head,
    labels: &[&str],
    names: &str,
    sheet: &mut Sheet,
) -> Option<usize> {
    let mut bad = None;
    for (index, name) in names.split_ascii_whitespace().enumerate().filter(|(_, name)| *name != "-") {
        match number(text, key, start + index) {
            Ok(value) => match labels {
                [] => sheet.put(head, &[name], value),
                [first, ..] => sheet.put(head, &[first, name], value),
            },
            Err(line) => bad = bad.or(Some(line)),
        }
    }
    bad
}
