//! A board whose time is made up, for the benchmarks beside: its store on a real file, its series, and its clock.
//!
//! The series are those of one exposition text, so they are real ones; the values move as a recorded board's did: three
//! quarters stand still, counters count, measurements wander. The seed is fixed. Weeks take seconds.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use model::{Batch, Disk, Labels, MetricKind, Mono, Now, ReadAt, SourceId, UnixMs, Value};
use tsdb::{DiskOp, OpDone, Options, Store};

/// A data file, and whether a sync is one.
#[derive(Clone)]
pub struct Medium {
    pub file: Arc<File>,
    pub syncs: bool,
}

impl Disk for Medium {
    fn len(&mut self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }
    fn read(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buf, offset)
    }
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }
    fn set_len(&mut self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)
    }
    fn sync(&mut self) -> io::Result<()> {
        if self.syncs { self.file.sync_data() } else { Ok(()) }
    }
}

impl ReadAt for Medium {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buf, offset)
    }
}

/// How a series moves.
#[derive(Clone, Copy)]
enum Motion {
    Still,
    /// Up by up to so much, in steps of `unit`.
    Up {
        unit: f64,
        most: u64,
    },
    /// To either side of where it began, in steps of `unit`.
    Around {
        begin: f64,
        unit: f64,
        most: u64,
    },
    /// Anything below its first value's double, as a duration.
    Anything {
        begin: f64,
    },
}

struct Series {
    labels: Labels,
    value: f64,
    motion: Motion,
}

struct Family {
    name: String,
    help: String,
    kind: MetricKind,
    series: Vec<Series>,
}

/// A small generator; the quality does not matter, that it is the same each time does.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }
}

/// A board in the making.
pub struct Board {
    pub medium: Medium,
    pub store: Store,
    families: Vec<Family>,
    labels: Labels,
    begin: UnixMs,
    batch: Batch,
    ops: Vec<DiskOp>,
    dice: Dice,
}

impl Board {
    /// Makes a board of the series in `text`, with a new store in the file.
    pub fn new(
        path: &str,
        options: Options,
        text: &[u8],
        instance: &str,
        (begin, syncs): (UnixMs, bool),
    ) -> Result<Board, String> {
        // A file made for it keeps the room that was reserved: it is overwritten and never cut off.
        let open = File::options().read(true).write(true).create(true).truncate(!syncs).open(path);
        let file = Arc::new(open.map_err(|error| format!("making {path}: {error}"))?);
        let mut medium = Medium { file, syncs };
        let read = Arc::new(medium.clone());
        let now = Now { mono: Mono(0), wall: begin, wall_trusted: true };
        let opened = Store::open(&mut medium, read, None, options, now);
        let (store, _) = opened.map_err(|error| format!("opening {path}: {error}"))?;
        let mut template = Batch::new();
        exposition::parse_text(text, &mut template).map_err(|error| format!("standard input: {error}"))?;
        let families = families(&template);
        let labels = Labels::from_pairs([("instance", instance), ("job", "node")]);
        let (batch, ops, dice) = (Batch::new(), Vec::new(), Dice(0x006e_6172_7468_6578));
        Ok(Board { medium, store, families, labels, begin, batch, ops, dice })
    }

    /// Returns how many series it has.
    pub fn series(&self) -> usize {
        self.families.iter().map(|family| family.series.len()).sum()
    }

    /// Returns the time at so many milliseconds after the beginning.
    pub fn at(&self, ms: u64) -> Now {
        Now { mono: Mono(ms), wall: self.begin.plus_ms(ms as i64), wall_trusted: true }
    }

    /// Collects once, at so many milliseconds after the beginning.
    pub fn collect(&mut self, at_ms: u64) -> Result<(), String> {
        let now = self.at(at_ms);
        self.batch.clear();
        for family in &mut self.families {
            self.batch.family(&family.name, &family.help, family.kind);
            for series in &mut family.series {
                series.value = moved(series, &mut self.dice);
                self.batch.add_labels(&series.labels, Value::Float(series.value));
            }
        }
        let appended = self.store.append(now, &self.batch, SourceId(0), &self.labels);
        if appended.refused.total() > 0 {
            return Err(format!("rows were refused: {:?}", appended.refused));
        }
        self.store.tick(now);
        self.carry_out(now)
    }

    /// Does what the store asks of the disk, until it asks no more.
    pub fn carry_out(&mut self, now: Now) -> Result<(), String> {
        loop {
            self.store.take_ops(&mut self.ops);
            if self.ops.is_empty() && !self.store.is_packing() {
                return Ok(());
            }
            self.store.tick(now);
            for op in self.ops.drain(..) {
                let done = match op {
                    DiskOp::Write { offset, bytes } => OpDone::Written { result: self.medium.write(offset, &bytes) },
                    DiskOp::Sync { ticket } => OpDone::Synced { ticket, result: self.medium.sync() },
                    DiskOp::Tail { .. } => continue,
                };
                self.store.done(now, done);
            }
        }
    }
}

/// Takes the series of a collection, with a motion for each.
fn families(template: &Batch) -> Vec<Family> {
    let mut dice = Dice(0x6669_6c6c);
    let mut families: Vec<Family> = Vec::new();
    for (index, family) in template.families().iter().enumerate() {
        let rows = template.rows().iter().filter(|row| row.family as usize == index);
        let series = rows.filter_map(|row| {
            let Value::Float(value) = row.value else { return None };
            let labels = Labels::from_packed(template.packed(row)).expect("a batch packs label sets");
            let motion = motion(template.name(family), family.kind, value, &mut dice);
            Some(Series { labels, value, motion })
        });
        let series: Vec<Series> = series.collect();
        let (name, help) = (template.name(family).to_owned(), template.help(family).to_owned());
        families.push(Family { name, help, kind: family.kind, series });
    }
    families.retain(|family| !family.series.is_empty());
    families
}

/// Chooses how a series moves. On recorded boards 72 to 76 of 100 samples equal the one before.
fn motion(name: &str, kind: MetricKind, value: f64, dice: &mut Dice) -> Motion {
    let moves = dice.below(100) < 35 && value != 0.0 && value.is_finite();
    let unit = if value.fract() == 0.0 { 1.0 } else { 0.01 };
    match kind {
        _ if name.ends_with("duration_seconds") => Motion::Anything { begin: value },
        _ if !moves => Motion::Still,
        MetricKind::Counter => Motion::Up { unit, most: if unit == 1.0 { 2_000 } else { 500 } },
        // Memory comes in pages.
        _ if value > 1e6 => Motion::Around { begin: value, unit: 4096.0, most: 500 },
        _ => Motion::Around { begin: value, unit, most: 20 },
    }
}

fn moved(series: &Series, dice: &mut Dice) -> f64 {
    // Sums of hundredths are rounded to hundredths, as the kernel prints them.
    let tidy = |value: f64, unit: f64| if unit < 1.0 { (value * 100.0).round() / 100.0 } else { value };
    match series.motion {
        Motion::Still => series.value,
        Motion::Up { unit, most } => tidy(series.value + dice.below(most) as f64 * unit, unit),
        Motion::Around { begin, unit, most } => {
            let off = dice.below(2 * most + 1) as f64 - most as f64;
            tidy((begin + off * unit).max(0.0), unit)
        }
        Motion::Anything { begin } => begin * (dice.below(2_000_000) as f64 / 1e6),
    }
}
