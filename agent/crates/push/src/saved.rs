//! A group as bytes, for the store's small named state, so that pushes survive a restart as with the peer's file.
//!
//! ```text
//! 1 (version)  pushed i64  failed i64 (i64::MIN: never)  labels: count u16, (name, value)...
//! families: count u32, each: name, kind u8, help, pushed i64, metrics: count u32, each: labels, point
//! point: 0 f64 | 1 buckets sum count | 2 quantiles sum count; a list is a count u32 and pairs of f64
//! text is a length u32 and its bytes; numbers are little-endian
//! ```
//!
//! Native histograms are left out: a push of them is whole again with the next push. Bytes that claim more than they
//! hold are refused.

use std::collections::BTreeMap;

use model::{MetricKind, UnixMs};

use crate::group::{Family, Group, Metric, Point};
use crate::groups::Groups;
use crate::limits::SAVED_BYTES_MAX;
use crate::path::Grouping;

const VERSION: u8 = 1;
const NEVER: i64 = i64::MIN;

impl Groups {
    /// Returns a group as bytes; `None` when it is not there, or larger than what is kept of a group.
    pub fn save(&self, grouping: &Grouping) -> Option<Vec<u8>> {
        let group = self.get(grouping)?;
        let mut out = vec![VERSION];
        put_time(&mut out, group.pushed);
        put_time(&mut out, group.failed);
        let labels: Vec<(String, String)> = grouping.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
        put_labels(&mut out, &labels);
        put_u32(&mut out, group.families.len());
        for (name, family) in &group.families {
            put_family(&mut out, name, family);
        }
        (out.len() <= SAVED_BYTES_MAX).then_some(out)
    }

    /// Takes a group back; returns false, and changes nothing, when the bytes are none that [`Groups::save`] made.
    pub fn restore(&mut self, bytes: &[u8]) -> bool {
        let Some((grouping, group)) = take_group(&mut Take(bytes)) else { return false };
        self.insert(grouping, group);
        true
    }
}

fn put_u32(out: &mut Vec<u8>, value: usize) {
    out.extend_from_slice(&(value as u32).to_le_bytes());
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_u32(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

fn put_time(out: &mut Vec<u8>, at: Option<UnixMs>) {
    out.extend_from_slice(&at.map_or(NEVER, |at| at.0).to_le_bytes());
}

fn put_labels(out: &mut Vec<u8>, labels: &[(String, String)]) {
    put_u32(out, labels.len());
    for (name, value) in labels {
        put_text(out, name);
        put_text(out, value);
    }
}

fn put_family(out: &mut Vec<u8>, name: &str, family: &Family) {
    put_text(out, name);
    out.push(family.kind.number());
    put_text(out, &family.help);
    put_time(out, Some(family.pushed));
    let kept = || family.metrics.iter().filter(|metric| !matches!(metric.point, Point::Native(_)));
    put_u32(out, kept().count());
    for metric in kept() {
        put_labels(out, &metric.labels);
        match &metric.point {
            Point::Plain(value) => put_point(out, 0, &[], &[*value]),
            Point::Histogram { buckets, sum, count } => put_point(out, 1, buckets, &[*sum, count.unwrap_or(0.0)]),
            Point::Summary { quantiles, sum, count } => put_point(out, 2, quantiles, &[*sum, *count]),
            Point::Native(_) => {}
        }
    }
}

fn put_point(out: &mut Vec<u8>, tag: u8, places: &[(f64, f64)], numbers: &[f64]) {
    out.push(tag);
    if tag > 0 {
        put_u32(out, places.len());
    }
    let numbers = places.iter().flat_map(|(bound, value)| [bound, value]).chain(numbers);
    numbers.for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
}

/// The bytes that are left.
struct Take<'a>(&'a [u8]);

impl<'a> Take<'a> {
    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    /// Takes a count of things of which each has at least so many bytes.
    fn count(&mut self, bytes_each: usize) -> Option<usize> {
        let count = u32::from_le_bytes(self.bytes()?) as usize;
        (count <= self.0.len() / bytes_each).then_some(count)
    }

    fn text(&mut self) -> Option<String> {
        let bytes = self.count(1)?;
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        String::from_utf8(taken.to_vec()).ok()
    }

    fn float(&mut self) -> Option<f64> {
        Some(f64::from_le_bytes(self.bytes()?))
    }

    fn time(&mut self) -> Option<Option<UnixMs>> {
        let at = i64::from_le_bytes(self.bytes()?);
        Some((at != NEVER).then_some(UnixMs(at)))
    }

    fn labels(&mut self) -> Option<Vec<(String, String)>> {
        (0..self.count(8)?).map(|_| Some((self.text()?, self.text()?))).collect()
    }

    fn places(&mut self) -> Option<Vec<(f64, f64)>> {
        (0..self.count(16)?).map(|_| Some((self.float()?, self.float()?))).collect()
    }
}

fn take_group(take: &mut Take<'_>) -> Option<(Grouping, Group)> {
    if take.bytes()? != [VERSION] {
        return None;
    }
    let (pushed, failed) = (take.time()?, take.time()?);
    let mut grouping = Grouping::default();
    take.labels()?.into_iter().for_each(|(name, value)| grouping.set(&name, value));
    let mut families = BTreeMap::new();
    for _ in 0..take.count(4)? {
        let (name, family) = take_family(take)?;
        families.insert(name, family);
    }
    take.0.is_empty().then_some((grouping, Group { pushed, failed, families }))
}

fn take_family(take: &mut Take<'_>) -> Option<(String, Family)> {
    let name = take.text()?;
    let [kind] = take.bytes()?;
    let kind = MetricKind::from_number(kind)?;
    let (help, pushed) = (take.text()?, take.time()??);
    let mut metrics = Vec::new();
    for _ in 0..take.count(5)? {
        let labels = take.labels()?;
        let point = match take.bytes()? {
            [0] => Point::Plain(take.float()?),
            [1] => Point::Histogram { buckets: take.places()?, sum: take.float()?, count: Some(take.float()?) },
            [2] => Point::Summary { quantiles: take.places()?, sum: take.float()?, count: take.float()? },
            _ => return None,
        };
        metrics.push(Metric { labels, point });
    }
    Some((name, Family { kind, help, pushed, metrics }))
}
