//! Lines whose series was read before: of these only the value is read.
//!
//! A target sends the same series again and again, letter by letter. Whoever remembers what stands for the text of a
//! series need not have its labels taken apart once more: the text is the same, so it is right and means the same, as
//! long as the family's kind is (bounds of buckets are printed anew). What follows must be a plain number, perhaps a
//! time, and the line's end; anything else is left to the reading from the line's start, which knows all the rules.
//!
//! Not for start times, which are found in other lines, nor where labels are made of metadata.

use model::{MetricKind, UnixMs};

use super::lexer::{Lexer, Token};
use super::number::plain_number;
use super::text::TextScrape;

impl TextScrape<'_> {
    /// Notes where the text of the series ends that was read; it begins with the entry.
    #[inline]
    pub(super) fn note_sent(&mut self) {
        let tells_more = self.options.type_and_unit || (self.options.starts && self.is_open);
        self.item.sent = if tells_more { (0, 0) } else { (self.entry as u32, self.lexer.start as u32) };
        self.item.metric = self.kind;
    }

    /// Reads the next line if it begins with so many bytes that the caller knows to be a series, and goes on plainly.
    pub(super) fn next_known(
        &mut self,
        bytes: usize,
        is_same: impl FnOnce(MetricKind, &[u8]) -> bool,
    ) -> Option<(f64, Option<UnixMs>)> {
        let (begun, is_open) = (self.lexer.at, self.is_open);
        let line = self.lexer.bytes.get(begun..)?;
        let (text, rest) = line.split_at_checked(bytes)?;
        if !self.lexer.is_between() || text.first() == Some(&b'#') || !is_same(self.kind, text) {
            return None;
        }
        let blank = usize::from(is_open);
        if let Some((value, length)) = plain_number(rest.get(blank..)?).filter(|_| !is_open || rest[0] == b' ')
            && rest.get(blank + length) == Some(&b'\n')
        {
            self.lexer.at = begun + bytes + blank + length + 1;
            return Some((value, None)).filter(|_| self.is_short(begun)).or_else(|| self.back_to(begun));
        }
        self.entry = begun;
        self.lexer.go_to_value(begun + bytes);
        self.rest_of_line().filter(|_| self.is_short(begun)).or_else(|| self.back_to(begun))
    }

    /// Reads a value and perhaps a time; `None` where there is anything else.
    fn rest_of_line(&mut self) -> Option<(f64, Option<UnixMs>)> {
        let token = self.lexer.next();
        let value = self.value(token, "").ok()?;
        let mut token = self.lexer.next();
        let mut at = None;
        if token == Token::Timestamp {
            at = Some(UnixMs(if self.is_open { self.seconds("").ok()? } else { self.milliseconds()? }));
            token = self.lexer.next();
        }
        (token == Token::Linebreak).then_some((value, at))
    }

    fn is_short(&self, begun: usize) -> bool {
        self.lexer.at - begun <= self.limits.line_bytes
    }

    fn back_to<T>(&mut self, begun: usize) -> Option<T> {
        self.lexer = Lexer::new(self.lexer.bytes, self.is_open);
        self.lexer.at = begun;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Entry, Format, Limits, Scrape, ScrapeOptions};
    use super::*;

    /// Reads a body as one does that knows the series of another, and returns what it finds: which way, and what.
    fn read(format: Format, first: &str, second: &str) -> Vec<(bool, String)> {
        let limits = Limits { line_bytes: 60, ..Limits::default() };
        let open = |text| Scrape::new(format, text, ScrapeOptions::default(), limits);
        let (mut scrape, mut known) = (open(first.as_bytes()), Vec::new());
        while let Some(entry) = scrape.next_entry().expect("a good body") {
            if let Entry::Sample(sample) = entry {
                known.push((sample.kind, sample.sent.to_vec()));
            }
        }
        let (mut scrape, mut known, mut found) = (open(second.as_bytes()), known.into_iter().peekable(), Vec::new());
        loop {
            if let Some((kind, sent)) = known.peek()
                && let Some((value, at)) = scrape.next_known(sent.len(), |is, text| is == *kind && text == sent)
            {
                found.push((true, format!("{value} {:?}", at.map(|at| at.0))));
                known.next();
                continue;
            }
            match scrape.next_entry() {
                Ok(Some(Entry::Sample(sample))) => {
                    let (at, exemplars) = (sample.at.map(|at| at.0), sample.exemplars.len());
                    let labels: Vec<_> = sample.labels.iter().collect();
                    found.push((false, format!("{}{labels:?} {} {at:?} {exemplars}", sample.name, sample.value)));
                    known.next();
                }
                Ok(Some(_)) => {}
                Ok(None) => return found,
                Err(error) => {
                    found.push((false, error.to_string()));
                    return found;
                }
            }
        }
    }

    fn check(format: Format, first: &str, second: &str, wanted: &[(bool, &str)]) {
        let found = read(format, first, second);
        let found: Vec<(bool, &str)> = found.iter().map(|(known, text)| (*known, text.as_str())).collect();
        assert_eq!(found, wanted, "{second:?}");
    }

    #[test]
    fn known_series_have_only_their_values_read() {
        let first = "# TYPE a counter\na{x=\"1\"} 1\n a{x=\"2\"}  2 5\nb 3\nc 4";
        check(Format::Text, first, first, &[(true, "1 None"), (true, "2 Some(5)"), (true, "3 None"), (true, "4 None")]);
        let second = "# TYPE a counter\na{x=\"1\"} -1.5e3\n a{x=\"2\"}  NaN\nb 0.25\t7\nc +Inf";
        let wanted = [(true, "-1500 None"), (true, "NaN None"), (true, "0.25 Some(7)"), (true, "inf None")];
        check(Format::Text, first, second, &wanted);
        let open = "# TYPE a counter\na_total{x=\"1\"} 1\nb{y=\"2\"} 2 1.5\n# EOF\n";
        check(Format::OpenMetrics, open, open, &[(true, "1 None"), (true, "2 Some(1500)")]);
    }

    #[test]
    fn what_is_not_plain_is_read_from_the_lines_start() {
        let text = "a{x=\"1\"} 1\nb 2\n";
        for second in ["a{x=\"1\"} 1 2 3\n", "a{x=\"1\"} \n", "a{x=\"1\"} x\n", "a{x=\"1\"} 1_0\n", "a{x=\"1\"} 1 x\n"]
        {
            let (found, plain) = (read(Format::Text, text, second), read(Format::Text, "", second));
            assert!(found == plain && found.len() == 1 && found[0].1.starts_with("line 1: "), "{second:?}: {found:?}");
        }
        // Another series that begins alike, and one whose labels stand behind a blank.
        check(Format::Text, text, "a{x=\"2\"} 1\n", &[(false, "a[(\"x\", \"2\")] 1 None 0")]);
        check(Format::Text, "b 2\n", "b {y=\"1\"} 2\n", &[(false, "b[(\"y\", \"1\")] 2 None 0")]);
        // What may stand behind a value of OpenMetrics.
        let open = "# TYPE a counter\na_total 1\n# EOF\n";
        let second = open.replace("a_total 1", "a_total 1 # {t=\"1\"} 5");
        check(Format::OpenMetrics, open, &second, &[(false, "a_total[] 1 None 1")]);
        check(
            Format::OpenMetrics,
            open,
            "# TYPE a counter\na_total 1",
            &[(false, "line 2: data does not end with # EOF")],
        );
        // A line that is too long is so whichever way it is read.
        let long = format!("a{{x=\"1\"}} 1{}\n", "0".repeat(60));
        let found = read(Format::Text, text, &long);
        assert!(found[0].1.contains("at most 60 bytes"), "{found:?}");
    }

    #[test]
    fn a_bucket_is_another_series_where_its_family_is_of_another_kind() {
        let first = "# TYPE a histogram\na_bucket{le=\"1\"} 1\n";
        check(Format::Text, first, first, &[(true, "1 None")]);
        check(Format::Text, first, "a_bucket{le=\"1\"} 1\n", &[(false, "a_bucket[(\"le\", \"1\")] 1 None 0")]);
        let mut scrape = Scrape::new(Format::Text, first.as_bytes(), ScrapeOptions::default(), Limits::default());
        let _ = scrape.next_entry();
        let Ok(Some(Entry::Sample(sample))) = scrape.next_entry() else { panic!("a sample") };
        assert_eq!((sample.kind, sample.labels.get("le")), (MetricKind::Histogram, Some("1.0")));
    }

    /// Whoever knows a body's series finds in a damaged one what everybody finds.
    #[test]
    fn damage_is_seen_whether_series_are_known_or_not() {
        let values = |found: Vec<(bool, String)>, format, text: &str| {
            let plain = read(format, "# EOF\n", text);
            assert_eq!(found.len(), plain.len(), "{text:?}: {found:?} and {plain:?}");
            for ((is_known, found), (_, plain)) in found.iter().zip(&plain) {
                // What was read plainly says the series, what is known says the value and the time behind it.
                let is_same = if *is_known { plain.ends_with(&format!("{found} 0")) } else { found == plain };
                assert!(is_same, "{text:?}: {found:?} and {plain:?}");
            }
            found.iter().filter(|(is_known, _)| *is_known).count()
        };
        let (mut seed, mut known) = (0x2545_f491_4f6c_dd1du64, 0);
        let mut below = move |end: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as usize % end
        };
        for (format, body) in [
            (Format::Text, "# TYPE a summary\na{b=\"c\", d=\"\\\"\"} 1\na{quantile=\"1\"} -2.5 7\nb 3\n# x\nb_c{} 4\n"),
            (
                Format::OpenMetrics,
                "# TYPE a counter\na_total{b=\"c\"} 1\na_total{b=\"d\"} 2 3.5 # {t=\"1\"} 1\nb 3 4\n# EOF\n",
            ),
        ] {
            for _ in 0..30_000 {
                let mut bytes = body.as_bytes().to_vec();
                for _ in 0..=below(2) {
                    let at = below(bytes.len());
                    match below(4) {
                        0 => bytes[at] = b"{}\"\\\n #=,\0+19.e-x"[below(17)],
                        1 => drop(bytes.remove(at)),
                        2 => bytes.insert(at, b"{}\"\\\n #=,\0+19.e-x"[below(17)]),
                        _ => bytes.truncate(at.max(1)),
                    }
                }
                let text = String::from_utf8(bytes).expect("only ASCII is put in");
                known += values(read(format, body, &text), format, &text);
            }
        }
        assert!(known > 30_000, "{known}");
    }
}
