//! What the agent does not start with, and what it starts with all the same.
//!
//! Mistakes of the person who starts it are named, all at once, with their place, and the exit status is 1. A file
//! that is not ours is not touched. A file that is ours and damaged is served as far as it is whole.

use std::fs;
use std::path::PathBuf;

use support::agent::{Agent, free_address};
use support::process::Process;
use support::receiver::Receiver;
use support::wait;

use crate::held::{LONG, QUICK, assert_none, collections, count, held, missing, newest, value};

/// Starts an agent that is to fail and returns what it said.
fn refused(agent: &mut Agent) -> String {
    agent.launch();
    let status = agent.process().wait(wait::SOON);
    let said = agent.process().stderr();
    assert_eq!(status.code(), Some(1), "{status}: {said}");
    said
}

fn data_file(agent: &Agent) -> PathBuf {
    agent.data_folder().join("narthex.ring")
}

#[test]
fn a_taken_port_names_the_flag() {
    let taken = Receiver::start();
    let mut agent = Agent::new(QUICK).arg(&format!("--web.listen-address={}", taken.address()));
    // Its own address comes later on the command line and would win.
    let address = taken.address();
    let mut command = std::process::Command::new(support::agent::program());
    command.args([
        format!("--config.file={}", agent.folder().path().join("narthex.yml").display()),
        format!("--storage.path={}", agent.data_folder().display()),
        format!("--web.listen-address={address}"),
    ]);
    let mut process = Process::start("narthex", &mut command);
    let status = process.wait(wait::SOON);
    let said = process.stderr();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("--web.listen-address") && said.contains(&address.to_string()), "{said}");
    assert!(!data_file(&agent).exists(), "nothing is made before the port is had");
    agent.start();
}

#[test]
fn every_mistake_of_a_configuration_is_listed_with_its_place() {
    let config = "
global: {scrape_intervall: 1s}
rule_files: ['{folder}/rules.yml', '{folder}/nowhere.yml']
storage: {sync_interval: soon, size: [1]}
web: {listen_address: 'here'}
";
    let mut agent = Agent::new(config);
    agent.folder().write(
        "rules.yml",
        "groups:\n  - name: a\n    rules:\n      - {record: x, expr: 'sum(1'}\n      - {alert: 1}\n",
    );
    let said = refused(&mut agent);
    let places = [
        "narthex.yml:2:10:",
        "narthex.yml:3:",
        "narthex.yml:4:26:",
        "narthex.yml:4:38:",
        "narthex.yml:5:",
        "rules.yml:4:",
        "rules.yml:5:",
    ];
    for place in places {
        assert!(said.contains(place), "{place} is not listed:\n{said}");
    }
    assert!(said.contains("did you mean") || said.contains("expected scrape_interval"), "{said}");
    assert!(!data_file(&agent).exists(), "nothing is made from a configuration with mistakes");
}

#[test]
fn a_file_that_is_not_ours_is_refused_and_not_changed() {
    let made = Agent::new(QUICK).started();
    let mut another = Agent::new(QUICK);
    let mut ours = {
        let mut agent = made;
        assert!(agent.terminate().success());
        fs::read(data_file(&agent)).expect("it was made")
    };
    set_version(&mut ours, 99);
    let programs: [(&str, &str, Vec<u8>); 3] = [
        ("a database", "SQLite", [b"SQLite format 3\0".as_slice(), &[7; 100_000]].concat()),
        ("a text", "not a ri", b"not a ring at all\n".repeat(1_000)),
        ("another version", "99", ours),
    ];
    for (what, found, bytes) in programs {
        let path = another.folder().write("data/narthex.ring", &bytes);
        let said = refused(&mut another);
        assert!(said.contains(&path.display().to_string()) && said.contains(found), "{what}: {said}");
        assert!(fs::read(&path).expect("it is there") == bytes, "{what} was changed");
        println!("{what}: {}", said.trim());
    }
}

/// Writes a version into every superblock, as `tsdb/LAYOUT.md` draws it: the magic, a checksum of all behind it, the
/// version.
fn set_version(file: &mut [u8], version: u32) {
    let mut superblocks = 0;
    for page in file.chunks_exact_mut(4_096).filter(|page| page.starts_with(b"NARTHEX\n")) {
        page[12..16].copy_from_slice(&version.to_le_bytes());
        let crc = crc32c(&page[12..]);
        page[8..12].copy_from_slice(&crc.to_le_bytes());
        superblocks += 1;
    }
    assert_eq!(superblocks, 2, "the layout has changed");
}

/// CRC-32 of Castagnoli, bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32| crc >> 1 ^ (0x82f6_3b78 * (crc & 1));
    !bytes.iter().fold(!0, |crc: u32, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}

#[test]
fn a_second_agent_on_one_file_is_refused() {
    let first = Agent::new(QUICK).started();
    let mut command = std::process::Command::new(support::agent::program());
    command.args([
        format!("--storage.path={}", first.data_folder().display()),
        format!("--web.listen-address={}", free_address()),
    ]);
    let mut second = Process::start("narthex", &mut command);
    assert_eq!(second.wait(wait::SOON).code(), Some(1));
    let said = second.stderr();
    assert!(said.contains("--storage.path") && said.contains("narthex.ring"), "{said}");
}

/// Fills a file with a few collections, each with its own sync, and ends; returns what it held up to a time.
fn filled() -> (Agent, crate::held::Samples, i64) {
    let mut agent = Agent::new(&QUICK.replace("sync_interval: 1h", "sync_interval: 1s, tail: none")).started();
    collections(&mut agent, 5);
    let until = newest(&agent).expect("it has collected");
    let held = held(agent.address(), "{__name__=~\".+\"}", until);
    assert!(agent.terminate().success());
    (agent, held, until)
}

/// Starts it again over a damaged file and returns how many of the samples are still served; none may be new.
fn served(agent: &mut Agent, before: &crate::held::Samples, until: i64) -> usize {
    agent.start();
    collections(agent, 1);
    let after = held(agent.address(), "{__name__=~\".+\"}", until);
    assert_none("made up", &missing(&after, before));
    count(&after)
}

#[test]
fn a_flipped_bit_costs_what_it_hits_and_is_counted_once() {
    let (mut agent, before, until) = filled();
    let path = data_file(&agent);
    let mut bytes = fs::read(&path).expect("it was made");
    // What is not zero behind the superblocks are the journal's pages, which are needed from the first on: one near
    // the end is hit.
    let pages: Vec<usize> =
        (2..bytes.len() / 4_096).filter(|page| bytes[page * 4_096..][..4_096].iter().any(|b| *b != 0)).collect();
    let hit = pages[pages.len() - 2] * 4_096 + 100;
    bytes[hit] ^= 4;
    fs::write(&path, &bytes).expect("our own file");
    let rest = served(&mut agent, &before, until);
    assert!(0 < rest && rest < count(&before), "{rest} of {} with {} pages", count(&before), pages.len());
    let damaged = value(&agent, "narthex_storage_damaged_pages_total").expect("it is counted");
    assert!(damaged >= 1.0, "{damaged}");
    let said = agent.process().stderr();
    assert_eq!(said.matches("damaged").count(), 1, "{said}");
    println!("a flipped bit: {rest} of {} samples are served, {damaged} pages counted", count(&before));
}

#[test]
fn a_truncated_file_is_served_as_far_as_it_goes() {
    let (mut agent, before, until) = filled();
    let path = data_file(&agent);
    let length = fs::metadata(&path).expect("it was made").len();
    for part in [2, 100, 1_000] {
        let file = fs::OpenOptions::new().write(true).open(&path).expect("our own file");
        file.set_len(length / part).expect("it can be cut");
        drop(file);
        let rest = served(&mut agent, &before, until);
        let said = agent.process().stderr();
        assert_eq!(said.matches("cut short").count(), 1, "{said}");
        println!("1/{part} of the file: {rest} of {} samples are served", count(&before));
        wait::until_true(LONG, "new samples", || newest(&agent).is_some_and(|at| at > until));
        assert!(agent.terminate().success());
    }
}
