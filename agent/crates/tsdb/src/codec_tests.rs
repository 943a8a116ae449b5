//! Every f64 comes back bit for bit, whatever stands before and after it; and the sizes that make it worth it.

use super::*;

/// Writes values as a column does and returns its bytes.
fn column(values: &[f64]) -> Vec<u8> {
    let (mut state, mut out, mut run) = (State::default(), Vec::new(), 0);
    for value in values {
        if state.put_float(*value, None, &mut out) {
            run = 0;
        } else if run == 0 || run == RUN_MAX {
            out.push(RUN);
            run = 1;
        } else {
            *out.last_mut().expect("a run") += 1;
            run += 1;
        }
    }
    out
}

fn check(values: &[f64]) -> usize {
    let bytes = column(values);
    let mut reader = TokenReader::default();
    for (i, value) in values.iter().enumerate() {
        match reader.next(&bytes, 0) {
            Some(Item::Float(found)) => assert_eq!(found.to_bits(), value.to_bits(), "value {i}: {found} for {value}"),
            other => panic!("value {i}: {other:?}"),
        }
    }
    assert_eq!(reader.next(&bytes, 0), None);
    bytes.len()
}

fn xorshift(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

#[test]
fn odd_floats_come_back_bit_for_bit() {
    let odd = [
        0.0,
        -0.0,
        f64::NAN,
        f64::from_bits(0x7ff0_0000_0000_0002),
        f64::from_bits(0xfff8_dead_beef_0001),
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MIN_POSITIVE / 4.0,
        f64::MAX,
        f64::MIN,
        9_223_372_036_854_775_807.0,
        -9_223_372_036_854_775_808.0,
        0.1 + 0.2,
        1e-15,
        123_456.789,
    ];
    check(&odd);
    for a in odd {
        for b in odd {
            check(&[a, b, a, a, b, b, 1.5, a]);
        }
    }
}

#[test]
fn random_mixtures_come_back() {
    let mut seed = 0x9e37_79b9_7f4a_7c15;
    for _ in 0..300 {
        let values: Vec<f64> = (0..200)
            .map(|_| match xorshift(&mut seed) % 6 {
                0 => f64::from_bits(xorshift(&mut seed)),
                1 => (xorshift(&mut seed) % 1000) as f64 / 100.0,
                2 => xorshift(&mut seed) as i64 as f64,
                3 => 42.0,
                4 => -((xorshift(&mut seed) % 1_000_000) as f64) / 1e9,
                _ => (xorshift(&mut seed) % 7) as f64,
            })
            .collect();
        check(&values);
    }
}

#[test]
fn usual_columns_are_small() {
    let constant = vec![1024.0; 720];
    let counter: Vec<f64> = (0..720).map(|i| 1e6 + f64::from(i) * 15.0).collect();
    let mut seed = 7;
    let busy: Vec<f64> = (0..720).map(|i| (f64::from(i) * 497.0 + (xorshift(&mut seed) % 9) as f64) / 100.0).collect();
    let gauge: Vec<f64> = (0..720).map(|_| (400 + xorshift(&mut seed) % 50) as f64 / 10.0).collect();
    assert!(check(&constant) <= 32);
    assert!(check(&counter) <= 48);
    assert!(check(&busy) <= 800, "{}", check(&busy));
    assert!(check(&gauge) <= 800, "{}", check(&gauge));
}

#[test]
fn a_reader_goes_on_when_the_column_has_grown() {
    let values = [1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 3.5, 3.5];
    let mut reader = TokenReader::default();
    for n in 1..=values.len() {
        let bytes = column(&values[..n]);
        assert_eq!(reader.next(&bytes, 0), Some(Item::Float(values[n - 1])));
        let kept = reader.clone();
        assert_eq!(reader.next(&bytes, 0), None);
        reader = kept;
    }
}

#[test]
fn passing_over_values_leaves_the_same_state_as_reading_them() {
    let mut seed = 0x2545_f491_4f6c_dd1d;
    for round in 0..400 {
        let mut values = vec![0.0];
        while values.len() < 300 {
            let (last, step) = (values[values.len() - 1], (xorshift(&mut seed) % 50) as f64);
            let run = xorshift(&mut seed) % 90;
            match xorshift(&mut seed) % 5 {
                0 => (0..run).for_each(|_| values.push(last)),
                1 => (1..run).for_each(|i| values.push(last + i as f64 * step)),
                2 => values.push(f64::from_bits(xorshift(&mut seed))),
                _ => values.push((last + step) / 10.0),
            }
        }
        let bytes = column(&values);
        let (mut reader, mut at) = (TokenReader::default(), 0);
        while at < values.len() {
            let skipped = (xorshift(&mut seed) as usize % 100).min(values.len() - at - 1);
            reader.skip(&bytes, 0, skipped as u32).expect("so many");
            at += skipped;
            for _ in 0..1 + xorshift(&mut seed) % 3 {
                let Some(expected) = values.get(at) else { break };
                match reader.next(&bytes, 0) {
                    Some(Item::Float(found)) => assert_eq!(found.to_bits(), expected.to_bits(), "{round}: value {at}"),
                    other => panic!("{round}: value {at}: {other:?}"),
                }
                at += 1;
            }
        }
        assert_eq!(reader.skip(&bytes, 0, 1), None);
    }
}

#[test]
fn integers_are_found_by_their_value_and_by_runs() {
    let values: Vec<i64> = (0..900).map(|i| i / 300 * 1_000_000 + if i % 300 < 200 { i * 15 } else { i * i }).collect();
    let (mut state, mut bytes, mut run) = (State::default(), Vec::new(), 0);
    for value in &values {
        if state.put_int(*value, &mut bytes) {
            run = 0;
        } else if run == 0 || run == RUN_MAX {
            bytes.push(RUN);
            run = 1;
        } else {
            *bytes.last_mut().expect("a run") += 1;
            run += 1;
        }
    }
    for least in (0..3_000_000).step_by(1_237) {
        let expected = values.iter().position(|value| *value >= least);
        let mut reader = TokenReader::default();
        let found = reader.next_not_below(&bytes, 0, least, values.len() as u32);
        assert_eq!(found, expected.map(|at| values[at]), "{least}");
        assert_eq!(reader.count() as usize, expected.map_or(values.len(), |at| at + 1), "{least}");
    }
    let (mut reader, mut found) = (TokenReader::default(), Vec::new());
    while let Some((value, count)) = reader.next_ints(&bytes, 0, (values.len() - found.len()) as u32) {
        found.extend(std::iter::repeat_n(value, count as usize));
        if found.len() == values.len() {
            break;
        }
    }
    assert_eq!(found, values);
    for some in [1, 7, 33, 1_000] {
        let (mut reader, mut found) = (TokenReader::default(), Vec::new());
        while reader.ints(&bytes, 0, some, &mut found) > 0 {
            assert_eq!(reader.count() as usize, found.len());
            // One by one in between: the state is what it would be.
            found.extend(reader.next_int(&bytes, 0));
        }
        assert_eq!(found, values);
    }
}

#[test]
fn integers_and_start_times_come_back() {
    let (mut state, mut out) = (State::default(), Vec::new());
    let values = [5_000, 10_001, 15_000, 20_002, i64::MAX, i64::MIN, 0];
    for value in values {
        assert!(state.put_int(value, &mut out));
    }
    let mut reader = TokenReader::default();
    for value in values {
        assert_eq!(reader.next_int(&out, 0), Some(value));
    }
    let (mut state, mut out) = (State::default(), Vec::new());
    for start in [Some(7), Some(7), None, Some(-9)] {
        if !state.put_float(0.0, start, &mut out) {
            out.push(RUN);
        }
    }
    let mut reader = TokenReader::default();
    for start in [Some(7), Some(7), None, Some(-9)] {
        assert_eq!(reader.next(&out, 0), Some(Item::Float(0.0)));
        assert_eq!(reader.start(), start);
    }
}

#[test]
fn damaged_columns_end_and_do_not_panic() {
    let mut seed = 99;
    for _ in 0..20_000 {
        let bytes: Vec<u8> = (0..24).map(|_| xorshift(&mut seed) as u8).collect();
        TokenReader::default().ints(&bytes, 0, 10_000, &mut Vec::new());
        let (mut floats, mut ints) = (TokenReader::default(), TokenReader::default());
        for _ in 0..2_000 {
            if floats.next(&bytes, 0).is_none() && ints.next_int(&bytes, 0).is_none() {
                break;
            }
        }
        for count in 0..12 {
            let (mut passed, mut read) = (TokenReader::default(), TokenReader::default());
            let each = (0..count).all(|_| read.next(&bytes, 0).is_some());
            assert_eq!(passed.skip(&bytes, 0, count).is_some(), each);
            let bits = |item: Option<Item>| item.map(|item| if let Item::Float(v) = item { v.to_bits() } else { 0 });
            while let Some(found) = bits(passed.next(&bytes, 0)) {
                assert_eq!(Some(found), bits(read.next(&bytes, 0)), "{count} of {bytes:?}");
            }
        }
        crate::head::shape::Shape::take(&mut Take::new(&bytes), 1_000);
    }
}
