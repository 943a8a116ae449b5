//! What was squeezed comes back from anywhere; a damaged page costs the groups on it; any bytes are read without harm.

use model::ReadAt;

use super::*;
use crate::blob::Writer;
use crate::layout::{Geometry, KIND_BLOCK};

struct Bytes(Vec<u8>);

impl ReadAt for Bytes {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> std::io::Result<()> {
        let from = offset as usize;
        buf.copy_from_slice(self.0.get(from..from + buf.len()).ok_or(std::io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

fn random(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

/// A block of streams, some of which squeeze well; and all its bytes before that.
fn block() -> (Vec<u8>, Vec<u8>) {
    let (mut squeezer, mut all, mut seed) = (Squeezer::new(), Vec::new(), 5);
    for stream in 0..200u64 {
        let length = if stream == 70 { 150_000 } else { random(&mut seed) % 2_000 };
        let bytes: Vec<u8> =
            (0..length).map(|i| if stream % 3 == 0 { random(&mut seed) as u8 } else { (i / 9) as u8 }).collect();
        squeezer.add(&mut |out| out.extend_from_slice(&bytes));
        all.extend_from_slice(&bytes);
        if stream == 10 {
            squeezer.cut();
        }
    }
    squeezer.cut();
    let (directory, groups) = squeezer.take();
    let groups = groups.concat();
    let meta = Meta { directory_bytes: directory.len() as u32, ..Meta::default() };
    let mut payload = Vec::new();
    meta.put(&mut payload);
    payload.extend_from_slice(&directory);
    payload.extend_from_slice(&groups);
    assert!(payload.len() < all.len() * 2 / 3, "{} of {}", payload.len(), all.len());
    (payload, all)
}

fn file(payload: &[u8]) -> Vec<u8> {
    let geometry = Geometry::of(1 << 20);
    let mut file = vec![0; 1 << 20];
    let pages = payload.len().div_ceil(BLOB_PAYLOAD) as u32;
    let mut writer = Writer::new(5, KIND_BLOCK, geometry.ring(3), 9, pages, 1);
    let mut put = |(offset, run): (u64, Vec<u8>)| file[offset as usize..][..run.len()].copy_from_slice(&run);
    for part in payload.chunks(3_000) {
        writer.add(part);
        writer.take_run().into_iter().for_each(&mut put);
    }
    writer.finish().into_iter().for_each(&mut put);
    file
}

#[test]
fn what_was_squeezed_comes_back_from_anywhere() {
    let (payload, all) = block();
    let bytes = Bytes(file(&payload));
    let mut pages = Pages::new(&bytes, 5, Geometry::of(1 << 20));
    let (_, groups) = Groups::load(&mut pages, 9, 3).expect("a block");
    let (mut unpacker, mut seed, mut out) = (Unpacker::default(), 3, Vec::new());
    for _ in 0..500 {
        let from = random(&mut seed) as usize % all.len();
        let len = random(&mut seed) as usize % (all.len() - from).min(90_000);
        out.clear();
        groups.bytes(&mut pages, &mut unpacker, (from as u32, len as u32), &mut out).expect("all is whole");
        assert_eq!(out, all[from..from + len]);
    }
    assert!(unpacker.kept_bytes <= KEPT_BYTES_MAX);
    let beyond = groups.bytes(&mut pages, &mut unpacker, (all.len() as u32 - 1, 2), &mut out);
    assert!(matches!(beyond, Err((Fault::Damaged, _))));
}

/// Reads groups of so many bytes, and counts how many were not at hand.
fn read_each(unpacker: &mut Unpacker, groups: impl Iterator<Item = ((u64, u32), usize)>) -> usize {
    let mut loads = 0;
    for (key, bytes) in groups {
        let mut load = |out: &mut Vec<u8>| {
            loads += 1;
            out.resize(bytes, key.0 as u8);
            Ok(())
        };
        let found = unpacker.group(key, bytes, &mut load).expect("it stands as it is");
        assert_eq!(found, vec![key.0 as u8; bytes]);
        let kept: usize = unpacker.kept.iter().map(|(_, group)| group.capacity()).sum();
        assert!(kept == unpacker.kept_bytes && (kept <= unpacker.kept_bytes_max || unpacker.kept.len() == 1), "{kept}");
    }
    loads
}

#[test]
fn blocks_that_are_read_in_turn_keep_what_fits() {
    let mut unpacker = Unpacker { kept_bytes_max: 10_000, ..Unpacker::default() };
    let turn = || (0..20u64).map(|block| ((block, 0), 1_000));
    assert_eq!(read_each(&mut unpacker, turn()), 20);
    for _ in 0..5 {
        assert_eq!(read_each(&mut unpacker, turn()), 10, "as many are found as there is room for");
    }
    let next = (0..20u64).map(|block| ((block, 1), 1_000));
    assert_eq!(read_each(&mut unpacker, next.clone()), 20);
    assert_eq!(read_each(&mut unpacker, next), 10, "the next of a block takes the place of its last");
}

#[test]
fn a_smaller_part_is_kept_to_with_the_next_group() {
    let mut unpacker = Unpacker { kept_bytes_max: 100_000, ..Unpacker::default() };
    let seed = &mut 9;
    let mut some = |count: usize| {
        let some: Vec<_> = (0..count).map(|_| ((random(seed) % 12, random(seed) as u32 % 5), 0)).collect();
        // A group has always the same size.
        some.into_iter().map(|(key, _)| (key, 300 + (key.0 * 7_919 + u64::from(key.1) * 104_729) as usize % 15_000))
    };
    read_each(&mut unpacker, some(300));
    assert!(unpacker.kept_bytes > 50_000, "{}", unpacker.kept_bytes);
    for kept_bytes_max in [40_000, 1_000, 0, 100_000] {
        unpacker.kept_bytes_max = kept_bytes_max;
        read_each(&mut unpacker, some(200));
    }
    unpacker.forget();
    assert_eq!((unpacker.kept_bytes, unpacker.kept.len()), (0, 0));
}

#[test]
fn a_damaged_page_costs_the_groups_on_it() {
    let (payload, all) = block();
    let mut damaged = file(&payload);
    let place = Geometry::of(1 << 20).ring(3 + 5) as usize;
    damaged[place + 1_000] ^= 1;
    let bytes = Bytes(damaged);
    let mut pages = Pages::new(&bytes, 5, Geometry::of(1 << 20));
    let (_, groups) = Groups::load(&mut pages, 9, 3).expect("a block");
    let (mut lost, mut out) = (0, Vec::new());
    for from in (0..all.len() - 100).step_by(100) {
        out.clear();
        match groups.bytes(&mut pages, &mut Unpacker::default(), (from as u32, 100), &mut out) {
            Ok(()) => assert_eq!(out, all[from..from + 100]),
            Err((Fault::Damaged, 5)) => lost += 100,
            other => panic!("{other:?}"),
        }
    }
    assert!(lost > 0 && lost < 3 * GROUP_BYTES_MAX, "{lost}");
}

#[test]
fn any_bytes_are_read_without_harm() {
    let (payload, all) = block();
    for round in 1..600u64 {
        let seed = &mut round.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut forged = payload.clone();
        for _ in 0..1 + random(seed) % 4 {
            let within = if random(seed).is_multiple_of(2) { forged.len() } else { META_HEAD + 200 };
            let at = random(seed) as usize % within;
            forged[at] = random(seed) as u8;
        }
        let bytes = Bytes(file(&forged));
        let mut pages = Pages::new(&bytes, 5, Geometry::of(1 << 20));
        let Ok((_, groups)) = Groups::load(&mut pages, 9, 3) else { continue };
        for from in (0..all.len() as u32).step_by(10_007) {
            let mut out = Vec::new();
            let _ = groups.bytes(&mut pages, &mut Unpacker::default(), (from, 5_000), &mut out);
            assert!(out.len() <= 5_000);
        }
    }
}

#[test]
fn squeezing_takes_little_memory_beside_what_is_squeezed() {
    let (mut squeezer, mut seed) = (Squeezer::new(), 7);
    for _ in 0..8 {
        squeezer.add(&mut |out| out.extend((0..GROUP_BYTES_MAX).map(|_| (random(&mut seed) % 17) as u8)));
    }
    let taken = squeezer.compressor.as_mut().expect("a compressor").context_mut().sizeof();
    assert!(taken <= 384 << 10, "{taken} bytes");
    assert_eq!(squeezer.squeezed.capacity(), GROUP_BYTES_MAX);
}
