//! Files that cannot be read: each file of our own board in turn answers with an error, vanishes between listing and
//! reading, is a folder or a pipe, or is longer than anything the kernel prints. The lane must come back each time,
//! tell the other collectors, and print text that our own parser takes.
//!
//! The errors are real ones: `/proc/self/mem` answers EIO at its start, `/proc/self/clear_refs` EINVAL, and a pipe
//! that somebody writes to and that is empty EAGAIN.

use std::fs;
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

use exporters::Lane;
use rustix::fs::{CWD, FileType, Mode, OFlags};

use crate::mutation::files;
use crate::own::{board, flags, mounts};
use crate::support::{Folder, copy, lane_over, printed};

/// Makes a copy of our own board and a lane over it.
fn lane(name: &str) -> (Folder, Lane, Vec<PathBuf>) {
    let folder = Folder::new(name);
    copy(&board(), &folder.0);
    let mut found = Vec::new();
    files(&folder.0, &mut found);
    found.retain(|path| !path.ends_with("expected.prom"));
    assert!(found.len() > 100, "{found:?}");
    let flags = flags(&folder.0);
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let lane = lane_over(&folder.0, &flags, mounts(&folder.0));
    (folder, lane, found)
}

fn check(lane: &mut Lane, case: &str) {
    let text = printed(lane);
    assert!(text.contains("node_scrape_collector_success{collector=\"uname\"} 1\n"), "{case}");
    let mut batch = model::Batch::new();
    if let Err(error) = exposition::parse_text(text.as_bytes(), &mut batch) {
        panic!("{case}: {error}\n{text}");
    }
}

fn remove(path: &Path) {
    if path.is_dir() && !path.is_symlink() { fs::remove_dir(path) } else { fs::remove_file(path) }
        .expect("something to remove");
}

fn pipe(path: &Path) {
    rustix::fs::mknodat(CWD, path, FileType::Fifo, Mode::from_bits_truncate(0o600), 0).expect("a pipe can be made");
}

#[test]
fn files_that_cannot_be_read_are_survived() {
    let (_folder, mut lane, found) = lane("odd");
    let whole = printed(&mut lane).lines().count();
    let mut failures = 0;
    for path in &found {
        let good = fs::read(path).expect("a readable file");
        for kind in ["EIO", "EINVAL", "gone", "folder", "silent pipe", "EAGAIN"] {
            remove(path);
            let mut writer = None;
            match kind {
                "EIO" => symlink("/proc/self/mem", path).expect("a link"),
                "EINVAL" => symlink("/proc/self/clear_refs", path).expect("a link"),
                "gone" => symlink("nowhere", path).expect("a link"),
                "folder" => fs::create_dir(path).expect("a folder"),
                _ => pipe(path),
            }
            if kind == "EAGAIN" {
                let flags = OFlags::NONBLOCK.bits() as i32;
                writer =
                    Some(fs::File::options().read(true).write(true).custom_flags(flags).open(path).expect("both ends"));
            }
            check(&mut lane, &format!("{} {kind}", path.display()));
            failures += lane.failures().len();
            drop(writer);
        }
        remove(path);
        fs::write(path, &good).expect("a writable file");
    }
    assert!(failures > found.len() * 3, "only {failures} failures were noticed");
    assert_eq!(printed(&mut lane).lines().count(), whole, "files that are whole again are believed again");
}

#[test]
fn files_longer_than_the_limit_are_survived() {
    let (_folder, mut lane, found) = lane("long");
    for path in &found {
        let good = fs::read(path).expect("a readable file");
        let file = fs::File::options().write(true).open(path).expect("a writable file");
        // Zeros that take no room on the disk.
        file.set_len(exporters::host::FILE_BYTES_MAX as u64 + 1).expect("a long file");
        check(&mut lane, &path.display().to_string());
        fs::write(path, &good).expect("a writable file");
    }
}

#[test]
fn a_hundred_megabytes_of_text_are_refused_at_once() {
    let (folder, mut lane, _) = lane("huge");
    let file = fs::File::create(folder.0.join("textfile/huge.prom")).expect("a file can be made");
    file.set_len(100 << 20).expect("a long file");
    let text = printed(&mut lane);
    assert!(text.contains("node_textfile_scrape_error 1\n"), "{text}");
    assert!(text.contains("node_textfile_mtime_seconds{"), "the others are told");
    let failure = lane.failures().iter().find(|failure| failure.collector == "textfile").expect("said");
    assert!(failure.error.to_string().contains(".prom"), "{}", failure.error);
}

#[test]
fn text_files_that_are_too_much_together_are_left_out() {
    let (folder, mut lane, _) = lane("much");
    for name in ["much_a", "much_b"] {
        let comments = "# nothing\n".repeat(900_000);
        fs::write(folder.0.join(format!("textfile/{name}.prom")), format!("{comments}{name} 1\n")).expect("a file");
    }
    let text = printed(&mut lane);
    assert!(text.contains("\nmuch_a 1\n") && !text.contains("\nmuch_b 1\n"), "{text}");
    assert!(text.contains("node_textfile_scrape_error 1\n"));
    fs::remove_file(folder.0.join("textfile/much_a.prom")).expect("a file to remove");
    assert!(printed(&mut lane).contains("\nmuch_b 1\n"), "now it is not too much");
}

#[test]
fn ten_thousand_text_files_are_bounded_and_said() {
    let (folder, mut lane, _) = lane("many");
    let directory = folder.0.join("textfile");
    for entry in fs::read_dir(&directory).expect("a readable folder") {
        fs::remove_file(entry.expect("an entry").path()).expect("a file to remove");
    }
    for number in 0..10_000 {
        fs::write(directory.join(format!("f{number:05}.prom")), format!("m{{n=\"{number}\"}} 1\n")).expect("a file");
    }
    let text = printed(&mut lane);
    let told = |start: &str| text.lines().filter(|line| line.starts_with(start)).count();
    assert_eq!([told("m{"), told("node_textfile_mtime_seconds{")], [4_096, 4_096]);
    assert!(text.contains("node_textfile_scrape_error 1\n"));
    let failure = lane.failures().iter().find(|failure| failure.collector == "textfile").expect("said");
    assert!(failure.error.to_string().ends_with("expected at most 4096 files"), "{}", failure.error);
}
