//! No file can make a collector panic, and no bad file hides the good ones.
//!
//! Every file of our own board is damaged in many ways from a seed: emptied, cut, filled with bytes that are no
//! UTF-8, given absurd numbers, lines doubled or swapped. After each damage the lane must come back, tell its own
//! success metrics, and print text that our own parser takes.

use std::fs;
use std::path::{Path, PathBuf};

use crate::fuzz::{PEAK_KB_MAX, from_env, peak_kb};
use crate::own::{board, flags, mounts};
use crate::support::{Folder, copy, lane_over, printed, shared};

/// How often each file is damaged.
const ROUNDS: usize = 10;

struct Seed(u64);

impl Seed {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }
}

/// Lists all files below a folder.
pub fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).expect("a readable folder").map(|entry| entry.expect("an entry").path()).collect();
    entries.sort();
    // Links lead in circles.
    for path in entries.into_iter().filter(|path| !path.is_symlink()) {
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

fn damage(good: &[u8], seed: &mut Seed) -> Vec<u8> {
    let mut bytes = good.to_vec();
    let at = seed.below(bytes.len());
    match seed.below(9) {
        0 => bytes.clear(),
        1 => bytes.truncate(at),
        2 if !bytes.is_empty() => bytes[at] = seed.below(256) as u8,
        3 => bytes.splice(at..at, [0xff, 0xfe, 0x00]).for_each(drop),
        4 => bytes.splice(at..at, b"99999999999999999999999999 ".iter().copied()).for_each(drop),
        5 => bytes.splice(at..at, b"-1e999 NaN ".iter().copied()).for_each(drop),
        6 => bytes.extend_from_slice(good),
        7 => bytes = bytes.split(|b| *b == b'\n').rev().flat_map(|line| [line, b"\n"].concat()).collect(),
        _ => bytes.splice(at..at, b" \n:\"{\\".iter().copied().cycle().take(at + 7)).for_each(drop),
    }
    bytes
}

#[test]
fn damaged_files_are_survived() {
    let folder = Folder::new("mutation");
    copy(&board(), &folder.0);
    let mut found = Vec::new();
    files(&folder.0, &mut found);
    found.retain(|path| !path.ends_with("expected.prom"));
    assert!(found.len() > 30, "{found:?}");
    let flags = flags(&folder.0);
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let mut lane = lane_over(&folder.0, &flags, mounts(&folder.0));
    let whole = printed(&mut lane).lines().count();
    // One text file is broken from the start.
    assert!(lane.failures().iter().all(|failure| failure.error.is_success()), "{:?}", lane.failures());
    let (mut failures, mut seed) = (0, Seed(0x9e37_79b9_7f4a_7c15));
    for path in &found {
        let good = fs::read(path).expect("a readable file");
        for round in 0..ROUNDS {
            let state = seed.0;
            fs::write(path, damage(&good, &mut seed)).expect("a writable file");
            let text = printed(&mut lane);
            failures += lane.failures().len();
            let case = format!("{} round {round} seed {state:#x}", path.display());
            assert!(text.contains("node_scrape_collector_success{collector=\"uname\"} 1\n"), "{case}");
            let mut batch = model::Batch::new();
            if let Err(error) = exposition::parse_text(text.as_bytes(), &mut batch) {
                panic!("{case}: {error}\n{text}");
            }
        }
        fs::write(path, &good).expect("a writable file");
    }
    assert!(failures > found.len() * ROUNDS * 5 / 4, "only {failures} failures were noticed");
    // A file that is whole again is believed again; the CPUs' counters alone remember the largest they saw.
    let text = printed(&mut lane_over(&folder.0, &flags, mounts(&folder.0)));
    assert_eq!(text.lines().count(), whole);
}

/// How many damages the larger trees get, spread over their files, unless `NARTHEX_FUZZ_ROUNDS` says so.
const SHARED_ROUNDS: u64 = 400;

/// Upstream's tree and the Raspberry Pi 4's have what our own board lacks.
#[test]
fn damaged_shared_trees_are_survived() {
    let Some(shared) = shared("damage to the shared trees") else { return };
    for (name, tree) in [("upstream", "node_exporter/v1.12.1/collector/fixtures"), ("pi4", "edge/pi4-tree/tree")] {
        let folder = Folder::new(&format!("mutation-{name}"));
        let (fixtures, mut found) = (&folder.0, Vec::new());
        for part in ["proc", "sys", "udev", "etc"].iter().filter(|part| shared.join(tree).join(part).is_dir()) {
            copy(&shared.join(tree).join(part), &fixtures.join(part));
            files(&fixtures.join(part), &mut found);
        }
        let flags = flags(fixtures);
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let mut lane = lane_over(fixtures, &flags, mounts(fixtures));
        let mut seed = Seed(from_env("NARTHEX_FUZZ_SEED").unwrap_or(0x2545_f491_4f6c_dd1d));
        for round in 0..from_env("NARTHEX_FUZZ_ROUNDS").unwrap_or(SHARED_ROUNDS) {
            let state = seed.0;
            let path = &found[seed.below(found.len())];
            let good = fs::read(path).expect("a readable file");
            fs::write(path, damage(&good, &mut seed)).expect("a writable file");
            let text = printed(&mut lane);
            let case = format!("{} round {round} seed {state:#x}", path.display());
            assert!(text.contains("node_scrape_collector_success{collector=\"uname\"} 1\n"), "{case}");
            let rows = lane.batch().rows().len();
            assert!(rows < 20_000, "{case}: {rows} rows");
            let mut batch = model::Batch::new();
            if let Err(error) = exposition::parse_text(text.as_bytes(), &mut batch) {
                panic!("{case}: {error}");
            }
            fs::write(path, &good).expect("a writable file");
        }
    }
    assert!(peak_kb() < PEAK_KB_MAX, "{} kB", peak_kb());
}
