//! When the lines of a source were read: which of them lie within a range, and how many values a column has before.
//!
//! A line is the rows of one batch; its tick is in the source's stream of ticks, its shape says which columns have a
//! value in it. Ticks never go back within a span, so of each span the lines within a range are one run, which is
//! looked for from the last mark before it. Shapes are read as runs of equal ones: one entry for a source whose series
//! stay the same.

use std::cmp::Ordering;

use model::{SelectError, TimeRange, UnixMs};

use super::{Source, View};
use crate::epochs::Epochs;
use crate::head::track::Seek;
use crate::index::{LINES_READ_MAX, Which};

/// How many ticks are unpacked at once.
const TICKS_AT_ONCE: usize = 256;

/// The lines of one source that lie within a range.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    /// From which line on which shape is in force, ascending; the last entry ends at `end`.
    shapes: Vec<(u32, u32)>,
    end: u32,
    pub runs: Vec<Run>,
}

/// Lines that follow each other.
#[derive(Debug)]
pub(crate) struct Run {
    pub first: u32,
    /// When each was read, in wall time.
    pub walls: Vec<i64>,
}

impl Lines {
    /// Returns how many bytes of memory it has.
    pub fn bytes(&self) -> usize {
        let walls: usize = self.runs.iter().map(|run| run.walls.capacity()).sum();
        walls * size_of::<i64>() + self.shapes.capacity() * size_of::<(u32, u32)>()
    }

    /// Returns how many values a column has before a line; `has` says which shapes have it.
    pub fn values_before(&self, line: u32, has: &[bool]) -> u32 {
        let mut values = 0;
        for (at, (first, shape)) in self.shapes.iter().enumerate() {
            let end = self.shapes.get(at + 1).map_or(self.end, |(next, _)| *next).min(line);
            if end > *first && has.get(*shape as usize) == Some(&true) {
                values += end - first;
            }
        }
        values
    }

    /// Visits when each line of a run was read in which a column has a value, until the visitor has enough.
    pub fn walls_of(&self, run: &Run, has: &[bool], visit: &mut dyn FnMut(i64) -> bool) {
        let last = run.first + run.walls.len() as u32;
        let mut at = self.shapes.partition_point(|(first, _)| *first <= run.first).saturating_sub(1);
        let mut line = run.first;
        while line < last
            && let Some((_, shape)) = self.shapes.get(at)
        {
            let end = self.shapes.get(at + 1).map_or(self.end, |(next, _)| *next).min(last);
            // Shapes end early where their stream is damaged.
            if end <= line {
                return;
            }
            if has.get(*shape as usize) == Some(&true) {
                let walls = &run.walls[(line - run.first) as usize..(end - run.first) as usize];
                if !walls.iter().all(|wall| visit(*wall)) {
                    return;
                }
            }
            (line, at) = (end, at + 1);
        }
    }
}

impl Source<'_> {
    /// Finds the lines of a source within a range.
    pub fn lines(
        &mut self,
        view: &mut View,
        source: u32,
        range: TimeRange,
        epochs: &Epochs,
    ) -> Result<Lines, SelectError> {
        let rows = view.index.sources[source as usize].rows.min(LINES_READ_MAX);
        let mut lines = Lines { shapes: Vec::new(), end: rows, runs: Vec::new() };
        let mut bytes = Vec::new();
        let spans = view.index.sources[source as usize].spans.clone();
        for (at, (number, first)) in spans.iter().enumerate() {
            let end = spans.get(at + 1).map_or(rows, |(_, next)| *next);
            let Some((span, sealed)) = view.index.spans.get(*number as usize).copied() else { continue };
            let epoch = epochs.get(span.epoch).copied().or(sealed);
            let (oldest, newest) =
                epoch.map_or((span.tick_min, span.tick_max), |e| e.range(span.tick_min, span.tick_max));
            let whole = TimeRange { start: UnixMs(oldest), end: UnixMs(newest) };
            if first >= &end || !range.overlaps(&whole) {
                continue;
            }
            let offset = epoch.map_or(0, |epoch| epoch.offset);
            let mut dated = vec![(*first, end, offset)];
            if let Some(heir) = epoch.and_then(|epoch| epoch.heir) {
                // From where on batches have the other date: those whose first row was not sent.
                let row = match heir.after.opening.cmp(&span.id.opening) {
                    Ordering::Less => 0,
                    Ordering::Equal => (heir.after.n + 1).saturating_sub(span.id.n),
                    Ordering::Greater => u64::from(u32::MAX),
                };
                let least = i64::from(span.first).saturating_add(i64::try_from(row).unwrap_or(i64::MAX));
                let cut = self.first_line(view, source, least, (*first, end), &mut bytes)?;
                dated = vec![(*first, cut, offset), (cut, end, heir.offset)];
            }
            for (first, end, offset) in dated.into_iter().filter(|(first, end, _)| first < end) {
                if !self.run(view, source, (first, end, offset), range, &mut bytes, &mut lines)? {
                    break;
                }
            }
        }
        if !lines.runs.is_empty() {
            self.shapes_of(view, source, &mut lines, &mut bytes)?;
        }
        Ok(lines)
    }

    /// Adds the lines within the range of those from `first` to `end`; answers whether there are so many.
    fn run(
        &mut self,
        view: &mut View,
        source: u32,
        (first, end, offset): (u32, u32, i64),
        range: TimeRange,
        bytes: &mut Vec<u8>,
        lines: &mut Lines,
    ) -> Result<bool, SelectError> {
        let wall = |tick: i64| tick.saturating_add(offset);
        let least = range.start.0.saturating_sub(offset);
        let mut reader = self.seek(view, Which::Tick(source), Seek::NotBelow(least), bytes)?;
        let base = reader.at();
        if reader.skip_ints(bytes, base, first.saturating_sub(reader.count())).is_none() {
            return Ok(false);
        }
        let (mut run, mut ticks) = (Run { first: 0, walls: Vec::new() }, Vec::with_capacity(TICKS_AT_ONCE));
        let mut is_within = true;
        while is_within {
            let at = reader.count();
            ticks.clear();
            if reader.ints(bytes, base, (TICKS_AT_ONCE as u32).min(end.saturating_sub(at)), &mut ticks) == 0 {
                break;
            }
            let before = if run.walls.is_empty() { ticks.partition_point(|tick| *tick < least) } else { 0 };
            let behind = before + ticks[before..].partition_point(|tick| wall(*tick) <= range.end.0);
            if run.walls.is_empty() {
                run.first = at + before as u32;
            }
            run.walls.extend(ticks[before..behind].iter().map(|tick| wall(*tick)));
            is_within = behind == ticks.len();
        }
        if !run.walls.is_empty() {
            lines.runs.push(run);
        }
        Ok(true)
    }

    /// Returns the first line between two whose first row is not before this one.
    fn first_line(
        &mut self,
        view: &mut View,
        source: u32,
        least: i64,
        (first, end): (u32, u32),
        bytes: &mut Vec<u8>,
    ) -> Result<u32, SelectError> {
        let mut reader = self.seek(view, Which::Base(source), Seek::Value(first), bytes)?;
        let base = reader.at();
        if reader.skip_ints(bytes, base, first.saturating_sub(reader.count())).is_none() {
            return Ok(end);
        }
        let found = reader.next_not_below(bytes, base, least, end);
        Ok(found.map_or(end, |_| reader.count().saturating_sub(1)))
    }

    /// Reads the shapes of all lines up to the last one within the range.
    fn shapes_of(
        &mut self,
        view: &mut View,
        source: u32,
        lines: &mut Lines,
        bytes: &mut Vec<u8>,
    ) -> Result<(), SelectError> {
        let last = lines.runs.iter().map(|run| run.first + run.walls.len() as u32).max().unwrap_or(0);
        let mut reader = self.seek(view, Which::Shape(source), Seek::Value(0), bytes)?;
        let mut line = 0;
        while line < last
            && let Some((shape, count)) = reader.next_ints(bytes, 0, last - line)
        {
            let shape = u32::try_from(shape).unwrap_or(u32::MAX);
            if lines.shapes.last().is_none_or(|(_, before)| *before != shape) {
                lines.shapes.push((line, shape));
            }
            line += count;
        }
        lines.end = line;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_and_visited_over_changing_shapes() {
        let run = Run { first: 3, walls: (3..9).map(|line| line * 10).collect() };
        let lines = Lines { shapes: vec![(0, 0), (4, 1), (6, 0), (7, 2)], end: 9, runs: Vec::new() };
        let check = |has: &[bool], before: u32, expected: &[i64]| {
            assert_eq!(lines.values_before(3, has), before);
            let mut found = Vec::new();
            lines.walls_of(&run, has, &mut |wall| {
                found.push(wall);
                true
            });
            assert_eq!(found, expected);
        };
        check(&[true, true, true], 3, &[30, 40, 50, 60, 70, 80]);
        check(&[true, false, false], 3, &[30, 60]);
        check(&[false, true, true], 0, &[40, 50, 70, 80]);
        check(&[false, true], 0, &[40, 50]);
        let cut_off = Lines { end: 2, shapes: vec![(0, 0)], runs: Vec::new() };
        cut_off.walls_of(&run, &[true], &mut |wall| panic!("{wall}"));
    }
}
