//! Makes one JSON message of rows: the leading run of those that share a time, an instance and a job.
//!
//! A message ends before a row of another time or place, before a row that does not fit, and before a series that
//! is in it already (a key may be there once). Rows that nothing selects do not end it. The same rows give the same
//! bytes.

use std::collections::BTreeSet;
use std::fmt::Write;

use model::labels::{Escaped, NAME};
use model::{Labels, TailRow, UnixMs, float};

use crate::outbox::{Packed, Packer};
use crate::select::Selection;

const END: &str = "}}";

/// Packs rows into messages.
pub struct MessagePacker {
    select: Selection,
    payload_bytes_max: usize,
    text: String,
    member: String,
    key: String,
}

impl MessagePacker {
    /// Returns a packer of messages of at most so many bytes.
    pub fn new(select: Selection, payload_bytes_max: usize) -> MessagePacker {
        let [text, member, key] = [const { String::new() }; 3];
        MessagePacker { select, payload_bytes_max, text, member, key }
    }

    fn write_member(&mut self, labels: &Labels, value: f64) {
        self.key.clear();
        push_key(&mut self.key, labels);
        self.member.clear();
        push_string(&mut self.member, &self.key);
        self.member.push(':');
        push_number(&mut self.member, value);
    }
}

impl Packer for MessagePacker {
    fn pack(&mut self, rows: &[TailRow], body: &mut Vec<u8>) -> Packed {
        let mut packed = Packed::default();
        let mut place: Option<Place<'_>> = None;
        let mut seen = BTreeSet::new();
        self.text.clear();
        for (i, row) in rows.iter().enumerate() {
            if self.select.accepts(&row.labels) {
                let Some(value) = row.sample.value.float().filter(|_| !row.sample.value.is_stale()) else {
                    packed.left_out += 1;
                    packed.taken = i + 1;
                    continue;
                };
                let here = Place::of(row);
                if place.is_some_and(|place| place != here) || seen.contains(row.labels.packed()) {
                    break;
                }
                self.write_member(&row.labels, value);
                let start_bytes = if place.is_some() { self.text.len() + 1 } else { here.head().len() };
                if start_bytes + self.member.len() + END.len() > self.payload_bytes_max {
                    if place.is_some() {
                        break;
                    }
                    packed.left_out += 1;
                    packed.taken = i + 1;
                    continue;
                }
                match place {
                    Some(_) => self.text.push(','),
                    None => self.text.push_str(&here.head()),
                }
                self.text.push_str(&self.member);
                seen.insert(row.labels.packed());
                place = Some(here);
                packed.items += 1;
            }
            packed.taken = i + 1;
        }
        if packed.items > 0 {
            self.text.push_str(END);
            body.extend_from_slice(self.text.as_bytes());
        }
        packed
    }
}

/// What the rows of one message share.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Place<'a> {
    at: UnixMs,
    instance: Option<&'a str>,
    job: Option<&'a str>,
}

impl<'a> Place<'a> {
    fn of(row: &'a TailRow) -> Place<'a> {
        Place { at: row.sample.at, instance: row.labels.get("instance"), job: row.labels.get("job") }
    }

    fn head(&self) -> String {
        let mut head = String::from("{");
        for (name, value) in [("instance", self.instance), ("job", self.job)] {
            if let Some(value) = value {
                push_string(&mut head, name);
                head.push(':');
                push_string(&mut head, value);
                head.push(',');
            }
        }
        let _ = write!(head, "\"ts\":{},\"values\":{{", self.at.0);
        head
    }
}

/// The series as Prometheus writes it, without instance and job.
fn push_key(key: &mut String, labels: &Labels) {
    key.push_str(labels.name());
    let mut separator = '{';
    for (name, value) in labels.iter().filter(|(name, _)| ![NAME, "instance", "job"].contains(name)) {
        let _ = write!(key, "{separator}{name}=\"{}\"", Escaped(value));
        separator = ',';
    }
    if separator == ',' {
        key.push('}');
    }
}

/// The shortest number that reads back to the same bits, without an exponent where that is short too.
fn push_number(out: &mut String, value: f64) {
    let size = value.abs();
    if !value.is_finite() {
        out.push('"');
        float::write_plain(out, value);
        out.push('"');
    } else if size == 0.0 || (1e-6..1e15).contains(&size) {
        float::write_plain(out, value);
    } else {
        float::write_exposition(out, value);
    }
}

fn push_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::row;
    use model::{Matcher, stale_nan};

    fn pack(packer: &mut MessagePacker, rows: &[TailRow]) -> (Packed, String) {
        let mut body = Vec::new();
        let packed = packer.pack(rows, &mut body);
        (packed, String::from_utf8(body).expect("JSON is UTF-8"))
    }

    fn check(rows: &[TailRow], want: Packed, body: &str) {
        let mut packer = MessagePacker::new(Selection::all(), PAYLOAD);
        let got = pack(&mut packer, rows);
        assert_eq!((got.0, got.1.as_str()), (want, body));
        if !body.is_empty() {
            serde_json::from_str::<serde_json::Value>(body).expect("a JSON text");
        }
    }

    const PAYLOAD: usize = 1_000;

    #[test]
    fn rows_of_one_time_and_place_make_one_message() {
        let at = 1_795_249_204_020;
        let rows = [
            row(1, &[("__name__", "node_load1"), ("instance", "pi:9090"), ("job", "node")], at, 0.42),
            row(
                2,
                &[
                    ("__name__", "node_thermal_zone_temp"),
                    ("instance", "pi:9090"),
                    ("job", "node"),
                    ("type", "cpu-thermal"),
                    ("zone", "0"),
                ],
                at,
                45.1,
            ),
            row(3, &[("__name__", "up"), ("instance", "other"), ("job", "node")], at, 1.0),
        ];
        check(
            &rows,
            Packed { taken: 2, items: 2, left_out: 0 },
            concat!(
                r#"{"instance":"pi:9090","job":"node","ts":1795249204020,"values":{"node_load1":0.42,"#,
                r#""node_thermal_zone_temp{type=\"cpu-thermal\",zone=\"0\"}":45.1}}"#
            ),
        );
        check(
            &rows[2..],
            Packed { taken: 1, items: 1, left_out: 0 },
            r#"{"instance":"other","job":"node","ts":1795249204020,"values":{"up":1}}"#,
        );
    }

    #[test]
    fn another_time_or_the_same_series_again_ends_the_message() {
        let one = |n, at| row(n, &[("__name__", "a")], at, n as f64);
        check(&[one(1, 5), one(2, 6)], Packed { taken: 1, items: 1, left_out: 0 }, r#"{"ts":5,"values":{"a":1}}"#);
        check(&[one(1, 5), one(2, 5)], Packed { taken: 1, items: 1, left_out: 0 }, r#"{"ts":5,"values":{"a":1}}"#);
    }

    #[test]
    fn numbers_read_back_to_the_same_bits() {
        for value in [0.0, -0.0, 1.0, 1e15, 1e-7, 5e-324, f64::MAX, -1.5e300, 0.1 + 0.2, 1e21, 123_456_789.125] {
            let mut text = String::new();
            push_number(&mut text, value);
            let read: f64 = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(read, value, "{text}");
            assert!(text.len() < 26, "{text}");
        }
    }

    #[test]
    fn what_is_no_number_is_a_string_and_a_stale_marker_is_nothing() {
        let named = |n, name, value| row(n, &[("__name__", name)], 5, value);
        check(
            &[
                named(1, "a", f64::NAN),
                named(2, "b", stale_nan()),
                named(3, "c", f64::INFINITY),
                named(4, "d", f64::NEG_INFINITY),
            ],
            Packed { taken: 4, items: 3, left_out: 1 },
            r#"{"ts":5,"values":{"a":"NaN","c":"+Inf","d":"-Inf"}}"#,
        );
        check(&[named(1, "b", stale_nan())], Packed { taken: 1, items: 0, left_out: 1 }, "");
    }

    #[test]
    fn odd_label_values_survive_both_escapings() {
        let odd = "a\"b\\c\nd\u{1}\u{fc}";
        let rows = [row(1, &[("__name__", "m"), ("l", odd), ("instance", odd)], 5, 1.0)];
        let (_, body) = pack(&mut MessagePacker::new(Selection::all(), PAYLOAD), &rows);
        let read: serde_json::Value = serde_json::from_str(&body).expect("a JSON text");
        assert_eq!(read["instance"], odd);
        let key = read["values"].as_object().and_then(|values| values.keys().next()).expect("one value");
        assert_eq!(key, "m{l=\"a\\\"b\\\\c\\nd\u{1}\u{fc}\"}");
    }

    #[test]
    fn a_message_is_never_larger_than_its_limit() {
        let rows: Vec<TailRow> = (0..50).map(|n| row(n, &[("__name__", "m"), ("n", &n.to_string())], 5, 1.0)).collect();
        for payload_bytes_max in 20..200 {
            let mut packer = MessagePacker::new(Selection::all(), payload_bytes_max);
            let (mut rest, mut items, mut left_out) = (&rows[..], 0, 0);
            while !rest.is_empty() {
                let (packed, body) = pack(&mut packer, rest);
                assert!(body.len() <= payload_bytes_max && packed.taken > 0, "{} > {payload_bytes_max}", body.len());
                rest = &rest[packed.taken..];
                (items, left_out) = (items + packed.items, left_out + packed.left_out);
            }
            assert_eq!(items as u64 + left_out, 50, "payload_bytes_max {payload_bytes_max}");
            assert_eq!(
                left_out == 0,
                payload_bytes_max >= r#"{"ts":5,"values":{"m{n=\"10\"}":1}}"#.len() || items == 50
            );
        }
    }

    #[test]
    fn rows_that_nothing_selects_are_passed_over() {
        let select = Selection::any_of(vec![vec![Matcher::equal("__name__", "a")]]);
        let mut packer = MessagePacker::new(select, PAYLOAD);
        let rows = [
            row(1, &[("__name__", "x")], 4, 1.0),
            row(2, &[("__name__", "a")], 5, 1.0),
            row(3, &[("__name__", "x")], 6, 1.0),
        ];
        let (packed, body) = pack(&mut packer, &rows);
        assert_eq!(
            (packed, body.as_str()),
            (Packed { taken: 3, items: 1, left_out: 0 }, r#"{"ts":5,"values":{"a":1}}"#)
        );
        assert_eq!(pack(&mut packer, &rows[..1]).0, Packed { taken: 1, items: 0, left_out: 0 });
    }
}
