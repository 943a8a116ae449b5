//! What the scrape parsers promise beyond the upstream tables: bounds, positions, streams, protobuf's forms, and that
//! no input makes them panic or grow.
//!
//! Randomness comes from fixed seeds. The fuzz loops begin with good bodies of every form and damage them.

use std::ops::ControlFlow;

use super::suite_tests::{read, textproto};
use super::*;
use model::{Batch, Counts, MetricKind, Value};

const PLAIN: ScrapeOptions = ScrapeOptions {
    starts: false,
    skip_created: false,
    type_and_unit: false,
    classic_to_native: false,
    keep_classic: false,
};

fn error(format: Format, body: &[u8]) -> String {
    read(format, body, PLAIN).1.map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn what_is_too_large_is_refused_with_its_line() {
    let long = |bytes: usize| format!("ok 1\na{{b=\"{}\"}} 1\n", "x".repeat(bytes));
    let many: String = (0..200).map(|i| format!("l{i}=\"1\",")).collect();
    for (format, end) in [(Format::Text, ""), (Format::OpenMetrics, "# EOF\n")] {
        let what = |body: String| error(format, (body + end).as_bytes());
        assert_eq!(what(long(10 << 20)), "line 2: expected a label name and value of at most 65536 bytes");
        assert_eq!(what(long(70_000)), "line 2: expected a label name and value of at most 65536 bytes");
        assert_eq!(what(long(60_000)), "");
        assert_eq!(what(format!("a{{{many}}} 1\n")), "line 1: expected at most 128 labels");
        let help = format!("# HELP a b\n# HELP a {}\na 1\n", "x".repeat(10 << 20));
        assert_eq!(what(help), "line 2: expected a line of at most 1048576 bytes");
        let open = what(format!("a 1\nb{{c=\"{}", "x".repeat(10 << 20)));
        assert!(open.starts_with("line 2: expected label value, got \"...xx") && open.len() < 2_000, "{open}");
    }
    let limits = Limits { body_bytes: 10, ..Limits::default() };
    let mut scrape = Scrape::new(Format::Text, b"aaaaa 11111\n", PLAIN, limits);
    let error = scrape.next_entry().expect_err("too long").to_string();
    assert_eq!(error, "expected a body of at most 10 bytes, got 12");
    assert_eq!(scrape.next_entry().expect_err("for good").to_string(), error);
}

#[test]
fn bytes_that_are_no_text_are_refused_but_in_comments() {
    for (format, end) in [(Format::Text, ""), (Format::OpenMetrics, "# EOF\n")] {
        let what = |body: &[u8]| error(format, &[body, end.as_bytes()].concat());
        assert!(what(b"a 1\na{b=\"\xff\"} 1\n").starts_with("line 2: invalid UTF-8 label value"));
        assert!(what(b"a 1\n{\"\xff\"} 1\n").starts_with("line 2: invalid UTF-8"));
        assert!(what(b"a 1\n# HELP a \xff\n").starts_with("line 2: help text \"\\xff\" is not"));
        assert!(what(b"a 1\n\0\n").starts_with("line 2: expected a valid start token"));
        assert!(what(b"a 1\na \0\n").starts_with("line 2: expected value after metric"));
        assert!(what(b"a 1\na{b=\"1\",b=\"2\"} 3\n").starts_with("line 2: label name \"b\" is not unique"));
        assert_eq!(what("a{b=\"ä\0\"} 1\n".as_bytes()), "");
    }
    let body = b"# \xff\na{b=\"1\"} 1\n# \xe4\xf6\n{\"\xc3\xa4\"} 2\n#\xff\n";
    let (lines, error) = read(Format::Text, body, PLAIN);
    assert_eq!((lines.len(), error), (5, None));
    assert!(lines[3].contains("\"ä\""), "{}", lines[3]);
    assert!(super::tests::error(Format::Text, &[&body[..], b"a{b=\"\xff\"} 1\n"].concat()).starts_with("line 6:"));
}

#[test]
fn blanks_before_a_name_are_not_part_of_it() {
    let (lines, error) = read(Format::Text, b" \ta{b=\"1\"} 1\n", PLAIN);
    assert_eq!(error, None);
    assert!(lines[0].starts_with("[(\"__name__\", \"a\"), (\"b\", \"1\")]"), "{}", lines[0]);
}

#[test]
fn starts_are_found_as_the_peer_finds_them() {
    let options = ScrapeOptions { starts: true, skip_created: true, ..PLAIN };
    let starts = |body: &str| -> Vec<i64> {
        let mut scrape = Scrape::new(Format::OpenMetrics, body.as_bytes(), options, Limits::default());
        let mut starts = Vec::new();
        while let Some(entry) = scrape.next_entry().expect("a good body") {
            if let Entry::Sample(sample) = entry {
                starts.push(sample.start.map_or(0, |start| start.0));
            }
        }
        starts
    };
    // One label set after the other, each with its line: all are found.
    let apart: String = (0..300).map(|i| format!("a_total{{i=\"{i}\"}} 1\na_created{{i=\"{i}\"}} {i}.5\n")).collect();
    let wanted: Vec<i64> = (0..300).map(|i| i * 1_000 + 500).collect();
    assert_eq!(starts(&format!("# TYPE a counter\n{apart}# EOF\n")), wanted);
    // The lines all behind the series: only the last series' next such line is not its own, as with the peer.
    let body = "# TYPE a counter\na_total{i=\"0\"} 1\na_total{i=\"1\"} 1\na_created{i=\"0\"} 5\na_created{i=\"1\"} 6\n\
                # TYPE b counter\nb_total 1\n# TYPE c counter\nc_created 7\nc_total 1\n# TYPE d gauge\nd_total 2\n\
                d_created 3\n# EOF\n";
    assert_eq!(starts(body), [5_000, 0, 0, 0, 0, 0]);
}

#[test]
fn a_batch_holds_a_scrape_or_nothing_of_it() {
    let (mut filler, mut batch) = (ScrapeFiller::new(), Batch::new());
    batch.family("before", "", MetricKind::Gauge);
    batch.add(&[], 1.0);
    let body = "# HELP a_seconds Help.\n# TYPE a_seconds histogram\n# UNIT a_seconds seconds\n\
                a_seconds_bucket{le=\"1\"} 1 2.5\na_seconds_bucket{le=\"+Inf\"} 2 # {t=\"x\"} 1\na_seconds_count 2\n\
                a_seconds_sum 3\nother{z=\"1\",b=\"\"} 4\n# EOF\n";
    let mut fill = |body: &str, batch: &mut Batch| {
        filler.fill(Format::OpenMetrics, body.as_bytes(), PLAIN, Limits::default(), batch)
    };
    let filled = fill(body, &mut batch).expect("a good body");
    assert_eq!(filled, Filled { samples: 5, exemplars: 1 });
    let families: Vec<_> =
        batch.families().iter().map(|f| (batch.name(f), batch.help(f), batch.unit(f), f.kind)).collect();
    assert_eq!(
        families[1..],
        [("a_seconds", "Help.", "seconds", MetricKind::Histogram), ("other", "", "", MetricKind::Unknown)]
    );
    let last = batch.rows().last().expect("a row");
    assert_eq!(batch.labels(last).collect::<Vec<_>>(), [("__name__", "other"), ("z", "1")]);
    assert_eq!((batch.rows().len(), batch.rows()[1].at), (6, Some(model::UnixMs(2_500))));

    let rows = batch.rows().len();
    assert_eq!(fill("a 1\nb x\n# EOF\n", &mut batch).expect_err("bad").line, 2);
    assert_eq!(batch.rows().len(), rows);
    let many: String = (0..100).map(|i| format!("l{i}=\"1\",")).collect();
    let filled = fill(&format!("a{{{many}}} 1\nb 2\n# EOF\n"), &mut batch).expect("a good body");
    assert_eq!((filled.samples, batch.rows().len(), batch.refused()), (2, rows + 1, 1));
}

const FAMILIES: &[&str] = &[
    "name: \"c_seconds_total\" help: \"Ä\" type: COUNTER unit: \"seconds\" metric: < label: < name: \"l\" value: \"v\" > \
     counter: < value: 2.5 exemplar: < label: < name: \"t\" value: \"x\" > value: 1 timestamp: < seconds: 3 nanos: \
     4000000 > > start_timestamp: < seconds: 9 > > timestamp_ms: 77 >",
    "name: \"empty\" type: GAUGE",
    "name: \"g\" type: GAUGE metric: < gauge: < value: -1 > > metric: < label: < name: \"a.b\" value: \"\" > gauge: < value: inf > >",
    "name: \"s\" type: SUMMARY metric: < summary: < sample_count: 3 sample_sum: 4 quantile: < quantile: 0.5 value: 1 > \
     quantile: < quantile: 1 value: 2 > > >",
    "name: \"u\" type: UNTYPED metric: < untyped: < value: 7 > >",
    "name: \"h\" type: HISTOGRAM metric: < histogram: < sample_count: 3 sample_sum: 4 bucket: < cumulative_count: 1 \
     upper_bound: 1 exemplar: < value: 9 > > bucket: < cumulative_count: 3 upper_bound: inf > > >",
    "name: \"n\" type: GAUGE_HISTOGRAM metric: < histogram: < sample_count_float: 3.5 sample_sum: 4 schema: 2 zero_threshold: 0.01 \
     zero_count_float: 0.5 positive_span: < offset: -1 length: 3 > positive_count: 1 positive_count: 0 positive_count: 2 \
     exemplars: < value: 1 timestamp: < seconds: 1 > > exemplars: < value: 2 > > >",
];

#[test]
fn every_form_of_protobuf_is_read() {
    let body = textproto::delimited(FAMILIES.iter().copied());
    let mut scrape = Scrape::new(Format::Protobuf, &body, ScrapeOptions { starts: true, ..PLAIN }, Limits::default());
    let mut found = Vec::new();
    while let Some(entry) = scrape.next_entry().expect("a good body") {
        found.push(match entry {
            Entry::Help { name, text } => format!("{name} help {text}"),
            Entry::Unit { name, unit } => format!("{name} unit {unit}"),
            Entry::Type { name, kind } => format!("{name} is {kind:?}"),
            Entry::Sample(s) => {
                let exemplars: Vec<_> =
                    s.exemplars.iter().map(|e| (e.value, e.at.map(|at| at.0), e.labels.len())).collect();
                let labels: Vec<_> = s.labels.iter().collect();
                format!(
                    "{} {labels:?} {} {:?} {:?} {exemplars:?}",
                    s.name,
                    s.value,
                    s.at.map(|at| at.0),
                    s.start.map(|at| at.0)
                )
            }
            Entry::Histogram(s) => format!("{} {:?} {}", s.name, s.histogram, s.exemplars.len()),
            Entry::Comment(_) => "comment".to_owned(),
        });
    }
    let wanted = [
        "c_seconds_total help Ä",
        "c_seconds_total unit seconds",
        "c_seconds_total is Counter",
        "c_seconds_total [(\"l\", \"v\")] 2.5 Some(77) Some(9000) [(1.0, Some(3004), 1)]",
        "g help ",
        "g is Gauge",
        "g [] -1 None None []",
        "g [(\"a.b\", \"\")] inf None None []",
        "s help ",
        "s is Summary",
        "s_count [] 3 None None []",
        "s_sum [] 4 None None []",
        "s [(\"quantile\", \"0.5\")] 1 None None []",
        "s [(\"quantile\", \"1.0\")] 2 None None []",
        "u help ",
        "u is Unknown",
        "u [] 7 None None []",
        "h help ",
        "h is Histogram",
        "h_count [] 3 None None []",
        "h_sum [] 4 None None []",
        "h_bucket [(\"le\", \"1.0\")] 1 None None [(9.0, None, 0)]",
        "h_bucket [(\"le\", \"+Inf\")] 3 None None []",
        "n help ",
        "n is GaugeHistogram",
        "n Histogram { schema: 2, zero_threshold: 0.01, sum: 4.0, positive_spans: [Span { offset: -1, length: 1 }, \
         Span { offset: 1, length: 1 }], negative_spans: [], custom_bounds: [], counts: Float { count: 3.5, zero: 0.5, \
         positive: [1.0, 2.0], negative: [] }, hint: Gauge } 1",
    ];
    assert_eq!(found, wanted);

    let mut batch = Batch::new();
    let filled =
        ScrapeFiller::new().fill(Format::Protobuf, &body, PLAIN, Limits::default(), &mut batch).expect("a good body");
    assert_eq!((filled.samples, batch.rows().len()), (13, 13));
    let Value::Histogram(histogram) = &batch.rows()[12].value else { panic!("a histogram") };
    assert!(matches!(histogram.counts, Counts::Float { .. }));
}

#[test]
fn wrong_protobuf_is_refused_before_anything_is_made_of_it() {
    let of = |text: &str| error(Format::Protobuf, &textproto::delimited([text]));
    let native = |inner: &str| of(&format!("name: \"h\" type: HISTOGRAM metric: < histogram: < {inner} > >"));
    assert_eq!(
        error(Format::Protobuf, b"\xff\xff\xff\xff\x0f\x0a\x01a"),
        "expected 4294967295 bytes of protobuf, 3 are there"
    );
    assert_eq!(
        error(Format::Protobuf, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01a"),
        "expected 18446744073709551615 bytes of protobuf, 1 are there"
    );
    assert!(of("type: GAUGE metric: < gauge: < value: 1 > >").starts_with("invalid metric name"));
    assert_eq!(
        of("name: \"g\" unit: \"s\" type: GAUGE metric: < gauge: < value: 1 > >"),
        "unit \"s\" not a suffix of metric \"g\""
    );
    let twice = "label: < name: \"a\" > label: < name: \"a\" > gauge: < value: 1 >";
    assert_eq!(
        of(&format!("name: \"g\" type: GAUGE metric: < {twice} >")),
        "label name \"a\" is not unique in metric \"g\""
    );
    // A span that claims four billion buckets, of which there is one.
    assert_eq!(
        native("positive_span: < length: 4294967295 > positive_delta: 1"),
        "spans need 4294967295 buckets, have 1 buckets in metric \"h\""
    );
    assert_eq!(
        native("positive_span: < length: 2 > positive_delta: 1 positive_delta: -2"),
        "expected a bucket of 0 or more, got -1 in metric \"h\""
    );
    assert!(native("schema: 40 zero_count: 1").starts_with("expected a histogram schema"));
    let many = "positive_delta: 1 ".repeat(5_000);
    assert_eq!(
        native(&format!("positive_span: < length: 5000 > {many}")),
        "expected at most 4096 histogram buckets in metric \"h\""
    );
    let body =
        textproto::delimited(["name: \"h\" type: HISTOGRAM metric: < histogram: < sample_count: 5 zero_count: 3 > >"]);
    let mut batch = Batch::new();
    let filled = ScrapeFiller::new().fill(Format::Protobuf, &body, PLAIN, Limits::default(), &mut batch);
    assert_eq!((filled.map(|filled| filled.samples), batch.rows().len(), batch.refused()), (Ok(1), 0, 1));
}

/// A small random number generator, the same one everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

/// Gives a body in pieces of random size.
struct Pieces<'a> {
    rest: &'a [u8],
    random: Random,
}

impl std::io::Read for Pieces<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let bytes = (1 + self.random.below(3_000)).min(out.len()).min(self.rest.len());
        out[..bytes].copy_from_slice(&self.rest[..bytes]);
        self.rest = &self.rest[bytes..];
        Ok(bytes)
    }
}

fn long_body(format: Format, random: &mut Random) -> String {
    let mut out = String::new();
    while out.len() < 3 * STREAM_BYTES {
        let n = random.below(1_000);
        out.push_str(&match (random.below(10), format) {
            (0, _) => format!("# HELP m{n} About \\n {n}.\n# TYPE m{n} counter\n"),
            (1, Format::Text) => format!("#@ {n}\n\n"),
            (2, Format::Text) => format!("m{n}_total{{a=\"{}\n\"}} 1\n", "x\n".repeat(random.below(3_000))),
            (2, _) => format!("{{\"m{n}\n{}\"}} 1\n", "x\n".repeat(random.below(3_000))),
            (3, Format::OpenMetrics) => format!("m{n}_total 1 # {{a=\"b\"}} {n}\nm{n}_created 1\n"),
            _ => format!("m{n}_total{{a=\"ä{n}\",b=\"\\\"\"}} {n}.25 {n}\n"),
        });
    }
    if format == Format::OpenMetrics { out + "# EOF\n" } else { out }
}

#[test]
fn a_stream_says_what_the_whole_says_and_where() {
    let mut random = Random(7);
    for format in [Format::Text, Format::OpenMetrics] {
        let body = long_body(format, &mut random);
        let mut scrape = Scrape::new(format, body.as_bytes(), PLAIN, Limits::default());
        let mut stream = TextStream::new(format, PLAIN, Limits::default());
        let mut pieces = Pieces { rest: body.as_bytes(), random: Random(9) };
        let mut entries = 0;
        let result = stream.read(&mut pieces, &mut |placed| {
            let wanted = scrape.next_entry().expect("a good body").expect("an entry");
            assert_eq!(format!("{:?}", Shown(&placed.entry)), format!("{:?}", Shown(&wanted)));
            if entries % 997 == 0 {
                assert_eq!(placed.line(), scrape.line());
            }
            entries += 1;
            ControlFlow::Continue(())
        });
        result.expect("a good body");
        assert!(scrape.next_entry().expect("a good body").is_none() && entries > 1_000, "{entries}");
        let lines = body.bytes().filter(|b| *b == b'\n').count() as u64;
        assert_eq!(stream.place(), Place { lines, bytes: body.len() as u64 });
    }
}

/// Shows an entry by what it says and not by where it lies.
struct Shown<'a, 'e>(&'a Entry<'e>);

impl std::fmt::Debug for Shown<'_, '_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Entry::Sample(s) => {
                let labels: Vec<_> = s.labels.iter().collect();
                write!(f, "{} {labels:?} {} {:?} {}", s.name, s.value, s.at, s.exemplars.len())
            }
            other => write!(f, "{other:?}"),
        }
    }
}

#[test]
fn a_stream_that_is_wrong_says_where_and_one_too_long_is_refused() {
    let good = "a{b=\"c\"} 1\n".repeat(300_000);
    let read = |body: &[u8], format: Format| {
        let mut stream = TextStream::new(format, PLAIN, Limits::default());
        let mut last = 0;
        let result = stream.read(&mut &body[..], &mut |placed| {
            last = placed.bytes();
            ControlFlow::Continue(())
        });
        (result.map_err(|error| error.to_string()), last)
    };
    let wrong = format!("{good}a x\n{good}");
    let (result, last) = read(wrong.as_bytes(), Format::Text);
    assert!(result.expect_err("wrong").starts_with("line 300001: strconv.ParseFloat: parsing \"x\""));
    assert_eq!(last, good.len() as u64 - 11);
    let (result, _) = read(good.as_bytes(), Format::OpenMetrics);
    assert_eq!(result, Err("line 300001: data does not end with # EOF".to_owned()));
    let (result, _) = read(format!("{good}# EOF\n{good}").as_bytes(), Format::OpenMetrics);
    assert!(result.expect_err("wrong").ends_with("unexpected data after # EOF"));
    let (result, _) = read(format!("a 1\n# {}", "x".repeat(10 << 20)).as_bytes(), Format::Text);
    assert_eq!(result, Err("line 2: expected a line of at most 1048576 bytes".to_owned()));
    let stopped = TextStream::new(Format::Text, PLAIN, Limits::default())
        .read(&mut good.as_bytes(), &mut |_| ControlFlow::Break(()));
    assert!(matches!(stopped, Err(StreamError::Stopped)));
}

/// What a chunk says of its lines' family holds for the lines of the next chunk.
#[test]
fn a_family_goes_on_over_the_end_of_a_chunk() {
    let body = format!("# TYPE h histogram\n{}", "h_bucket{le=\"1\"} 1\n".repeat(2 * STREAM_BYTES / 20));
    let (mut stream, mut samples) = (TextStream::new(Format::Text, PLAIN, Limits::default()), 0);
    let read = stream.read(&mut body.as_bytes(), &mut |placed| {
        if let Entry::Sample(sample) = placed.entry {
            assert_eq!(sample.labels.get("le"), Some("1.0"), "line {}", placed.line());
            samples += 1;
        }
        ControlFlow::Continue(())
    });
    read.expect("a good body");
    assert_eq!(samples, 2 * STREAM_BYTES / 20);
}

/// A histogram that is native and classic gives its native form, and the classic series only where they are kept.
#[test]
fn a_histogram_of_both_forms_is_not_made_native_again() {
    let both = "name: \"h\" type: HISTOGRAM metric: < histogram: < sample_count: 1 sample_sum: 1 zero_count: 1 \
                bucket: < cumulative_count: 1 upper_bound: inf > > >";
    let body = textproto::delimited([both]);
    for (classic_to_native, keep_classic, series) in
        [(false, false, 1), (true, false, 1), (false, true, 4), (true, true, 4)]
    {
        let options = ScrapeOptions { classic_to_native, keep_classic, ..PLAIN };
        let (lines, error) = read(Format::Protobuf, &body, options);
        let native = lines.iter().filter(|line| line.contains("schema 0")).count();
        assert_eq!((lines.len() - 2, native, error), (series, 1, None), "{lines:#?}");
        assert!(!lines.iter().any(|line| line.contains("schema -53")), "{lines:#?}");
    }
}

const GOOD_TEXT: &[&str] = &[
    "# HELP a b\\n\n# TYPE a histogram\na_bucket{le=\"1\",x=\"\\\"\"} 1 5\na_sum -1e9\n\n# EOF\n#\n",
    "# TYPE s summary\ns{quantile=\"0.5\"} NaN\ns_count 3\n{\"a.b\",c=\"\n\"} 1e-7\n# HELP \"x y\" z\n",
    "a{b=\"c\" d=\"e\",} 0x\na{__name__=\"b\"} 1",
];

const GOOD_OPEN: &[&str] = &[
    "# HELP a_s b\\n\n# TYPE a_s histogram\n# UNIT a_s s\na_s_bucket{le=\"1\",x=\"\\\"\"} 1 5.5 # {t=\"\\\\\"} 1 2\n\
     a_s_count 1\na_s_sum 2\na_s_created 3\n{\"a.b\",c=\"\"} 1e-7 # {} 1\n# EOF\n",
    "# TYPE c counter\nc_total{a=\"1\"} 1\nc_created{a=\"1\"} 1e300\nc_total{a=\"2\"} 1\n# TYPE i info\ni_info{} 1\n# EOF",
];

/// Damages a body: a byte changed, taken away, put in, a piece doubled, the rest cut off.
fn damage(body: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(3) {
        if body.is_empty() {
            return;
        }
        let at = random.below(body.len());
        match random.below(6) {
            0 => body[at] = random.below(256) as u8,
            1 => drop(body.remove(at)),
            2 => body.insert(at, b"{}\"\\\n #=,\0+\xff"[random.below(12)]),
            3 => {
                let piece = body[at..(at + random.below(40)).min(body.len())].to_vec();
                let to = random.below(body.len());
                body.splice(to..to, piece);
            }
            4 => body[at] ^= 1 << random.below(8),
            _ => body.truncate(at),
        }
    }
}

/// Runs damaged bodies through every way of reading one; returns how many were accepted and refused.
fn fuzz(format: Format, bodies: &[Vec<u8>], rounds: usize) -> (usize, usize) {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let (mut accepted, mut refused) = (0, 0);
    let (mut filler, mut batch) = (ScrapeFiller::new(), Batch::new());
    for round in 0..rounds {
        let mut body = bodies[random.below(bodies.len())].clone();
        damage(&mut body, &mut random);
        let bit = |n: usize| round >> n & 1 == 1;
        let options = ScrapeOptions {
            starts: bit(0),
            skip_created: bit(1),
            type_and_unit: bit(2),
            classic_to_native: bit(3),
            keep_classic: bit(4),
        };
        batch.clear();
        let filled = filler.fill(format, &body, options, Limits::default(), &mut batch);
        let mut scrape = Scrape::new(format, &body, options, Limits::default());
        let mut samples = 0;
        let result = loop {
            match scrape.next_entry() {
                Ok(Some(Entry::Sample(_) | Entry::Histogram(_))) => samples += 1,
                Ok(Some(_)) => {}
                Ok(None) => break Ok(samples),
                Err(error) => break Err(error),
            }
        };
        assert_eq!(filled.clone().map(|filled| filled.samples), result, "{}", body.escape_ascii());
        match filled {
            Ok(filled) => {
                assert_eq!(filled.samples, batch.rows().len() as u64 + batch.refused());
                accepted += 1;
            }
            Err(error) => {
                assert!(batch.rows().is_empty() && error.what.len() < 8_192, "{error}");
                refused += 1;
            }
        }
        if format != Format::Protobuf && !options.classic_to_native {
            let mut stream = TextStream::new(format, options, Limits::default());
            let mut streamed = 0;
            let read = stream.read(&mut &body[..], &mut |placed| {
                streamed += u64::from(matches!(placed.entry, Entry::Sample(_)));
                ControlFlow::Continue(())
            });
            let read = read.map(|()| streamed).map_err(|error| match error {
                StreamError::Text(error) => error,
                other => panic!("{other}"),
            });
            assert_eq!(read, result, "{}", body.escape_ascii());
        }
    }
    (accepted, refused)
}

#[test]
fn no_input_panics_or_leaves_half_a_batch() {
    let texts = |bodies: &[&str]| bodies.iter().map(|body| body.as_bytes().to_vec()).collect::<Vec<_>>();
    for (format, bodies) in [
        (Format::Text, texts(GOOD_TEXT)),
        (Format::OpenMetrics, texts(GOOD_OPEN)),
        (Format::Protobuf, vec![textproto::delimited(FAMILIES.iter().copied())]),
    ] {
        let (accepted, refused) = fuzz(format, &bodies, 30_000);
        println!("{format:?}: {accepted} accepted, {refused} refused");
        assert!(accepted > 300 && refused > 3_000, "{format:?}: {accepted} accepted, {refused} refused");
    }
}
