//! What the parser accepts and refuses, one line of input a case, and that no input makes it panic.
//!
//! The expected answers are the real node_exporter's; the whole set of its cases is in the exporters' tests.

use super::*;
use crate::write_text;

fn parsed(text: &str) -> Result<String, String> {
    let mut batch = Batch::new();
    parse_text(text.as_bytes(), &mut batch).map_err(|error| error.to_string())?;
    let mut out = String::new();
    write_text(&batch, &mut out);
    Ok(out)
}

#[test]
fn what_is_printed_reads_back() {
    let text = "# HELP a A \\\\ and \\n.\n# TYPE a counter\na{x=\"1\\\"\\\\\\n\",y=\"\"} 1 1500\n\
                # TYPE h histogram\nh_bucket{le=\"0.5\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n\
                # TYPE s summary\ns{quantile=\"0.5\"} 1\ns_sum 1\ns_count 1\n";
    assert_eq!(parsed(text).as_deref(), Ok(text));
}

#[test]
fn odd_but_right_texts_are_accepted() {
    let value = |text: &str| parsed(text).map(|out| out.lines().last().unwrap_or("").to_owned());
    for (text, row) in [
        ("", ""),
        ("\n \n\t\n", ""),
        ("# just a comment\n#\n# EOF\n# HELP\n# HELP a\n", ""),
        ("a 1\n  ", "a 1"),
        (" a { b = \"c\" , d = \"e\" , } 1\n", "a{b=\"c\",d=\"e\"} 1"),
        ("a{} 1\n", "a 1"),
        ("a\t1\n", "a 1"),
        ("job:a:rate .5\n", "job:a:rate 0.5"),
        ("a 5.\n", "a 5"),
        ("a nan\n", "a NaN"),
        ("a -Infinity\n", "a -Inf"),
        ("# TYPE h histogram\nh_bucket{le=\"1.0\"} 1\n", "h_bucket{le=\"1\"} 1"),
        ("# TYPE a GAUGE\na 1 -7\n", "a 1 -7"),
        ("\"a\" 1\n", "a 1"),
        ("\"a\"{b=\"c\"} 1\n", "a{b=\"c\"} 1"),
        ("{\"a\"} 1\n", "a 1"),
        ("{a, b=\"c\"} 1\n", "a{b=\"c\"} 1"),
        ("{b=\"c\",\"a:d\"} 1\n", "a:d{b=\"c\"} 1"),
        ("a{\"b\"=\"c\"} 1\n", "a{b=\"c\"} 1"),
        ("# TYPE \"a\" gauge\na 1\n", "a 1"),
        ("# TYPE h histogram\nh_sum -1\n", "h_sum -1"),
        ("# TYPE s summary\ns_count -1\n", "s_count -1"),
    ] {
        assert_eq!(value(text).as_deref(), Ok(row), "{text:?}");
    }
}

#[test]
fn help_may_come_late_and_samples_apart() {
    assert_eq!(
        parsed("# TYPE a gauge\na{x=\"1\"} 1\nb 2\na{x=\"2\"} 3\n# HELP a late\n").as_deref(),
        Ok("# HELP a late\n# TYPE a gauge\na{x=\"1\"} 1\na{x=\"2\"} 3\n# TYPE b untyped\nb 2\n")
    );
}

#[test]
fn suffixes_belong_to_a_family_only_when_its_kind_says_so() {
    let families = |text: &str| {
        let mut batch = Batch::new();
        parse_text(text.as_bytes(), &mut batch).expect("good text");
        batch.families().iter().map(|family| batch.name(family).to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(families("# TYPE a summary\na_sum 1\na_bucket 2\n"), ["a", "a_bucket"]);
    assert_eq!(families("# TYPE a histogram\na_sum 1\na_bucket{le=\"1\"} 2\n"), ["a"]);
    assert_eq!(families("# TYPE a counter\na 1\na_sum 1\n"), ["a", "a_sum"]);
    assert_eq!(families("a_count 1\n# TYPE a summary\na_count 2\n"), ["a_count"]);
}

#[test]
fn wrong_texts_are_refused_with_their_line() {
    for (text, line) in [
        ("a 1", 1),
        ("a 1\n# half a comment", 2),
        ("# TYPE a gauge\r\n", 1),
        ("a 1\t\n", 1),
        ("a 0x1p-2\n", 1),
        ("a 1_000\n", 1),
        ("a 1e999\n", 1),
        ("a +nan\n", 1),
        ("# TYPE a strange\n", 1),
        ("# TYPE a gauge\n# TYPE a gauge\n", 2),
        ("# HELP a x\n# HELP a y\n", 2),
        ("a 1\n# TYPE a gauge\n", 2),
        ("a{b=\"1\",b=\"2\"} 1\n", 1),
        ("a{__name__=\"1\"} 1\n", 1),
        ("a.b 1\n", 1),
        ("{\"a.b\"} 1\n", 1),
        ("\"a.b\" 1\n", 1),
        ("a{\"b.c\"=\"d\"} 1\n", 1),
        ("a{\"b:c\"=\"d\"} 1\n", 1),
        ("# HELP \"a.b\" x\n", 1),
        ("{\"a\"}{b=\"c\"} 1\n", 1),
        ("\"a 1\n", 1),
        ("\"\" 1\n", 1),
        ("{a=\"b\"} 1\n", 1),
        ("# TYPE h histogram\nh_count -1\n", 2),
        ("# TYPE h histogram\nh_bucket{le=\"1\"} -0.5\n", 2),
        ("a{b=\"\\t\"} 1\n", 1),
        ("# HELP a \\t\n", 1),
        ("a{b=\"c\n\"} 1\n", 1),
        ("a{b=\"c\" d=\"e\"} 1\n", 1),
        ("a{b} 1\n", 1),
        ("a{b=c} 1\n", 1),
        ("a{,} 1\n", 1),
        ("a 1 2 3\n", 1),
        ("a 1 # {trace=\"x\"} 1\n", 1),
        ("a 1 1.5\n", 1),
        ("ok 1\nbroken{ 2\nafter 3\n", 2),
        ("a\n", 1),
        ("1a 1\n", 1),
        ("# TYPE h histogram\nh_bucket{le=\"x\"} 2\n", 2),
    ] {
        let error = parsed(text).expect_err(text);
        assert!(error.starts_with(&format!("line {line}: ")), "{text:?}: {error}");
    }
    let mut batch = Batch::new();
    assert_eq!(parse_text(b"a 1\na{b=\"\xff\"} 1\n", &mut batch).expect_err("not UTF-8").line, 2);
    assert!(batch.rows().is_empty());
    assert_eq!(parse_text(b"# HELP a 7\xb0\na 1\n", &mut batch), Ok(()));
    assert_eq!(batch.help(&batch.families()[0]), "7\u{fffd}");
}

#[test]
fn limits_are_refused_by_name() {
    let long = format!("a{{b=\"{}\"}} 1\n", "x".repeat(LABEL_BYTES_MAX + 1));
    assert!(parsed(&long).expect_err("long").contains("4096 bytes of a label value"));
    let many: String = (0..LABELS_MAX).map(|i| format!("l{i}=\"1\",")).collect();
    assert!(parsed(&format!("a{{{many}}} 1\n")).expect_err("many").contains("labels are accepted"));
    let mut batch = Batch::new();
    let error = parse_text(&vec![b'\n'; TEXT_BYTES_MAX + 1], &mut batch).expect_err("huge");
    assert_eq!(error.line, 0);
}

#[test]
fn many_families_are_found_again() {
    let mut text = String::new();
    for round in 0..2 {
        (0..500).for_each(|i| text.push_str(&format!("m{i}{{round=\"{round}\"}} {i}\n")));
    }
    let mut batch = Batch::new();
    let mut parser = TextParser::new();
    for _ in 0..2 {
        batch.clear();
        parser.parse(text.as_bytes(), &mut batch).expect("good text");
        assert_eq!((batch.families().len(), batch.rows().len()), (500, 1_000));
    }
}

#[test]
fn no_input_panics() {
    let good = "# HELP a b\\n\n# TYPE a histogram\na_bucket{le=\"1\",x=\"\\\"\"} 1 5\na_sum -1e9\n\n# EOF\n";
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % below as u64) as usize
    };
    let mut parser = TextParser::new();
    let mut batch = Batch::new();
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..20_000 {
        let mut bytes = good.as_bytes().to_vec();
        for _ in 0..=next(3) {
            if bytes.is_empty() {
                break;
            }
            let at = next(bytes.len());
            match next(4) {
                0 => bytes[at] = next(256) as u8,
                1 => drop(bytes.remove(at)),
                2 => bytes.insert(at, b"{}\"\\\n #=,"[next(9)]),
                _ => bytes.truncate(at),
            }
        }
        batch.clear();
        match parser.parse(&bytes, &mut batch) {
            Ok(()) => accepted += 1,
            Err(_) => refused += 1,
        }
    }
    assert!(accepted > 100 && refused > 1_000, "{accepted} accepted, {refused} refused");
}

/// Names that are quoted may be any text, where that was asked for.
#[test]
fn quoted_names_are_any_text() {
    let text = "# HELP \"my.metric\" Help.\n# TYPE \"my.metric\" histogram\n\
                {\"my.metric_bucket\", le=\"1\", \"my.label\"=\"a\"} 1\n{le=\"+Inf\", \"my.metric_bucket\"} 2\n\
                my{\"x y\"=\"z\"} 3\n";
    let mut batch = Batch::new();
    assert_eq!(parse_text_with_any_names(text.as_bytes(), &mut batch), Ok(()));
    let rows: Vec<String> =
        batch.rows().iter().map(|row| format!("{:?}", batch.labels(row).collect::<Vec<_>>())).collect();
    assert_eq!(
        rows,
        [
            r#"[("__name__", "my.metric_bucket"), ("le", "1"), ("my.label", "a")]"#,
            r#"[("__name__", "my.metric_bucket"), ("le", "+Inf")]"#,
            r#"[("__name__", "my"), ("x y", "z")]"#,
        ]
    );
    assert_eq!(batch.help(&batch.families()[0]), "Help.");
    for wrong in ["{\"a\", \"b\"} 1\n", "a{\"b\"} 1\n", "{} 1\n", "{\"\"} 1\n", "{\"a} 1\n", "{\"a\" b=\"c\"} 1\n"] {
        assert!(parse_text_with_any_names(wrong.as_bytes(), &mut Batch::new()).is_err(), "{wrong}");
    }
}
