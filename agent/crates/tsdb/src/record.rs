//! The records of a block's stream: what the journal and the tail file carry, in the order things happened.
//!
//! A prefix of a stream is a state the store was in: rows, small state and clocks together. LAYOUT.md draws each
//! record (`Begin Span Series Source Column Shape Row Cell Epoch Family`); here they are framed and told apart.
//! `head.rs` writes and replays what concerns rows; a record of a kind that is not known ends the replay.
//!
//! ```text
//! record = kind u8, length varint, payload
//! ```

use crate::wire::{Take, put_block};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Begin,
    Span,
    Series,
    Source,
    Column,
    Shape,
    Row,
    Cell,
    Epoch,
    Family,
}

impl Kind {
    const ALL: [Kind; 10] = [
        Kind::Begin,
        Kind::Span,
        Kind::Series,
        Kind::Source,
        Kind::Column,
        Kind::Shape,
        Kind::Row,
        Kind::Cell,
        Kind::Epoch,
        Kind::Family,
    ];
}

/// Appends one record.
pub(crate) fn put(out: &mut Vec<u8>, kind: Kind, payload: &[u8]) {
    out.push(kind as u8 + 1);
    put_block(out, payload);
}

/// What stands at the front of some bytes of a stream.
pub(crate) enum Next<'a> {
    Record(Kind, &'a [u8]),
    /// The stream ends within a record.
    Partial,
    /// These bytes were never written as a record.
    Nonsense,
}

/// The longest record that can be: one batch of the largest kind.
const RECORD_BYTES_MAX: u64 = 64 << 20;

/// Takes one record.
pub(crate) fn next<'a>(take: &mut Take<'a>) -> Next<'a> {
    let mut ahead = *take;
    let Some(kind) = ahead.u8() else { return Next::Partial };
    let Some(kind) = kind.checked_sub(1).and_then(|at| Kind::ALL.get(usize::from(at))) else { return Next::Nonsense };
    let Some(length) = ahead.varint() else {
        return if ahead.rest.len() < 10 { Next::Partial } else { Next::Nonsense };
    };
    if length > RECORD_BYTES_MAX {
        return Next::Nonsense;
    }
    let Some(payload) = ahead.bytes(length as usize) else { return Next::Partial };
    *take = ahead;
    Next::Record(*kind, payload)
}
