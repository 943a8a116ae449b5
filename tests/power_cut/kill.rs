//! A process that writes to a real file is killed at random moments: nothing that it had appended is lost.
//!
//! The test starts itself again as the writer. That one appends consecutive numbers, a row each, and says each number
//! once its operations were carried out; it is killed after a random count of them, wherever it is by then. What the
//! file and the tail hold must be consecutive numbers at least up to the last one that was said.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use model::{Batch, Labels, MetricKind, Mono, Now, Outbox, RowId, SourceId, Tail, UnixMs};
use narthex::os::datafile::DataFile;
use narthex::os::tailfile::TailFile;
use support::folder::Folder;
use tsdb::{DiskOp, Options, Recovery, Store};

use crate::life::random;

/// How often.
const KILLS: u64 = 200;
/// Names the writer's folder, and by that tells the writer from the test.
const WRITER: &str = "NARTHEX_TEST_WRITER";
const NAME: &str = "kill::two_hundred_random_kills_of_a_process_lose_nothing";

fn options() -> Options {
    Options { file_bytes: 512 << 10, sync_interval_ms: 2_000, tail_bytes: 256 << 10, boot: 5, ..Options::default() }
}

/// A row each tenth of a second.
fn now(number: u64) -> Now {
    let ms = number * 100;
    Now { mono: Mono(ms), wall: UnixMs(1_800_000_000_000 + ms as i64), wall_trusted: true }
}

struct Opened {
    store: Store,
    file: DataFile,
    tail: TailFile,
    recovery: Recovery,
}

fn open(folder: &Path, number: u64) -> Opened {
    let mut file = DataFile::open(&folder.join("data.ring")).expect("the data file");
    let (tail, held) = TailFile::open(&folder.join("tail")).expect("the tail");
    let read = file.reader();
    let (store, recovery) = Store::open(&mut file, read, Some(&held), options(), now(number)).expect("it opens");
    let mut opened = Opened { store, file, tail, recovery };
    opened.carry_out(number);
    opened
}

impl Opened {
    fn carry_out(&mut self, number: u64) {
        let mut ops = Vec::new();
        loop {
            self.store.tick(now(number));
            self.store.take_ops(&mut ops);
            if ops.is_empty() {
                return;
            }
            for op in ops.drain(..) {
                match op {
                    DiskOp::Tail { offset, bytes } => self.tail.write(offset, &bytes).expect("room for the tail"),
                    op => {
                        let done = narthex::disk::apply(&mut self.file, op).expect("an answer");
                        self.store.done(now(number), done);
                    }
                }
            }
        }
    }

    /// Returns the numbers that are there, in the order of their rows.
    fn numbers(&self) -> Vec<u64> {
        let (reader, mut tail, mut after, mut found) =
            (self.store.reader(), Tail::default(), RowId::default(), Vec::new());
        loop {
            reader.since(after, None, 1_000, &mut tail).expect("rows");
            found.extend(tail.rows.iter().map(|row| row.sample.value.float().expect("a float") as u64));
            if tail.until == after {
                return found;
            }
            after = tail.until;
        }
    }
}

fn write_until_killed(folder: &Path) -> ! {
    let mut opened = open(folder, 0);
    let first = opened.numbers().last().map_or(1, |last| last + 1);
    let mut out = std::io::stdout().lock();
    for number in first.. {
        let mut batch = Batch::new();
        batch.family("number", "Counts.", MetricKind::Counter);
        // Much text, so that blocks are sealed and the ring goes round within a few kills.
        let text = format!("{:0>400}", number % 7);
        batch.add(&[("text", &text)], number as f64);
        opened.store.append(now(number), &batch, SourceId(1), &Labels::empty());
        opened.store.forget_source(SourceId(1));
        opened.store.put_cell("number", &number.to_le_bytes()).expect("a small cell");
        opened.carry_out(number);
        writeln!(out, "\nappended {number}").and_then(|()| out.flush()).expect("somebody listens");
    }
    unreachable!("numbers do not end");
}

#[test]
fn two_hundred_random_kills_of_a_process_lose_nothing() {
    if let Some(folder) = std::env::var_os(WRITER) {
        write_until_killed(Path::new(&folder));
    }
    let folder = Folder::new("kills");
    let (mut seed, mut replayed, mut blocks, mut newest) = (11, 0, 0, 0);
    for kill in 1..=KILLS {
        let mut writer = Command::new(std::env::current_exe().expect("a path"));
        writer.args(["--exact", NAME, "--nocapture"]).env(WRITER, folder.path()).stdout(Stdio::piped());
        let mut writer = writer.spawn().expect("a process");
        let mut lines = BufReader::new(writer.stdout.take().expect("piped")).lines();
        let mut said = |until: u64| {
            let numbers = lines.by_ref().map_while(Result::ok);
            let numbers = numbers.filter_map(|line| line.strip_prefix("appended ")?.parse::<u64>().ok());
            numbers.take(until as usize).last()
        };
        let before = said(1 + random(&mut seed) % 900).expect("the writer writes");
        writer.kill().expect("it is ours");
        writer.wait().expect("it is over");
        let last = said(u64::MAX >> 1).unwrap_or(before);
        let opened = open(folder.path(), last + 2);
        let found = opened.numbers();
        assert!(found.windows(2).all(|pair| pair[0] + 1 == pair[1]), "kill {kill}: a gap in {found:?}");
        let end = found.last().copied().unwrap_or(0);
        assert!((last..=last + 1).contains(&end), "kill {kill}: {last} was said, {end} is there");
        let cell = opened.store.cell("number").and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes);
        assert!(cell <= end && cell + 1 >= last, "kill {kill}: the cell has {cell}, the rows {end}");
        assert_eq!(opened.recovery.damaged_pages + opened.recovery.damaged_blocks, 0, "kill {kill}");
        (replayed, blocks) = (replayed + opened.recovery.rows_from_tail, blocks.max(opened.recovery.blocks));
        newest = end;
    }
    println!("{KILLS} kills, {newest} rows, {replayed} came back from the tail; up to {blocks} blocks");
    assert!(replayed > KILLS && blocks > 2);
}
