//! Which columns one row of a source has, in which order: kept as runs of columns that follow each other, in memory
//! as in the file.
//!
//! A source with thousands of series of which one comes or goes has a new shape each time; as runs that is a dozen
//! bytes and not thousands of numbers. So a shape in memory is never more than a few times its coded bytes, and the
//! limit on a block's bytes bounds it too, also when the bytes come from a file that claims much.

use crate::wire::{Take, put_varint, put_zigzag};

/// The columns of a row: pairs of (first, count).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shape {
    runs: Box<[(u32, u32)]>,
    len: u32,
}

impl Shape {
    pub fn of(columns: &[u32]) -> Shape {
        let follows = |a: &u32, b: &u32| a.checked_add(1) == Some(*b);
        let runs = columns.chunk_by(follows).map(|run| (run[0], run.len() as u32)).collect();
        Shape { runs, len: columns.len() as u32 }
    }

    /// Returns how many columns there are.
    pub fn len(&self) -> u32 {
        self.len
    }

    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.runs.iter().flat_map(|(first, count)| *first..*first + *count)
    }

    /// Returns about how much memory it takes.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Shape>() + size_of_val(&*self.runs)
    }

    pub fn contains(&self, column: u32) -> bool {
        self.runs.iter().any(|(first, count)| (*first..*first + *count).contains(&column))
    }

    /// Appends the shape as its record and a block's index have it.
    pub fn put(&self, out: &mut Vec<u8>) {
        put_varint(out, u64::from(self.len));
        let mut expected = 0;
        for (first, count) in &self.runs {
            put_zigzag(out, i64::from(*first) - expected);
            put_varint(out, u64::from(*count));
            expected = i64::from(*first) + i64::from(*count);
        }
    }

    /// Reads what [`Shape::put`] wrote; every column is below `columns`, and there are at most as many as that.
    pub fn take(take: &mut Take<'_>, columns: u32) -> Option<Shape> {
        let len = take.varint32().filter(|len| *len <= columns)?;
        let (mut runs, mut found, mut expected) = (Vec::new(), 0, 0i64);
        while found < len {
            let first = u32::try_from(expected.checked_add(take.zigzag()?)?).ok()?;
            let count = take.varint32().filter(|count| *count > 0 && *count <= len - found)?;
            let end = first.checked_add(count).filter(|end| *end <= columns)?;
            runs.push((first, count));
            (found, expected) = (found + count, i64::from(end));
        }
        Some(Shape { runs: runs.into(), len })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_come_back() {
        for columns in [vec![], vec![0], vec![0, 1, 2, 3], vec![5, 6, 7, 2, 3, 9], vec![3, 2, 1, 0]] {
            let (mut out, shape) = (Vec::new(), Shape::of(&columns));
            shape.put(&mut out);
            assert_eq!(Shape::take(&mut Take::new(&out), 10), Some(shape.clone()));
            assert_eq!(shape.iter().collect::<Vec<_>>(), columns);
            assert_eq!(shape.len() as usize, columns.len());
            assert!((0..12).all(|column| shape.contains(column) == columns.contains(&column)));
            assert!(columns.is_empty() || Shape::take(&mut Take::new(&out), 2).is_none_or(|s| s.len() <= 2));
        }
    }

    #[test]
    fn what_bytes_claim_takes_no_memory() {
        let mut out = Vec::new();
        Shape { runs: Box::new([(0, u32::MAX)]), len: u32::MAX }.put(&mut out);
        assert_eq!(Shape::take(&mut Take::new(&out), u32::MAX).map(|shape| shape.runs.len()), Some(1));
    }
}
