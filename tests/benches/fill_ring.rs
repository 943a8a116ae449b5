//! Makes a data file that is full, as a board's is after its first weeks.
//!
//! Usage: `fill_ring FILE BYTES INTERVAL_MS INSTANCE < one-collection.prom`
//!
//! The series are those of the exposition text on standard input, so they are this machine's own; the values move as
//! a recorded board's did: three quarters stand still, counters count, measurements wander. The last sample lies just
//! before now, and the ring has gone round at least once, or the exit status is 1. The time is made up throughout, so
//! weeks take seconds; the seed is fixed. Power cuts are not the subject: nothing is synced before the end.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use model::{Batch, Disk, Labels, MetricKind, Mono, Now, ReadAt, SourceId, UnixMs, Value};
use tsdb::{DiskOp, OpDone, Options, Store};

/// How much of the file is written to learn how long all of it takes.
const PROBE_SHARE: f64 = 0.04;

/// How much longer than a full file the made-up past is, so that the oldest blocks are overwritten.
const SURPLUS: f64 = 1.15;

/// The data file without care for the medium.
#[derive(Clone)]
struct Plain(Arc<File>);

impl Disk for Plain {
    fn len(&mut self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
    fn read(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(buf, offset)
    }
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }
    fn set_len(&mut self, bytes: u64) -> io::Result<()> {
        self.0.set_len(bytes)
    }
    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ReadAt for Plain {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(buf, offset)
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

/// A board in the making: its store, its series, and its clock.
struct Board {
    disk: Plain,
    store: Store,
    families: Vec<Family>,
    labels: Labels,
    begin: UnixMs,
    batch: Batch,
    ops: Vec<DiskOp>,
    dice: Dice,
}

impl Board {
    fn new(path: &str, bytes: u64, text: &[u8], instance: &str, begin: UnixMs) -> Result<Board, String> {
        let open = File::options().read(true).write(true).create(true).truncate(true).open(path);
        let file = open.map_err(|error| format!("making {path}: {error}"))?;
        let mut disk = Plain(Arc::new(file));
        let read = Arc::new(disk.clone());
        let options = Options { file_bytes: bytes, tail_bytes: 0, boot: 1, ..Options::default() };
        let now = Now { mono: Mono(0), wall: begin, wall_trusted: true };
        let opened = Store::open(&mut disk, read, None, options, now);
        let (store, _) = opened.map_err(|error| format!("opening {path}: {error}"))?;
        let mut template = Batch::new();
        exposition::parse_text(text, &mut template).map_err(|error| format!("standard input: {error}"))?;
        let families = families(&template);
        let labels = Labels::from_pairs([("instance", instance), ("job", "node")]);
        let (batch, ops, dice) = (Batch::new(), Vec::new(), Dice(0x006e_6172_7468_6578));
        Ok(Board { disk, store, families, labels, begin, batch, ops, dice })
    }

    /// Collects once, at so many milliseconds after the beginning.
    fn collect(&mut self, at_ms: u64) -> Result<(), String> {
        let now = Now { mono: Mono(at_ms), wall: self.begin.plus_ms(at_ms as i64), wall_trusted: true };
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

    /// Returns how much of the ring holds blocks.
    fn share(&self) -> f64 {
        let stats = self.store.stats();
        stats.used_bytes as f64 / stats.ring_bytes as f64
    }

    /// Does what the store asks of the disk, until it asks no more.
    fn carry_out(&mut self, now: Now) -> Result<(), String> {
        loop {
            self.store.take_ops(&mut self.ops);
            if self.ops.is_empty() && !self.store.is_packing() {
                return Ok(());
            }
            self.store.tick(now);
            for op in self.ops.drain(..) {
                let done = match op {
                    DiskOp::Write { offset, bytes } => OpDone::Written { result: self.disk.write(offset, &bytes) },
                    DiskOp::Sync { ticket } => OpDone::Synced { ticket, result: Ok(()) },
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

/// Fills the file, and returns what to say of it.
fn fill(path: &str, bytes: u64, interval_ms: u64, instance: &str) -> Result<String, String> {
    let mut text = Vec::new();
    io::stdin().read_to_end(&mut text).map_err(|error| format!("standard input: {error}"))?;
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|error| error.to_string())?;
    let end = UnixMs(since_1970.as_millis() as i64);

    // A first try tells how many collections fill the file.
    let mut probe = Board::new(path, bytes, &text, instance, UnixMs(end.0 / 2))?;
    let mut steps = 0;
    while probe.share() < PROBE_SHARE {
        probe.collect(steps * interval_ms)?;
        steps += 1;
    }
    let steps = (steps as f64 / probe.share() * SURPLUS) as u64;
    drop(probe);

    let begin = end.plus_ms(-((steps * interval_ms) as i64));
    let mut board = Board::new(path, bytes, &text, instance, begin)?;
    for step in 0..steps {
        board.collect(step * interval_ms)?;
    }
    let at_ms = (steps - 1) * interval_ms;
    let now = Now { mono: Mono(at_ms), wall: begin.plus_ms(at_ms as i64), wall_trusted: true };
    board.store.flush(now);
    board.carry_out(now)?;
    board.disk.0.sync_all().map_err(|error| format!("syncing: {error}"))?;
    let stats = board.store.stats();
    if stats.overwritten == 0 || stats.dropped + stats.faults > 0 {
        return Err(format!("the ring has not gone round in {steps} collections: {stats:?}"));
    }
    let rows: usize = board.families.iter().map(|family| family.series.len()).sum();
    let samples = rows as u64 * steps;
    let kept = (end.0 - stats.oldest.unwrap_or(end).0) as f64 / 86_400_000.0;
    Ok(format!("filled {bytes} bytes: {samples} samples of {rows} series, {kept:.1} days of them kept"))
}

fn main() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, bytes, interval_ms, instance] = arguments.as_slice() else {
        return Err("usage: fill_ring FILE BYTES INTERVAL_MS INSTANCE < one-collection.prom".to_owned());
    };
    let number = |text: &String| text.parse::<u64>().map_err(|error| format!("{text}: {error}"));
    println!("{}", fill(path, number(bytes)?, number(interval_ms)?, instance)?);
    Ok(())
}
