//! Every column comes back bit for bit, read from its start or from anywhere; and the sizes that make it worth it.

use super::*;
use crate::codec::{Item, State, TokenReader};
use crate::column::{ColumnReader, Sealer, TOKENS};

fn random(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

fn check(values: &[f64], starts: &[(u32, Option<i64>)], seed: &mut u64) -> usize {
    let (mut packer, mut bytes) = (Packer::default(), Vec::new());
    packer.floats(values, starts, &mut bytes);
    let start_of = |at: usize| starts.iter().rev().find(|(from, _)| *from as usize <= at).and_then(|(_, start)| *start);
    let mut reader = PackedReader::new(&bytes).expect("what was packed");
    for (at, value) in values.iter().enumerate() {
        let found = reader.next(&bytes).unwrap_or_else(|| panic!("value {at} of {}", values.len()));
        assert_eq!(found.to_bits(), value.to_bits(), "value {at}: {found} for {value}");
        assert_eq!(reader.start(), start_of(at), "start of {at}");
    }
    assert_eq!(reader.next(&bytes), None);
    for _ in 0..20 {
        let (mut reader, mut at) = (PackedReader::new(&bytes).expect("what was packed"), 0);
        while at < values.len() {
            let skipped = random(seed) as usize % (values.len() - at);
            reader.skip(&bytes, skipped as u32).expect("so many");
            at += skipped;
            assert_eq!(reader.next(&bytes).map(f64::to_bits), Some(values[at].to_bits()), "value {at} behind a skip");
            assert_eq!(reader.start(), start_of(at));
            at += 1;
        }
        assert_eq!(reader.skip(&bytes, 1), None);
    }
    for cut in 0..bytes.len() {
        let Some(mut reader) = PackedReader::new(&bytes[..cut]) else { continue };
        let mut count = 0;
        for value in values {
            match reader.next(&bytes[..cut]) {
                Some(found) => assert_eq!(found.to_bits(), value.to_bits(), "cut at {cut}"),
                None => break,
            }
            count += 1;
        }
        if starts.is_empty() {
            check_many(&bytes[..cut], &values[..count], values.len(), seed);
        }
    }
    if starts.is_empty() {
        check_many(&bytes, values, values.len(), seed);
    }
    bytes.len()
}

/// Many values at once are what they are one by one, as far as there are any.
fn check_many(bytes: &[u8], values: &[f64], claimed: usize, seed: &mut u64) {
    let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    let (mut reader, mut found) = (PackedReader::new(bytes).expect("what was packed"), Vec::new());
    assert!(reader.has_no_starts());
    loop {
        let (most, before) = (random(seed) as u32 % [3, 20, 200][random(seed) as usize % 3], found.len());
        let is_all = reader.floats(bytes, most, &mut found);
        assert_eq!((reader.count() as usize, is_all), (found.len(), found.len() - before == most as usize));
        if !is_all {
            break;
        }
        if random(seed).is_multiple_of(4) {
            let skipped = (random(seed) as usize % 30).min(claimed - found.len());
            let is_there = reader.skip(bytes, skipped as u32).is_some();
            assert_eq!(is_there, found.len() + skipped <= values.len());
            if !is_there {
                break;
            }
            found.extend_from_slice(&values[found.len()..found.len() + skipped]);
        }
    }
    assert_eq!(bits(&found), bits(&values[..found.len()]));
    let step = 1 + random(seed) as usize % [2, 12, 300][random(seed) as usize % 3];
    let places: Vec<u32> = (random(seed) as usize % step..claimed).step_by(step).map(|place| place as u32).collect();
    let (mut reader, mut found) = (PackedReader::new(bytes).expect("what was packed"), Vec::new());
    reader.floats_at(bytes, &places, &mut found);
    let there: Vec<f64> = places.iter().filter_map(|place| values.get(*place as usize).copied()).collect();
    assert_eq!(bits(&found), bits(&there), "every {step}");
}

#[test]
fn odd_floats_come_back_bit_for_bit() {
    let seed = &mut 3;
    let odd = [
        0.0,
        -0.0,
        f64::NAN,
        f64::from_bits(0x7ff0_0000_0000_0002),
        f64::from_bits(0xfff8_dead_beef_0001),
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MIN_POSITIVE / 4.0,
        f64::from_bits(1),
        f64::MAX,
        f64::MIN,
        9_223_372_036_854_775_807.0,
        -9_223_372_036_854_775_808.0,
        0.1 + 0.2,
        1e-15,
        123_456.789,
    ];
    check(&[], &[], seed);
    check(&odd, &[], seed);
    for a in odd {
        check(&[a], &[(0, Some(7))], seed);
        for b in odd {
            check(&[a, b, a, a, b, b, 1.5, a, a, a, a, a, a, a, a, a, a, a, b], &[], seed);
            let mut mostly = vec![2.5; 100];
            (mostly[17], mostly[99]) = (a, b);
            check(&mostly, &[(3, Some(1)), (50, None), (99, Some(i64::MIN + 1))], seed);
        }
    }
}

#[test]
fn random_mixtures_come_back() {
    for round in 1..400u64 {
        let seed = &mut round.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let kind = random(seed) % 9;
        let mut level = (random(seed) % 1_000_000) as i64;
        let values: Vec<f64> = (0..1 + random(seed) % 300)
            .map(|_| {
                level += (random(seed) % 1_000) as i64 - if kind == 1 { 0 } else { 500 };
                match if kind == 8 { random(seed) % 8 } else { kind } {
                    0 => f64::from_bits(random(seed)),
                    1 => level as f64 * 4096.0,
                    2 => level as f64 / 1000.0,
                    3 => level as f64 * 0.001,
                    4 => level as f64 / 1000.0 / 1000.0,
                    5 => 1.8e9 + level as f64 / 1e7,
                    6 if random(seed).is_multiple_of(40) => f64::NAN,
                    6 => 42.0,
                    _ => random(seed) as i64 as f64,
                }
            })
            .collect();
        check(&values, &[], seed);
    }
}

#[test]
fn integers_come_back_and_are_found_by_value() {
    let seed = &mut 11;
    for round in 0..200 {
        let mut value = random(seed) as i64 >> (random(seed) % 60);
        let values: Vec<i64> = (0..1 + random(seed) % 400)
            .map(|i| {
                value = match round % 4 {
                    0 => random(seed) as i64,
                    1 => value.saturating_add(15_000),
                    2 => value.saturating_add((random(seed) % 20_000) as i64),
                    _ => value.saturating_add(if i / 50 % 2 == 0 { 0 } else { (random(seed) % 3) as i64 }),
                };
                value
            })
            .collect();
        let (mut packer, mut bytes) = (Packer::default(), Vec::new());
        packer.integers(&values, &mut bytes);
        let mut reader = ColumnReader::sealed(&bytes).expect("what was packed");
        for value in &values {
            assert_eq!(reader.next_int(&bytes, 0), Some(*value));
        }
        assert_eq!(reader.next_int(&bytes, 0), None);
        let (mut reader, mut many) = (ColumnReader::sealed(&bytes).expect("what was packed"), Vec::new());
        while reader.ints(&bytes, 0, 1 + random(seed) as u32 % 90, &mut many) > 0 {}
        assert_eq!(many, values);
        let (mut reader, mut found) = (ColumnReader::sealed(&bytes).expect("what was packed"), Vec::new());
        while found.len() < values.len()
            && let Some((value, count)) = reader.next_ints(&bytes, 0, (values.len() - found.len()) as u32)
        {
            found.extend(std::iter::repeat_n(value, count as usize));
        }
        assert_eq!(found, values);
        if values.is_sorted() {
            let least = values[random(seed) as usize % values.len()].saturating_sub((random(seed) % 3) as i64);
            let mut reader = ColumnReader::sealed(&bytes).expect("what was packed");
            let expected = values.iter().position(|value| *value >= least);
            let found = reader.next_not_below(&bytes, 0, least, values.len() as u32);
            assert_eq!((found, reader.count() as usize), (expected.map(|at| values[at]), expected.unwrap_or(0) + 1));
        }
    }
}

#[test]
fn a_sealed_column_is_never_much_longer_than_its_tokens_and_goes_on_where_they_were_read() {
    for round in 1..200u64 {
        let seed = &mut round.wrapping_mul(0x2545_f491_4f6c_dd1d);
        let values: Vec<f64> = (0..1 + random(seed) % 200)
            .map(|_| match random(seed) % 3 {
                0 => f64::from_bits(random(seed)),
                1 => 1.0,
                _ => (random(seed) % 50) as f64 / 4.0,
            })
            .collect();
        let (mut state, mut tokens, mut run) = (State::default(), Vec::new(), 0);
        for (at, value) in values.iter().enumerate() {
            if state.put_float(*value, Some(at as i64 / 40), &mut tokens) {
                run = 0;
            } else if run == 0 || run == 32 {
                tokens.push(0xc0);
                run = 1;
            } else {
                *tokens.last_mut().expect("a run") += 1;
                run += 1;
            }
        }
        let mut bytes = Vec::new();
        Sealer::default().values(&tokens, &mut bytes);
        assert!(bytes.len() <= tokens.len() + 1);
        let read = random(seed) as usize % values.len();
        let mut reader = TokenReader::default();
        reader.skip(&tokens, 0, read as u32).expect("so many");
        let mut reader = ColumnReader::Open(reader);
        reader.settle(&bytes, false).expect("a sealed column");
        assert_eq!(reader.at(), 0);
        for (at, value) in values.iter().enumerate().skip(read) {
            match reader.next(&bytes, 0) {
                Some(Item::Float(found)) => assert_eq!(found.to_bits(), value.to_bits(), "{round}: {at}"),
                other => panic!("{round}: value {at}: {other:?}"),
            }
            assert_eq!(reader.start(), Some(at as i64 / 40));
        }
        assert_eq!(reader.next(&bytes, 0), None);
    }
}

#[test]
fn usual_columns_are_small() {
    let seed = &mut 7;
    let counter: Vec<f64> = (0..720).map(|i| 1e6 + f64::from(i) * 15.0).collect();
    let busy: Vec<f64> = (0..720).map(|i| (f64::from(i) * 497.0 + (random(seed) % 9) as f64) / 100.0).collect();
    let milliseconds: Vec<f64> = (0..720).map(|_| (40_000 + random(seed) % 16) as f64 * 0.001).collect();
    assert!(check(&vec![1024.0; 720], &[], seed) <= 8);
    assert!(check(&counter, &[], seed) <= 16);
    assert!(check(&busy, &[], seed) <= 480, "{}", check(&busy, &[], seed));
    assert!(check(&milliseconds, &[], seed) <= 480, "{}", check(&milliseconds, &[], seed));
}

#[test]
fn any_bytes_are_read_without_harm() {
    for round in 1..30_000u64 {
        let seed = &mut round.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut bytes: Vec<u8> = if round.is_multiple_of(2) {
            (0..random(seed) % 40).map(|_| random(seed) as u8).collect()
        } else {
            let values: Vec<f64> = (0..40).map(|_| f64::from_bits(random(seed) >> (random(seed) % 64))).collect();
            let (mut packer, mut bytes) = (Packer::default(), Vec::new());
            packer.floats(&values, &[(5, Some(9)), (6, None)], &mut bytes);
            for _ in 0..1 + random(seed) % 3 {
                let at = random(seed) as usize % bytes.len().min(40);
                bytes[at] = random(seed) as u8;
            }
            bytes
        };
        if let Some(first) = bytes.first_mut()
            && *first != TOKENS
        {
            *first = PACKED | *first & 0x3f;
        }
        let Some(begun) = ColumnReader::sealed(&bytes) else { continue };
        let mut reader = begun.clone();
        (0..200).all(|_| reader.next(&bytes, 0).is_some());
        let mut reader = begun.clone();
        (0..200).all(|_| reader.next_int(&bytes, 0).is_some());
        let mut reader = begun.clone();
        (0..50).all(|i| reader.skip(&bytes, 0, i * i * 1_000).is_some() && reader.next(&bytes, 0).is_some());
        let mut reader = begun.clone();
        reader.ints(&bytes, 0, 5_000, &mut Vec::new());
        if let ColumnReader::Packed(packed) = begun.clone() {
            let mut found = Vec::new();
            packed.clone().floats(&bytes, 5_000, &mut found);
            packed.clone().floats_at(&bytes, &[0, 1, 70, 200_000], &mut found);
        }
        let mut reader = begun.clone();
        (0..50).all(|_| reader.next_ints(&bytes, 0, u32::MAX).is_some());
        let mut reader = begun;
        reader.next_not_below(&bytes, 0, i64::MAX, 100_000);
    }
}
