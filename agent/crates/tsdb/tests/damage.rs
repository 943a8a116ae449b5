//! Files that are not ours, and files of ours that were damaged: refused or served as far as they are whole, and never
//! a panic, whatever the bytes.

mod board;

use std::sync::Arc;

use board::{Board, Memory, at, options, rows, select};
use tsdb::{OpenError, Options, Store};

fn small() -> Options {
    Options { file_bytes: 256 << 10, tail_bytes: 0, ..options() }
}

/// A file with sealed blocks, a journal and cells.
fn lived() -> Vec<u8> {
    let mut board = Board::new(small());
    let mut seed = 7u64;
    for i in 0..700 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
        board.append(1, &[("a", f64::from_bits(seed)), ("b", f64::from(i)), ("c", f64::from_bits(seed ^ 77))]);
        board.store.put_cell("cell", &[i as u8, 1]).expect("small");
        board.pass(20_000);
    }
    board.store.flush(board.now);
    board.drain();
    assert!(board.store.stats().blocks > 3);
    board.disk.0.lock().expect("not poisoned").clone()
}

fn open(bytes: Vec<u8>) -> Result<(Store, tsdb::Recovery, Memory), OpenError> {
    let disk = Memory(Arc::new(std::sync::Mutex::new(bytes)));
    let (store, recovery) = Store::open(&mut disk.clone(), Arc::new(disk.clone()), None, small(), at(90_000_000))?;
    Ok((store, recovery, disk))
}

#[test]
fn what_is_not_ours_is_refused_and_left_as_it_is() {
    let mut zeros_first = vec![0; 300_000];
    zeros_first[70_000] = 1;
    for bytes in [b"SQLite format 3\0".repeat(9_000), vec![b'x'], zeros_first] {
        let disk = Memory(Arc::new(std::sync::Mutex::new(bytes.clone())));
        let opened = Store::open(&mut disk.clone(), Arc::new(disk.clone()), None, small(), at(0));
        assert!(matches!(opened, Err(OpenError::NotOurs { .. })));
        assert_eq!(*disk.0.lock().expect("not poisoned"), bytes);
    }
    let mut other = lived();
    let second = (0..other.len()).step_by(4096).skip(1).find(|at| other[*at..].starts_with(b"NARTHEX")).expect("two");
    for place in [0, second] {
        other[place + 12] = 9;
    }
    assert!(matches!(open(other), Err(OpenError::Version { found: 9, expected: 3 })));
}

#[test]
fn any_flipped_byte_is_survived_and_costs_little() {
    let whole = lived();
    let (store, ..) = open(whole.clone()).expect("whole");
    let all = rows(&store.reader(), 500);
    let (mut worst, mut step) = (all.len(), 0usize);
    for at in (0..whole.len()).step_by(61) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        step += 1;
        let (store, ..) = open(bytes).unwrap_or_else(|error| panic!("byte {at}: {error}"));
        let found = rows(&store.reader(), 500);
        worst = worst.min(found.len());
        for row in &found {
            assert!(
                all.binary_search_by_key(&row.0, |known| known.0).is_ok_and(|k| all[k] == *row),
                "byte {at}: {row:?}"
            );
        }
        select(&store.reader(), &[]);
    }
    println!("{step} flips, at worst {worst} of {} rows are left", all.len());
    assert!(worst * 2 > all.len(), "{worst} of {}", all.len());
}

#[test]
fn random_garbage_in_every_page_never_panics() {
    let whole = lived();
    for page in 0..whole.len() / 4096 {
        let mut bytes = whole.clone();
        let mut seed = page as u64 + 1;
        for byte in &mut bytes[page * 4096..(page + 1) * 4096] {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *byte = (seed >> 33) as u8;
        }
        let (store, ..) = open(bytes).unwrap_or_else(|error| panic!("page {page}: {error}"));
        rows(&store.reader(), 1_000);
    }
}

/// As a write that went astray leaves it, or one that a medium acknowledged and forgot.
#[test]
fn a_whole_page_in_the_place_of_another_costs_what_goes_through_it_and_is_told() {
    let options = Options { block_bytes_max: 24 << 10, file_bytes: 512 << 10, ..small() };
    let mut board = Board::new(options.clone());
    let mut seed = 7u64;
    for _ in 0..4_000 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
        board.append(1, &[("a", f64::from_bits(seed)), ("b", f64::from_bits(seed ^ 77))]);
        board.pass(1_000);
    }
    board.store.seal(board.now);
    board.store.flush(board.now);
    board.drain();
    let whole = board.disk.0.lock().expect("not poisoned").clone();
    let disk = |bytes| Memory(Arc::new(std::sync::Mutex::new(bytes)));
    let open = |bytes| Board::open(disk(bytes), Vec::new(), options.clone(), board.now);
    let all = rows(&open(whole.clone()).0.store.reader(), 500).len();
    let pages: Vec<usize> = (0..whole.len()).step_by(4096).filter(|at| whole[at + 4..].starts_with(b"NXbk")).collect();
    let mut costly = 0;
    for to in &pages {
        // By a block's first page it is known where it begins; one of an older block hides those between. That the oldest
        // is missing nobody can know.
        let (is_first, is_oldest) = (whole[*to + 12] == 0, whole[*to + 16] == 1);
        if is_first && is_oldest {
            continue;
        }
        for from in pages.iter().filter(|from| *from != to) {
            let mut bytes = whole.clone();
            bytes.copy_within(*from..from + 4096, *to);
            let (board, recovery) = open(bytes);
            let found = rows(&board.store.reader(), 500).len();
            assert!(found <= all && (is_first || found + 2_000 > all), "page {from} at {to}: {found} of {all}");
            select(&board.store.reader(), &[]);
            let told = board.store.reader().stats().damaged_pages + recovery.damaged_blocks;
            assert!(found == all || told > 0, "page {from} at {to}: {found} of {all}, {recovery:?}");
            costly += usize::from(found < all);
        }
    }
    assert!(costly > 20, "{costly}");
}

#[test]
fn a_truncated_file_is_served_as_far_as_it_goes() {
    let whole = lived();
    for pages in 1..whole.len() / 4096 {
        let mut bytes = whole.clone();
        bytes.truncate(pages * 4096 - 1_000);
        match open(bytes) {
            Ok((store, recovery, disk)) => {
                assert!(recovery.truncated);
                assert_eq!(disk.0.lock().expect("not poisoned").len(), whole.len());
                rows(&store.reader(), 1_000);
            }
            Err(error) => assert!(pages == 1, "{pages} pages: {error}"),
        }
    }
}

/// While there is one block there is one checkpoint. When that rots the journal may still have the block's stream, or
/// its beginning only, because journalling was given up or its pages were written over: whatever has more rows counts.
#[test]
fn the_first_block_is_whole_when_its_only_checkpoint_rots() {
    let lives = [(300, 300, 0), (300, 300, 40), (1_500, 0, 0), (1_500, 0, 40), (1_500, 130, 0), (1_500, 130, 40)];
    for (batches, syncs, more) in lives {
        let options = Options { file_bytes: 1 << 20, tail_bytes: 0, ..options() };
        let (mut board, mut seed) = (Board::new(options.clone()), 5u64);
        let mut append = |board: &mut Board| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
            board.append(
                1,
                &[("a", f64::from_bits(seed)), ("b", f64::from_bits(!seed)), ("c", f64::from_bits(seed ^ 7))],
            );
            board.now = at(board.now.mono.0 + 1_000);
        };
        for i in 0..batches {
            append(&mut board);
            if i < syncs && i % 60 == 0 {
                board.store.flush(board.now);
                board.drain();
            }
        }
        board.store.put_cell("cell", &[7]).expect("small");
        board.pass(7_200_000);
        while board.store.stats().blocks == 0 {
            board.pass(1);
        }
        for _ in 0..more {
            append(&mut board);
        }
        board.store.flush(board.now);
        board.drain();
        assert_eq!(board.store.stats().blocks, 1);
        let all = rows(&board.store.reader(), 500);
        let mut bytes = board.disk.0.lock().expect("not poisoned").clone();
        let slot =
            (0..bytes.len()).step_by(4096).find(|at| bytes[at + 4..].starts_with(b"NXck")).expect("a checkpoint");
        bytes[slot + 100] ^= 1;
        let disk = Memory(Arc::new(std::sync::Mutex::new(bytes)));
        for opening in 0..2 {
            let (again, recovery) = Board::open(disk.clone(), Vec::new(), options.clone(), board.now);
            assert_eq!(rows(&again.store.reader(), 500), all, "{batches} {syncs} {more}, {opening}: {recovery:?}");
            assert!(opening > 0 || recovery.damaged_pages > 0, "{recovery:?}");
        }
    }
}
