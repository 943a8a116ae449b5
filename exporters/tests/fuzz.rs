//! Every family of readers fed with what fixtures hold, damaged from a seed: nothing may make one panic, hang, or take
//! memory without end.
//!
//! `NARTHEX_FUZZ_SECONDS` makes it run longer, `NARTHEX_FUZZ_SEED` again, and `NARTHEX_FUZZ_CORPUS` names a folder that the
//! starting inputs are written to, a folder each family, for the project's `fuzz`, where the same functions run with coverage.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use exporters::netlink::Netlink;
use exporters::system::Ethtool;

use crate::families::{FAMILIES, Family, INPUT_BYTES_MAX, files_of};
use crate::support::shared;
use crate::{netlink, systemd};

/// How many inputs each family gets in a short run.
const INPUTS: u32 = 1_000;

/// The most memory the process may have taken, in kilobytes: five times what readers of such inputs need, other tests
/// beside this one included. A reader that believes a length that it is told takes more.
pub const PEAK_KB_MAX: u64 = 64 << 10;

/// What readers compare, multiply or allocate by.
const NUMBERS: [&str; 16] = [
    "0",
    "-1",
    "255",
    "256",
    "4096",
    "65535",
    "65536",
    "2147483647",
    "2147483648",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "18446744073709551615",
    "99999999999999999999999999",
    "-1e999",
    "NaN",
];

/// What separates things in some file.
const SEPARATORS: [&str; 18] =
    [" ", "\n", "\t", ":", ",", "-", "=", "\"", "\\", "{", "}", "[", "]", "(", ")", "#", "\0", "/"];

struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound.max(1)
    }

    fn of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }
}

/// Returns an input that was damaged in one to four places, the bytes that choose what it is for left alone.
fn damaged(corpus: &[Vec<u8>], head: usize, random: &mut Random) -> Vec<u8> {
    let mut bytes = random.of(corpus).clone();
    for _ in 0..=random.below(4) {
        let at = head.min(bytes.len()) + random.below(bytes.len().saturating_sub(head) + 1);
        let to = at + random.below((bytes.len() - at).min(64) + 1);
        match random.below(12) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..to)),
            2 if at < bytes.len() => bytes[at] = random.below(256) as u8,
            3 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            4 => bytes.splice(at..at, [0xff, 0xfe, 0x00]).for_each(drop),
            5 | 6 => bytes.splice(at..to, random.of(&NUMBERS).bytes()).for_each(drop),
            7 => bytes.splice(at..at, random.of(&SEPARATORS).bytes()).for_each(drop),
            8 => {
                let again = bytes[at..to].repeat(1 + random.below(200));
                bytes.splice(at..at, again).for_each(drop);
            }
            9 => {
                let other = random.of(corpus);
                let from = head.min(other.len()) + random.below(other.len().saturating_sub(head) + 1);
                bytes.splice(at..at, other[from..].iter().copied()).for_each(drop);
            }
            10 => {
                let number = [0_u32, 1, 2, 0xff, 0xffff, 0x7fff_ffff, 0x8000_0000, u32::MAX][random.below(8)];
                let number = &number.to_le_bytes()[..1 + random.below(4)];
                let end = (at + number.len()).min(bytes.len());
                bytes.splice(at..end, number.iter().copied()).for_each(drop);
            }
            _ => {
                let tail = bytes.split_off(at);
                bytes.extend(tail.rsplit(|byte| *byte == b'\n').flat_map(|line| [line, b"\n"].concat()));
            }
        }
    }
    bytes.truncate(INPUT_BYTES_MAX);
    bytes
}

/// Returns what a family's inputs start from, and how many bytes of each choose what it is for.
fn corpus(family: &Family) -> (Vec<Vec<u8>>, usize) {
    match family.name {
        "netlink" => (datagrams(), 0),
        "ethtool" => (drivers(), 2),
        "bus" => (bus(), 0),
        "flags" => (flags(), 1),
        name => (files(name), 2),
    }
}

/// Our own board's files, and what the shared trees have in the same place.
fn files(family: &str) -> Vec<Vec<u8>> {
    let trees = shared("corpus of the shared trees").map_or(Vec::new(), |shared| {
        ["node_exporter/v1.12.1/collector/fixtures", "edge/pi4-tree/tree"].map(|tree| shared.join(tree)).into()
    });
    let mut corpus = Vec::new();
    for (index, (path, good)) in files_of(family).into_iter().enumerate() {
        let others = trees.iter().filter_map(|tree| fs::read(tree.join(&path)).ok());
        for content in std::iter::once(good).chain(others) {
            corpus.push([&(index as u16).to_le_bytes()[..], &content].concat());
        }
    }
    corpus
}

fn datagrams() -> Vec<Vec<u8>> {
    let asked = [(Netlink::Route, 18), (Netlink::Route, 22), (Netlink::Route, 26), (Netlink::Route, 38)];
    let asked = asked.into_iter().chain([(Netlink::Sockets, 20), (Netlink::Generic, 16), (Netlink::Generic, 28)]);
    let mut corpus = Vec::new();
    for (protocol, question) in asked {
        for command in [2_u8, 5, 17, 32, 10] {
            let mut request = vec![0; 64];
            request[4..6].copy_from_slice(&u16::to_ne_bytes(question));
            request[16] = command;
            let mut datagram = Vec::new();
            let _ = netlink::answer(protocol, &request, &mut |kind, payload| {
                datagram.extend_from_slice(&(payload.len() as u32 + 16).to_ne_bytes());
                datagram.extend_from_slice(&kind.to_ne_bytes());
                datagram.extend_from_slice(&[0; 10]);
                datagram.extend_from_slice(payload);
                datagram.resize(datagram.len().next_multiple_of(4), 0);
            });
            if !datagram.is_empty() && !corpus.contains(&datagram) {
                corpus.push(datagram);
            }
        }
    }
    assert!(corpus.len() > 5, "{} datagrams", corpus.len());
    corpus
}

fn drivers() -> Vec<Vec<u8>> {
    let answer = |question| {
        let mut answer = Vec::new();
        netlink::ethtool("eth0", question, &mut answer).map(|()| answer).expect("eth0 answers")
    };
    let counters = answer(Ethtool::Counters);
    [Ethtool::CounterNames, Ethtool::Settings, Ethtool::Driver]
        .map(|question| {
            let names = answer(question);
            [&(names.len() as u16).to_le_bytes()[..], &names, &counters].concat()
        })
        .into()
}

static SAID: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// What a bus said to a collector that asked it, recorded.
fn bus() -> Vec<Vec<u8>> {
    systemd::told_while(|message| SAID.lock().expect("nobody panics with it").extend_from_slice(message));
    let said = std::mem::take(&mut *SAID.lock().expect("nobody panics with it"));
    assert!(said.len() > 500, "{} bytes", said.len());
    vec![[b"DATA\r\nOK 1234\r\n", said.as_slice()].concat()]
}

fn flags() -> Vec<Vec<u8>> {
    let all = exporters::COLLECTORS.iter().flat_map(|info| info.flags).filter(|flag| !flag.is_switch());
    all.enumerate().map(|(index, flag)| [&[index as u8], flag.default.as_bytes()].concat()).collect()
}

/// Returns the most memory that this process has taken, in kilobytes.
pub fn peak_kb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("a status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Returns a number from the environment.
pub fn from_env(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

#[test]
fn no_input_breaks_a_family_of_readers() {
    let seed = from_env("NARTHEX_FUZZ_SEED").unwrap_or(0x6a09_e667_f3bc_c908);
    let seconds = from_env("NARTHEX_FUZZ_SECONDS").map(Duration::from_secs);
    let written = std::env::var_os("NARTHEX_FUZZ_CORPUS");
    for family in &FAMILIES {
        let (corpus, head) = corpus(family);
        if let Some(folder) = &written {
            let folder = Path::new(folder).join(format!("collect_{}", family.name));
            fs::create_dir_all(&folder).expect("a folder can be made");
            for (index, input) in corpus.iter().enumerate() {
                fs::write(folder.join(format!("{index:04}")), input).expect("a file can be written");
            }
        }
        let (mut random, start, mut inputs) = (Random(seed), Instant::now(), 0_u64);
        while inputs < INPUTS.into() || seconds.is_some_and(|seconds| start.elapsed() < seconds) {
            let input = match corpus.get(inputs as usize) {
                Some(whole) => whole.clone(),
                None => damaged(&corpus, head, &mut random),
            };
            inputs += 1;
            if catch_unwind(AssertUnwindSafe(|| (family.run)(&input))).is_err() {
                let path = std::env::temp_dir().join(format!("narthex-fuzz-{}", family.name));
                fs::write(&path, &input).expect("a file can be written");
                panic!("{}: input {inputs} of seed {seed}, kept in {}", family.name, path.display());
            }
        }
        eprintln!("{}: {inputs} inputs in {:.1} s, peak {} kB", family.name, start.elapsed().as_secs_f64(), peak_kb());
    }
    assert!(peak_kb() < PEAK_KB_MAX, "{} kB", peak_kb());
}
