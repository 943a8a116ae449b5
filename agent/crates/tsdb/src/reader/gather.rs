//! The samples of one series, gathered block by block: only what lies within the range is decoded, from the last
//! place before it at which decoding may begin.
//!
//! A column that shares its source's lines is read along with them; one that has its own times is read by those. Which
//! values are wanted is found once for all columns that follow each other and have the same times (`plan.rs`), and
//! kept, as far as the selection's part of `LINES_KEPT_BYTES_MAX` reaches; what is beyond is found anew for each column.
//! Of a packed column many values are read at once.

use std::collections::HashMap;
use std::rc::Rc;

use model::{SelectError, SeriesSamples, Steps, UnixMs, Value};

use super::lines::Lines;
use super::plan::{Asked, Plan};
use super::{Hit, Selection, Source, View};
use crate::codec::Item;
use crate::column::ColumnReader;
use crate::head::track::Seek;
use crate::index::{LINES_READ_MAX, Place, Which};
use crate::packed::PackedReader;

/// The most bytes of lines, times and what is wanted of them that all selections together keep at hand, beside those
/// of the column that each reads.
const LINES_KEPT_BYTES_MAX: usize = 1 << 20;
/// For how many values there is room before it is known how many are wanted: memory that grows is copied each time.
const RESERVED_MAX: usize = 8 << 10;
/// How many times of a column are unpacked at once.
const TIMES_AT_ONCE: usize = 256;

/// Samples of one series, gathered block by block.
#[derive(Default)]
pub(crate) struct Gathered {
    pub at: Vec<UnixMs>,
    floats: Vec<f64>,
    histograms: Vec<(usize, Value)>,
    starts: Vec<Option<UnixMs>>,
    has_starts: bool,
    unsorted: bool,
}

impl Gathered {
    pub fn clear(&mut self) {
        self.at.clear();
        self.floats.clear();
        self.histograms.clear();
        self.starts.clear();
        (self.has_starts, self.unsorted) = (false, false);
    }

    fn push(&mut self, at: i64, item: Item, start: Option<i64>) {
        if start.is_some() && !self.has_starts {
            self.starts.resize(self.at.len(), None);
            self.has_starts = true;
        }
        let value = match item {
            Item::Float(value) => value,
            Item::Histogram(found) => {
                self.histograms.push((self.at.len(), Value::Histogram(found)));
                0.0
            }
        };
        self.unsorted |= self.at.last().is_some_and(|last| last.0 >= at);
        self.at.push(UnixMs(at));
        self.floats.push(value);
        if self.has_starts {
            self.starts.push(start.map(UnixMs));
        }
    }

    /// Puts samples in the order of their times; of several with the same time the one appended last counts.
    pub fn sort(&mut self) {
        if !self.unsorted {
            return;
        }
        let mut order: Vec<usize> = (0..self.at.len()).collect();
        order.sort_by_key(|at| self.at[*at]);
        let mut kept: Vec<usize> = Vec::with_capacity(order.len());
        for at in order {
            match kept.last_mut() {
                Some(last) if self.at[*last] == self.at[at] => *last = at,
                _ => kept.push(at),
            }
        }
        let mut sorted = Gathered { has_starts: self.has_starts, ..Gathered::default() };
        let mut histograms: HashMap<usize, Value> = self.histograms.drain(..).collect();
        for at in kept {
            if let Some(value) = histograms.remove(&at) {
                sorted.histograms.push((sorted.at.len(), value));
            }
            sorted.at.push(self.at[at]);
            sorted.floats.push(self.floats[at]);
            sorted.starts.extend(self.starts.get(at));
        }
        *self = sorted;
    }

    pub fn samples(&self) -> SeriesSamples<'_> {
        SeriesSamples {
            at: &self.at,
            floats: &self.floats,
            histograms: &self.histograms,
            starts: if self.has_starts { &self.starts } else { &[] },
        }
    }
}

/// The lines of a source, which of its shapes the column read last was in, and what was wanted of it.
type KeptLines = (Rc<Lines>, Vec<bool>, Rc<Plan>);
/// Where the times of the column read last are stored, what they are, of how many lines at most, and what was wanted of
/// it.
struct KeptTimes {
    place: Place,
    times: Vec<u8>,
    lines: u32,
    plan: Rc<Plan>,
}

/// What a selection keeps at hand from one column to the next.
#[derive(Default)]
pub(crate) struct Kept {
    /// By view and source.
    lines: HashMap<(u32, u32), KeptLines>,
    /// By view.
    own: HashMap<u32, KeptTimes>,
    /// How many bytes these are.
    bytes: usize,
    values: Vec<u8>,
    times: Vec<u8>,
    has: Vec<bool>,
}

impl Kept {
    /// Answers whether so many more bytes may be kept of at most so many, and counts them. What is kept stays: columns
    /// are read block after block and then those of the next series, so whatever was let go would be wanted first.
    fn has_room(&mut self, bytes: usize, bytes_max: usize) -> bool {
        if self.bytes > bytes_max {
            // Others have come.
            (self.lines, self.own, self.bytes) = (HashMap::new(), HashMap::new(), 0);
        }
        let has_room = self.bytes + bytes <= bytes_max;
        if has_room {
            self.bytes += bytes;
        }
        has_room
    }
}

/// Adds the samples of one column that are wanted.
pub(crate) fn gather(
    source: &mut Source<'_>,
    found: &mut Selection,
    hit: &Hit,
    asked: &Asked,
    kept: &mut Kept,
    out: &mut Gathered,
) -> Result<(), SelectError> {
    let view = &mut found.views[hit.view as usize];
    let column = view.index.column(hit.column);
    let plan = if column.times.is_some() {
        own_plan(source, view, hit, asked, kept)?
    } else {
        let key = (hit.view, column.source);
        let lines = match kept.lines.get(&key) {
            Some((lines, ..)) => Rc::clone(lines),
            None => {
                let lines = Rc::new(source.lines(view, column.source, asked.range, &found.epochs)?);
                if kept.has_room(lines.bytes(), source.share.of(LINES_KEPT_BYTES_MAX)) {
                    kept.lines.insert(key, (Rc::clone(&lines), Vec::new(), Rc::default()));
                }
                lines
            }
        };
        let shapes = &view.index.sources[column.source as usize].shapes;
        kept.has.clear();
        kept.has.extend(shapes.iter().map(|shape| shape.contains(hit.column)));
        lines_plan(&lines, key, asked, kept, source.share.of(LINES_KEPT_BYTES_MAX))
    };
    let Some(first) = plan.first() else { return Ok(()) };
    let mut reader = source.seek(view, Which::Values(hit.column), Seek::Value(first), &mut kept.values)?;
    let base = reader.at();
    read(&mut reader, &kept.values, base, &plan, out);
    Ok(())
}

/// Returns which values of a column that shares its source's lines are wanted, where `kept.has` says which shapes have it.
fn lines_plan(lines: &Lines, key: (u32, u32), asked: &Asked, kept: &mut Kept, bytes_max: usize) -> Rc<Plan> {
    if let Some((_, had, plan)) = kept.lines.get(&key)
        && *had == kept.has
    {
        return Rc::clone(plan);
    }
    let mut plan = Plan::default();
    for run in &lines.runs {
        let mut value = lines.values_before(run.first, &kept.has);
        let mut pick = plan.pick(asked.steps);
        lines.walls_of(run, &kept.has, &mut |wall| {
            value += 1;
            pick.offer(wall, value - 1)
        });
        pick.end();
    }
    let plan = Rc::new(plan);
    if let Some((_, had, old)) = kept.lines.get_mut(&key) {
        kept.bytes -= old.bytes();
        (*had, *old) = (Vec::new(), Rc::default());
    }
    if kept.lines.contains_key(&key) && kept.has_room(plan.bytes(), bytes_max) {
        match kept.lines.get_mut(&key) {
            Some((_, had, kept_plan)) => (*had, *kept_plan) = (kept.has.clone(), Rc::clone(&plan)),
            // The lines were let go to make room.
            None => kept.bytes -= plan.bytes(),
        }
    }
    plan
}

/// Returns which values of a column that has its own times are wanted. What is imported has the same times in one
/// column after the other.
fn own_plan(
    source: &mut Source<'_>,
    view: &mut View,
    hit: &Hit,
    asked: &Asked,
    kept: &mut Kept,
) -> Result<Rc<Plan>, SelectError> {
    let seek = Seek::NotBelow(asked.range.start.0);
    // No column has more values than its source has lines, whatever its bytes claim.
    let lines = view.index.sources[view.index.column(hit.column).source as usize].rows.min(LINES_READ_MAX);
    let place = view.index.place(Which::Times(hit.column));
    // Of the open block, and of one that was sealed meanwhile, the place says nothing.
    if view.sealed.is_some()
        && let Some(known) = kept.own.get(&hit.view)
        && (known.place, known.lines) == (place, lines)
    {
        return Ok(Rc::clone(&known.plan));
    }
    let mut reader = source.seek(view, Which::Times(hit.column), seek, &mut kept.times)?;
    let is_sealed = view.sealed.is_some();
    if is_sealed
        && let Some(known) = kept.own.get(&hit.view)
        && (&known.times, known.lines) == (&kept.times, lines)
    {
        return Ok(Rc::clone(&known.plan));
    }
    let base = reader.at();
    let plan = match plan_of(&mut reader.clone(), &kept.times, base, lines, asked, asked.steps) {
        Some(plan) => plan,
        // Late samples: what is newest is not told by what comes before.
        None => plan_of(&mut reader, &kept.times, base, lines, asked, None).unwrap_or_default(),
    };
    let plan = Rc::new(plan);
    if let Some(old) = kept.own.remove(&hit.view) {
        kept.bytes -= old.times.len() + old.plan.bytes();
    }
    if is_sealed && kept.has_room(kept.times.len() + plan.bytes(), source.share.of(LINES_KEPT_BYTES_MAX)) {
        let (place, times) = (view.index.place(Which::Times(hit.column)), kept.times.clone());
        kept.own.insert(hit.view, KeptTimes { place, times, lines, plan: Rc::clone(&plan) });
    }
    Ok(plan)
}

/// Returns which values are wanted, by the times of all; `None` when those do not ascend and steps are asked for.
fn plan_of(
    reader: &mut ColumnReader,
    times: &[u8],
    base: usize,
    lines: u32,
    asked: &Asked,
    steps: Option<Steps>,
) -> Option<Plan> {
    let (mut plan, mut some, mut last) = (Plan::default(), Vec::with_capacity(TIMES_AT_ONCE), i64::MIN);
    // What comes before the range is passed over, in whatever order it is. A packed column is read faster as a whole.
    let is_packed = matches!(reader, ColumnReader::Packed(_));
    let first = if is_packed { None } else { reader.next_not_below(times, base, asked.range.start.0, lines) };
    let left = 1 + lines.saturating_sub(reader.count()) as usize;
    plan.reserve(left.min(steps.map_or(left, |steps| steps.count)).min(RESERVED_MAX));
    let (mut pick, mut is_wanted) = (plan.pick(steps), true);
    if let Some(first) = first {
        last = first;
        if asked.range.contains(UnixMs(first)) {
            is_wanted = pick.offer(first, reader.count() - 1);
        }
    }
    loop {
        let first = reader.count();
        some.clear();
        if reader.ints(times, base, (TIMES_AT_ONCE as u32).min(lines.saturating_sub(first)), &mut some) == 0 {
            break;
        }
        for (at, place) in some.iter().zip(first..) {
            if steps.is_some() && *at < last {
                return None;
            }
            last = *at;
            if is_wanted && asked.range.contains(UnixMs(*at)) {
                is_wanted = pick.offer(*at, place);
            }
        }
    }
    pick.end();
    Some(plan)
}

/// Adds the values that are wanted.
fn read(reader: &mut ColumnReader, values: &[u8], base: usize, plan: &Plan, out: &mut Gathered) {
    match reader {
        ColumnReader::Packed(packed) if packed.has_no_starts() => read_packed(packed, values, plan, out),
        _ => read_each(reader, values, base, plan, out),
    }
}

fn read_packed(reader: &mut PackedReader, values: &[u8], plan: &Plan, out: &mut Gathered) {
    let before = out.floats.len();
    out.floats.reserve(plan.at.len());
    match plan.run() {
        Some((first, count)) => {
            if reader.skip(values, first).is_some() {
                reader.floats(values, count, &mut out.floats);
            }
        }
        None => reader.floats_at(values, &plan.places, &mut out.floats),
    }
    let found = &plan.at[..out.floats.len() - before];
    if let (Some(last), Some(first)) = (out.at.last(), found.first()) {
        out.unsorted |= last >= first;
    }
    out.unsorted |= plan.unsorted;
    out.at.extend_from_slice(found);
    if out.has_starts {
        out.starts.resize(out.at.len(), None);
    }
}

fn read_each(reader: &mut ColumnReader, values: &[u8], base: usize, plan: &Plan, out: &mut Gathered) {
    for (at, place) in plan.places.iter().enumerate() {
        let before = plan.before.get(at).copied().flatten();
        let from = place - u32::from(before.is_some());
        if from < reader.count() || reader.skip(values, base, from - reader.count()).is_none() {
            return;
        }
        let before = before.and_then(|before| Some((before, reader.next(values, base)?, reader.start())));
        let Some(item) = reader.next(values, base) else { return };
        if let (Item::Histogram(_), Some((at, item @ Item::Histogram(_), start))) = (&item, before) {
            out.push(at.0, item, start);
        }
        out.push(plan.at[at].0, item, reader.start());
    }
}
