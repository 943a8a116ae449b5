//! Files of rows that each begin with a word: a table says which column of which row is which family.
//!
//! ```text
//! blk_map 61 29 1 1 1 91 0        <- /sys/fs/xfs/sda1/stats/stats
//! ```
//!
//! A row or column that is missing counts as 0, as with the peer, because older kernels have fewer; one that is no
//! number is blamed and left out.

use crate::number::unsigned;
use crate::sheet::{Head, Sheet};

/// One column of one row and the family it becomes.
pub struct Column {
    key: &'static str,
    at: usize,
    head: Head,
}

/// Returns a line of a table.
pub const fn column(key: &'static str, at: usize, head: Head) -> Column {
    Column { key, at, head }
}

/// Adds every column with these labels; returns the first line that is odd.
pub fn put_columns(text: &str, columns: &'static [Column], labels: &[&str], sheet: &mut Sheet) -> Option<usize> {
    let mut bad = None;
    for column in columns {
        match number(text, column.key, column.at) {
            Ok(value) => sheet.put(&column.head, labels, value),
            Err(line) => bad = bad.or(Some(line)),
        }
    }
    bad
}

/// Returns a number of the row with this key, 0 where there is none.
///
/// # Errors
/// The line, counted from 1, where the column is no number.
pub fn number(text: &str, key: &str, at: usize) -> Result<f64, usize> {
    let row = |line: &str| line.split_ascii_whitespace().next() == Some(key);
    let Some((line, row)) = text.lines().enumerate().find(|(_, line)| row(line)) else { return Ok(0.0) };
    match row.split_ascii_whitespace().nth(1 + at).map(unsigned) {
        None => Ok(0.0),
        Some(Some(value)) => Ok(value as f64),
        Some(None) => Err(line + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_nothing_and_what_is_odd_is_blamed() {
        let text = "net 1 2\nrpc x 4\n";
        assert_eq!(
            (number(text, "net", 1), number(text, "net", 2), number(text, "io", 0)),
            (Ok(2.0), Ok(0.0), Ok(0.0))
        );
        assert_eq!((number(text, "rpc", 0), number(text, "rpc", 1)), (Err(2), Ok(4.0)));
    }
}
