//! What a target's batch looks like without its values: families and label sets, packed small.
//!
//! A store that knows a target's series wants only values, so a batch names its series once and then no more. Should
//! the store want the names again, because it began a new block or its series were others in between, they come from
//! here. Neighbours have almost the same labels: of each set only the bytes in the middle are kept that differ from the
//! one before it. That is about ten bytes a series, where the batch itself has a hundred and fifty.
//!
//! ```text
//! series  0 same_in_front same_behind len bytes...       all numbers in 7 bits a byte, the last one below 0x80
//! family  1 kind len name... len help... len unit...
//! ```

use model::{Batch, MetricKind, Value};

const SERIES: u8 = 0;
const FAMILY: u8 = 1;

/// The layout of one batch.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    bytes: Box<[u8]>,
}

impl Layout {
    /// Returns the layout of a batch. Families without rows are left out: nobody would hear of them.
    pub fn of(batch: &Batch) -> Layout {
        let (mut bytes, mut last, mut family) = (Vec::new(), &[][..], None);
        for row in batch.rows() {
            if family != Some(row.family) {
                family = Some(row.family);
                let Some(found) = batch.families().get(row.family as usize) else { continue };
                bytes.push(FAMILY);
                bytes.push(found.kind.number());
                for text in [batch.name(found), batch.help(found), batch.unit(found)] {
                    put_text(&mut bytes, text.as_bytes());
                }
            }
            let packed = batch.packed(row);
            let front = packed.iter().zip(last).take_while(|(a, b)| a == b).count();
            let rest = packed.len().min(last.len()) - front;
            let behind = packed.iter().rev().zip(last.iter().rev()).take(rest).take_while(|(a, b)| a == b).count();
            bytes.push(SERIES);
            put_number(&mut bytes, front);
            put_number(&mut bytes, behind);
            put_text(&mut bytes, &packed[front..packed.len() - behind]);
            last = packed;
        }
        Layout { bytes: bytes.into() }
    }

    /// Appends all series to a batch, their families opened; what the values are is for the caller to say.
    pub fn write(&self, batch: &mut Batch) {
        let (mut rest, mut last, mut next) = (&self.bytes[..], Vec::new(), Vec::new());
        while read_item(&mut rest, batch, &mut last, &mut next).is_some() {}
    }
}

/// Reads one item; `None` at the end.
fn read_item(rest: &mut &[u8], batch: &mut Batch, last: &mut Vec<u8>, next: &mut Vec<u8>) -> Option<()> {
    match take_byte(rest)? {
        SERIES => {
            let (front, behind) = (take_number(rest)?, take_number(rest)?);
            next.clear();
            next.extend_from_slice(last.get(..front)?);
            next.extend_from_slice(take_text(rest)?);
            next.extend_from_slice(last.get(last.len().checked_sub(behind)?..)?);
            std::mem::swap(last, next);
            batch.add_packed(last, Value::Float(0.0));
        }
        _ => {
            let kind = MetricKind::from_number(take_byte(rest)?).unwrap_or_default();
            let [name, help, unit] = [take_text(rest)?, take_text(rest)?, take_text(rest)?];
            let text = |bytes| std::str::from_utf8(bytes).unwrap_or_default();
            batch.family_with_unit(text(name), text(help), kind, text(unit));
        }
    }
    Some(())
}

fn put_number(out: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    put_number(out, text.len());
    out.extend_from_slice(text);
}

fn take_byte(rest: &mut &[u8]) -> Option<u8> {
    let (first, behind) = rest.split_first()?;
    *rest = behind;
    Some(*first)
}

fn take_number(rest: &mut &[u8]) -> Option<usize> {
    let mut number = 0;
    for shift in (0..usize::BITS).step_by(7) {
        let byte = take_byte(rest)?;
        number |= usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

fn take_text<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = take_number(rest)?;
    let (text, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Labels;

    type Pairs<'a> = &'a [(&'a str, &'a str)];

    fn batch(sets: &[(&str, MetricKind, &[Pairs<'_>])]) -> Batch {
        let mut batch = Batch::new();
        for (name, kind, rows) in sets {
            batch.family_with_unit(name, &format!("About {name}."), *kind, "things");
            for labels in *rows {
                let named = labels.iter().copied().chain([("__name__", *name)]);
                batch.add_labels(&Labels::from_pairs(named), Value::Float(0.0));
            }
        }
        batch
    }

    #[test]
    fn a_layout_is_written_as_it_was() {
        let long = "x".repeat(300);
        let first: &[Pairs<'_>] = &[&[("code", "200"), ("z", "1")], &[("code", "201"), ("z", "1")], &[]];
        let second: &[Pairs<'_>] = &[&[("a", "aa")], &[("a", "aaaa")], &[("a", "a")], &[("a", &long)], &[("a", "é")]];
        for kind in MetricKind::ALL {
            let given =
                batch(&[("first", MetricKind::Counter, first), ("second_total", kind, second), ("up", kind, &[&[]])]);
            let layout = Layout::of(&given);
            let mut found = Batch::new();
            layout.write(&mut found);
            assert_eq!(found.layout_print(), given.layout_print(), "{kind:?}");
        }
    }

    #[test]
    fn neighbours_share_what_they_have_in_common() {
        let values: Vec<String> = (0..1_000).map(|n| format!("{n:04}")).collect();
        let rows: Vec<[(&str, &str); 3]> = values
            .iter()
            .map(|n| [("n", n.as_str()), ("instance", "127.0.0.1:9100"), ("path", "/api/v1/things")])
            .collect();
        let rows: Vec<Pairs<'_>> = rows.iter().map(|row| &row[..]).collect();
        let given = batch(&[("requests_total", MetricKind::Counter, &rows)]);
        let layout = Layout::of(&given);
        assert!(layout.bytes.len() < 10 * 1_000, "{}", layout.bytes.len());
        assert!(given.shape().len() > 80 * 1_000);
        let mut found = Batch::new();
        layout.write(&mut found);
        assert_eq!(found.layout_print(), given.layout_print());
    }
}
