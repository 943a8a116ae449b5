//! What an upstream has: the acknowledged rows as a bounded set of ranges, and the frame in doubt.
//!
//! A range is everything after one row id up to and with another, across openings: `(1:99, 2:4]` follows
//! `(0:0, 1:99]` without a gap, whatever opening 1's last row was. Ranges that touch become one, so that sending in
//! order needs a single one. At [`RANGES_MAX`] an acknowledgement that would need one more is not taken: its rows
//! are sent again, never claimed.
//!
//! Saved form, all numbers LEB128 but for the first byte and the digest (8 bytes, little-endian); a row id is
//! opening, n. The checksum is the store's cell's matter. At most [`SAVED_BYTES_MAX`] bytes.
//!
//! ```text
//! 01 | count | count x (after, until) | 0 or 1: after, until, rows, overwritten, digest | 4 losses
//! ```

use model::RowId;

/// The most ranges that are kept.
pub const RANGES_MAX: usize = 64;

/// The most bytes [`Acks::save`] returns.
pub const SAVED_BYTES_MAX: usize = 1 + 2 + RANGES_MAX * PAIR_BYTES_MAX + 1 + PAIR_BYTES_MAX + 3 * 10 + 8 + 4 * 10;

const PAIR_BYTES_MAX: usize = 2 * (5 + 10);
const VERSION: u8 = 1;

/// Rows after one id, up to and with another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The last row before the span.
    pub after: RowId,
    /// The last row of the span.
    pub until: RowId,
}

/// The frame whose fate is not known: its exact rows, so that the same bytes can be made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Doubt {
    /// The rows it was made from.
    pub span: Span,
    /// How many rows were read to make it.
    pub rows: u32,
    /// How many rows within the span were already counted as overwritten.
    pub overwritten: u64,
    /// The digest of its bytes.
    pub digest: u64,
}

/// Losses, counted over the whole life of the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Losses {
    /// Rows overwritten before they were sent.
    pub overwritten_rows: u64,
    /// Frames refused.
    pub refused_frames: u64,
    /// Samples in refused frames.
    pub refused_rows: u64,
    /// Rows the upstream's format cannot carry.
    pub left_out_rows: u64,
}

/// The saved state of one upstream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Acks {
    spans: Vec<Span>,
    /// The frame in doubt, if there is one.
    pub doubt: Option<Doubt>,
    /// The losses so far.
    pub losses: Losses,
}

impl Acks {
    /// Returns whether nothing was ever acknowledged or sent: the upstream is new.
    pub fn is_new(&self) -> bool {
        self.spans.is_empty() && self.doubt.is_none()
    }

    /// Acknowledges a span. Returns false, and changes nothing, when that would take more than [`RANGES_MAX`].
    pub fn add(&mut self, span: Span) -> bool {
        if span.until <= span.after {
            return true;
        }
        let first = self.spans.partition_point(|s| s.until < span.after);
        let end = self.spans.partition_point(|s| s.after <= span.until);
        let Some(touched) = self.spans.get(first..end).filter(|touched| !touched.is_empty()) else {
            if self.spans.len() >= RANGES_MAX {
                return false;
            }
            self.spans.insert(first, span);
            return true;
        };
        let after = span.after.min(touched[0].after);
        let until = span.until.max(touched[touched.len() - 1].until);
        self.spans[first] = Span { after, until };
        self.spans.drain(first + 1..end);
        true
    }

    /// Returns up to which row everything is acknowledged.
    pub fn acknowledged(&self) -> RowId {
        match self.spans.first() {
            Some(first) if first.after == RowId::default() => first.until,
            _ => RowId::default(),
        }
    }

    /// Returns the newest row that was ever acknowledged or is in the frame in doubt: rows up to here keep their dates.
    pub fn newest(&self) -> RowId {
        let in_doubt = self.doubt.map_or(RowId::default(), |doubt| doubt.span.until);
        self.spans.last().map_or(in_doubt, |last| last.until.max(in_doubt))
    }

    /// Returns the first gap: the rows after the first id are to be sent, up to the second where there is one.
    pub fn gap(&self) -> (RowId, Option<RowId>) {
        let start = self.acknowledged();
        (start, self.spans.iter().map(|s| s.after).find(|after| *after >= start && *after != RowId::default()))
    }

    /// Returns the saved form.
    pub fn save(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        put(&mut out, self.spans.len() as u64);
        for span in &self.spans {
            put_span(&mut out, *span);
        }
        put(&mut out, u64::from(self.doubt.is_some()));
        if let Some(doubt) = &self.doubt {
            put_span(&mut out, doubt.span);
            put(&mut out, u64::from(doubt.rows));
            put(&mut out, doubt.overwritten);
            out.extend_from_slice(&doubt.digest.to_le_bytes());
        }
        let Losses { overwritten_rows, refused_frames, refused_rows, left_out_rows } = self.losses;
        for count in [overwritten_rows, refused_frames, refused_rows, left_out_rows] {
            put(&mut out, count);
        }
        out
    }

    /// Reads the saved form; `None` when it is not one, or of a later version.
    pub fn restore(saved: &[u8]) -> Option<Acks> {
        let mut rest = saved.strip_prefix(&[VERSION])?;
        let mut acks = Acks::default();
        let count = take(&mut rest)?;
        if count > RANGES_MAX as u64 {
            return None;
        }
        for _ in 0..count {
            let span = take_span(&mut rest)?;
            let in_order = acks.spans.last().is_none_or(|last| last.until < span.after);
            if !in_order || span.until <= span.after {
                return None;
            }
            acks.spans.push(span);
        }
        acks.doubt = match take(&mut rest)? {
            0 => None,
            1 => Some(take_doubt(&mut rest)?),
            _ => return None,
        };
        let losses = &mut acks.losses;
        for count in [
            &mut losses.overwritten_rows,
            &mut losses.refused_frames,
            &mut losses.refused_rows,
            &mut losses.left_out_rows,
        ] {
            *count = take(&mut rest)?;
        }
        rest.is_empty().then_some(acks)
    }
}

/// Returns a digest of a frame's bytes (FNV-1a, 64 bits): enough to notice a change, not to resist one on purpose.
pub fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_span(out: &mut Vec<u8>, span: Span) {
    for id in [span.after, span.until] {
        put(out, u64::from(id.opening));
        put(out, id.n);
    }
}

fn take(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, tail) = rest.split_first()?;
        *rest = tail;
        let bits = u64::from(byte & 0x7f);
        if (bits << shift) >> shift != bits {
            return None;
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn take_id(rest: &mut &[u8]) -> Option<RowId> {
    Some(RowId { opening: u32::try_from(take(rest)?).ok()?, n: take(rest)? })
}

fn take_span(rest: &mut &[u8]) -> Option<Span> {
    Some(Span { after: take_id(rest)?, until: take_id(rest)? })
}

fn take_doubt(rest: &mut &[u8]) -> Option<Doubt> {
    let span = take_span(rest).filter(|span| span.after < span.until)?;
    let rows = u32::try_from(take(rest)?).ok()?;
    let overwritten = take(rest)?;
    let (digest, tail) = rest.split_first_chunk::<8>()?;
    *rest = tail;
    Some(Doubt { span, rows, overwritten, digest: u64::from_le_bytes(*digest) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Random;

    fn id(opening: u32, n: u64) -> RowId {
        RowId { opening, n }
    }

    fn span(after: RowId, until: RowId) -> Span {
        Span { after, until }
    }

    #[test]
    fn sending_in_order_needs_one_range_across_openings() {
        let mut acks = Acks::default();
        assert!(acks.is_new());
        assert_eq!(acks.gap(), (id(0, 0), None));
        for (after, until) in [(id(0, 0), id(1, 99)), (id(1, 99), id(1, 250)), (id(1, 250), id(3, 7))] {
            assert!(acks.add(span(after, until)));
        }
        assert_eq!((acks.spans.len(), acks.acknowledged(), acks.gap()), (1, id(3, 7), (id(3, 7), None)));
        assert!(!acks.is_new());
    }

    #[test]
    fn a_hole_is_the_first_gap() {
        let mut acks = Acks::default();
        acks.add(span(id(1, 10), id(1, 20)));
        assert_eq!((acks.acknowledged(), acks.gap()), (id(0, 0), (id(0, 0), Some(id(1, 10)))));
        acks.add(span(id(0, 0), id(1, 5)));
        assert_eq!(acks.gap(), (id(1, 5), Some(id(1, 10))));
        acks.add(span(id(1, 5), id(1, 10)));
        assert_eq!((acks.spans.len(), acks.gap()), (1, (id(1, 20), None)));
    }

    #[test]
    fn at_the_limit_nothing_is_claimed_that_does_not_fit() {
        let mut acks = Acks::default();
        for i in 0..RANGES_MAX as u64 {
            assert!(acks.add(span(id(1, 10 * i + 1), id(1, 10 * i + 2))));
        }
        let full = acks.clone();
        assert!(!acks.add(span(id(2, 1), id(2, 2))));
        assert_eq!(acks, full);
        assert!(acks.add(span(id(1, 2), id(1, 11))), "closing a hole always fits");
        assert!(acks.add(span(id(2, 1), id(2, 2))));
    }

    /// The set against a plain one of single rows, over random spans.
    #[test]
    fn the_set_holds_exactly_what_was_added() {
        for seed in 0..300 {
            let mut random = Random::new(seed);
            let (mut acks, mut plain) = (Acks::default(), std::collections::BTreeSet::new());
            for _ in 0..40 {
                let after = random.below(60);
                let until = after + random.below(8);
                if acks.add(span(id(1, after), id(1, until))) {
                    plain.extend(after + 1..=until);
                }
                let held: Vec<u64> = acks.spans.iter().flat_map(|s| s.after.n + 1..=s.until.n).collect();
                assert_eq!(held, plain.iter().copied().collect::<Vec<_>>(), "seed {seed}");
                assert!(acks.spans.windows(2).all(|w| w[0].until < w[1].after), "seed {seed}: not merged");
            }
            assert_eq!(Acks::restore(&acks.save()), Some(acks));
        }
    }

    fn largest() -> Acks {
        let mut acks = Acks::default();
        for i in 0..RANGES_MAX as u64 {
            let n = u64::MAX - 1_000 + 2 * i;
            acks.spans.push(span(id(u32::MAX, n), id(u32::MAX, n + 1)));
        }
        let whole = span(id(u32::MAX, u64::MAX - 1), id(u32::MAX, u64::MAX));
        acks.doubt = Some(Doubt { span: whole, rows: u32::MAX, overwritten: u64::MAX, digest: u64::MAX });
        acks.losses = Losses {
            overwritten_rows: u64::MAX,
            refused_frames: u64::MAX,
            refused_rows: u64::MAX,
            left_out_rows: u64::MAX,
        };
        acks
    }

    #[test]
    fn the_saved_form_is_bounded_and_reads_back() {
        let acks = largest();
        let saved = acks.save();
        assert!(saved.len() <= SAVED_BYTES_MAX, "{} bytes", saved.len());
        assert_eq!(Acks::restore(&saved), Some(acks));
    }

    #[test]
    fn a_damaged_saved_form_is_refused_or_read_but_never_panics() {
        let saved = largest().save();
        for cut in 0..saved.len() {
            assert_eq!(Acks::restore(&saved[..cut]), None, "accepted {cut} bytes");
        }
        for at in 0..saved.len() {
            for bit in 0..8 {
                let mut flipped = saved.clone();
                flipped[at] ^= 1 << bit;
                if let Some(acks) = Acks::restore(&flipped) {
                    assert!(acks.spans.len() <= RANGES_MAX);
                }
            }
        }
        let too_large = [&[VERSION, 0, 0][..], &[0xff; 9], &[2, 0, 0, 0]].concat();
        assert_eq!(Acks::restore(&too_large), None, "65 bits");
        assert_eq!(Acks::restore(&[2, 0, 0, 0, 0, 0, 0]), None, "a later version");
        assert_eq!(Acks::restore(&[]), None);
    }
}
