//! The crate seen from outside: texts in, values or exact messages out.
//!
//! `read` is the one reader of these tests; it asks for one key of every type, so a table of wrong files with
//! their messages is the whole test. What bounds a hostile file is tested below it.

use super::*;

/// Reads a file that may have one key of every type.
fn read(text: &str) -> (Vec<String>, String) {
    let mut errors = Errors::new();
    let mut warnings = Errors::new();
    let mut values = Vec::new();
    match parse("f.yml", text) {
        Err(faults) => errors.append(faults),
        Ok(node) => {
            let mut root = node.map(&mut errors);
            values.extend(root.str("name", &mut errors));
            values.extend(root.secret("password", &mut errors).map(|secret| secret.to_string()));
            values.extend(root.bool("flag", &mut errors).map(|v| v.to_string()));
            values.extend(root.u64("count", &mut errors).map(|v| v.to_string()));
            values.extend(root.i64("offset", &mut errors).map(|v| v.to_string()));
            values.extend(root.f64("ratio", &mut errors).map(|v| v.to_string()));
            values.extend(root.duration_ms("interval", &mut errors).map(|v| v.to_string()));
            values.extend(root.bytes("size", &mut errors).map(|v| v.to_string()));
            values.extend(root.word("mode", &["level", "edge"], &mut errors).map(str::to_owned));
            values.extend(root.strings("list", &mut errors));
            values.extend(root.pairs("labels", &mut errors).into_iter().map(|(n, v)| format!("{n}={v}")));
            for item in root.list("jobs", &mut errors) {
                let mut job = item.map(&mut errors);
                values.extend(job.need("job_name", &mut errors).and_then(|node| node.str(&mut errors)));
                job.finish(&mut errors);
            }
            root.known_but_unserved(&["tracing"], "see the manual", &mut warnings);
            root.finish(&mut errors);
        }
    }
    errors.append(warnings);
    (values, errors.to_string())
}

#[test]
fn good_files_are_read_as_go_reads_them() {
    for (text, expected) in [
        ("", &[] as &[&str]),
        ("# nothing\n---\n", &[]),
        ("name: 15\n", &["15"]),
        ("name: 0x1F\n", &["0x1F"]),
        ("name: yes\n", &["yes"]),
        ("name: ~\ncount: null\nlist:\nlabels:\njobs:\n", &[]),
        ("name: 'null'\n", &["null"]),
        ("name: !!str 5\n", &["5"]),
        ("name: \"a\\tb\\u00e9\"\n", &["a\tbé"]),
        ("name: |\n  a\n  b\n", &["a\nb\n"]),
        ("name: >-\n  a\n  b\n", &["a b"]),
        ("password: hunter2\n", &["<secret>"]),
        ("flag: yes\ncount: 1_000\noffset: -3\nratio: 1\n", &["true", "1000", "-3", "1"]),
        ("flag: Off\nratio: .5\n", &["false", "0.5"]),
        ("interval: 1h30m\nsize: 64MiB\nmode: edge\n", &["5400000", "67108864", "edge"]),
        ("list: [a, 1, true]\nlabels: {a: 1, b: x, c: }\n", &["a", "1", "true", "a=1", "b=x", "c="]),
        ("jobs:\n- job_name: a\n- job_name: b\n", &["a", "b"]),
        ("jobs: [&x {job_name: a}, *x, {<<: *x}]\n", &["a", "a", "a"]),
        ("labels:\n  <<: [{a: 1, b: 1}, {b: 2, c: 2}]\n  a: 0\n", &["a=0", "b=1", "c=2"]),
        ("\u{feff}name: a\r\nmode: level\r\n", &["a", "level"]),
    ] {
        let (values, errors) = read(text);
        assert_eq!(
            (values.iter().map(String::as_str).collect::<Vec<_>>(), errors.as_str()),
            (expected.to_vec(), ""),
            "{text}"
        );
    }
}

#[test]
fn wrong_files_get_exact_messages() {
    for (text, expected) in [
        ("nmae: a\n", "f.yml:1:1: nmae: unknown key, expected name"),
        (
            "xyz: a\n",
            "f.yml:1:1: xyz: unknown key, expected one of count, flag, interval, jobs, labels, list, mode, name, offset, password, ratio, size",
        ),
        (
            "jobs:\n- job_name: a\n- jobname: b\n",
            "f.yml:3:3: jobs[1]: job_name is missing\nf.yml:3:3: jobs[1].jobname: unknown key, expected job_name",
        ),
        (
            "jobs:\n- a\n-\n",
            "f.yml:2:3: jobs[0]: a single value, expected a map (key: value)\nf.yml:3:2: jobs[1]: there is nothing here, expected a map (key: value)",
        ),
        ("jobs: a\n", "f.yml:1:7: jobs: a single value, expected a list (- item)"),
        ("- a\n", "f.yml:1:1: a list, expected a map (key: value)"),
        ("name: [a]\n", "f.yml:1:7: name: a list, expected a text"),
        ("password: {a: hunter2}\n", "f.yml:1:11: password: a map, expected a text"),
        ("flag: maybe\n", "f.yml:1:7: flag: \"maybe\", expected true or false"),
        ("flag: \"true\"\n", "f.yml:1:7: flag: the text \"true\", expected true or false, without quotes"),
        ("count: -1\n", "f.yml:1:8: count: \"-1\", expected a whole number from 0"),
        (
            "count: four\nratio: x\n",
            "f.yml:1:8: count: \"four\", expected a whole number from 0\nf.yml:2:8: ratio: \"x\", expected a number",
        ),
        ("offset: 1.5\n", "f.yml:1:9: offset: \"1.5\", expected a whole number"),
        ("interval: 15\n", "f.yml:1:11: interval: \"15\", expected a duration such as 15s or 1h30m"),
        ("size: 256\n", "f.yml:1:7: size: \"256\", expected a size such as 256MB or 64MiB"),
        ("mode: egde\n", "f.yml:1:7: mode: \"egde\" is not known, expected edge"),
        ("mode: both\n", "f.yml:1:7: mode: \"both\" is not known, expected one of level, edge"),
        ("labels: [a]\n", "f.yml:1:9: labels: a list, expected a map (name: value)"),
        ("labels: {a: [b]}\n", "f.yml:1:13: labels.a: a list, expected a text"),
        ("list: [a, {b: c}]\n", "f.yml:1:11: list[1]: a map, expected a text"),
        ("tracing: {}\n", "f.yml:1:1: tracing: is not served yet and has no effect: see the manual"),
        ("name: a\nlist: []\nname: b\n", "f.yml:3:1: key name is there twice, first at 1:1"),
        (
            "labels:\n  a: 1\n  a: 2\n  a: 3\n",
            "f.yml:3:3: labels: key a is there twice, first at 2:3\nf.yml:4:3: labels: key a is there twice, first at 2:3",
        ),
        ("a: 1\n---\nb: 2\n", "f.yml:2:1: a second document begins here, expected one document a file"),
        ("name: *nobody\n", "f.yml:1:7: while parsing node, found unknown anchor"),
        ("jobs: &a [*a]\n", "f.yml:1:11: an alias inside what it stands for, expected an earlier anchor"),
        ("labels: {<<: 5}\n", "f.yml:1:14: << cannot merge this, expected a map or a list of maps"),
        (
            "[a]: b\n",
            "f.yml:1:1: a key that is no text, expected a name (a value that begins with {, [ or * needs quotes)",
        ),
        ("name: !mine a\n", "f.yml:1:13: a tag of its own, expected no tag (a text that begins with ! needs quotes)"),
        ("name: !!binary aGk=\n", "f.yml:1:16: the tag !!binary is not known here, expected a plain text"),
        (
            "name: a: b\n",
            "f.yml:1:8: mapping values are not allowed in this context, expected quotes around a text with `: ` in it, or a line of its own for the key",
        ),
        (
            "name: @a\n",
            "f.yml:1:7: unexpected character: `@', expected quotes around a text that begins with this character",
        ),
        (
            "labels:\n\ta: 1\n",
            "f.yml:2:2: tabs disallowed within this context (block indentation), expected blanks, YAML does not indent with tabs",
        ),
        (
            "labels:\n  a: 1\n b: 2\n",
            "f.yml:3:2: while parsing a block mapping, did not find expected key, expected the same indentation as the keys above",
        ),
    ] {
        assert_eq!(read(text).1, expected, "{text}");
    }
}

#[test]
fn a_hostile_file_costs_no_more_than_the_limits() {
    let laughs: String =
        (1..40).map(|i| format!("k{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 9].join(", "))).collect();
    let many: String = (0..NODES_TOO_MANY).map(|i| format!("- {i}\n")).collect();
    let nested_aliases: String = (1..80).map(|i| format!("k{i}: &a{i} [*a{}]\n", i - 1)).collect();
    let unknown: String = (0..20_000).map(|i| format!("key_{i}: 1\n")).collect();
    for (text, expected) in [
        (format!("k0: &a0 x\n{laughs}"), "too many values, expected at most 65536 values, expanded aliases included"),
        (many, "too many values, expected at most 65536 values, expanded aliases included"),
        ("[".repeat(5_000), "recursion limit exceeded, expected fewer levels"),
        (format!("{}{}", "[".repeat(70), "]".repeat(70)), "too deeply nested, expected at most 64 levels"),
        ("- ".repeat(5_000), "too deeply nested, expected at most 64 levels"),
        (format!("k0: &a0 [x]\n{nested_aliases}"), "too deeply nested by aliases, expected at most 64 levels"),
        ("x".repeat(limits::TEXT_BYTES_MAX + 1), "f.yml: has 1048577 bytes, expected at most 1048576 bytes"),
        (unknown, "and 19800 more"),
        ("a: 1\n".repeat(20_001), "and 19800 more"),
    ] {
        let errors = read(&text).1;
        assert!(errors.ends_with(expected), "{expected}: {}", errors.chars().take(500).collect::<String>());
    }
}

const NODES_TOO_MANY: usize = limits::NODES_MAX + 1;

#[test]
fn places_within_a_text_are_places_in_the_file() {
    let text = "a: up ==\nb: 'up =='\nc: |\n\n    up\n      == x\nd: >\n  up ==\n";
    let node = parse("f.yml", text).expect("well-formed");
    let mut errors = Errors::new();
    let mut root = node.map(&mut errors);
    let mut within = |key, line, column| {
        let place = root.get(key).expect("is there").place_within(line, column);
        (place.line, place.column)
    };
    assert_eq!(within("a", 1, 4), (1, 7));
    assert_eq!(within("b", 1, 4), (2, 8));
    assert_eq!(within("c", 2, 1), (5, 5));
    assert_eq!(within("c", 3, 3), (6, 7));
    assert_eq!(within("d", 1, 4), (8, 3));
}

#[test]
fn keys_asked_for_are_noted() {
    let mut errors = Errors::noting_keys();
    let node = parse("f.yml", "jobs: [{name: a}, {name: b}]\n").expect("well-formed");
    let mut root = node.map(&mut errors);
    for job in root.list("jobs", &mut errors) {
        let mut job = job.map(&mut errors);
        job.str("name", &mut errors);
        job.finish(&mut errors);
    }
    root.finish(&mut errors);
    assert_eq!(errors.keys_noted().collect::<Vec<_>>(), ["jobs", "jobs[].name"]);
}

#[test]
fn nodes_are_equal_when_they_say_the_same() {
    let node = |text| parse("f.yml", text).expect("well-formed");
    assert_eq!(node("a: 1\nb: [x, ~]\n"), node("# moved\n\n\nb:\n- x\n-\na: 1\n"));
    for other in ["a: 1\n", "a: 1\nb: [x]\n", "a: '1'\nb: [x, ~]\n", "a: 1\nb: [~, x]\n", "a: 1\nc: [x, ~]\n", "1"] {
        assert_ne!(node("a: 1\nb: [x, ~]\n"), node(other), "{other}");
    }
}

/// Every prefix, every deleted and every doubled byte of a file with everything in it: no panic, and an error or a
/// tree. Positions stay within the file.
#[test]
fn damaged_files_do_no_harm() {
    let text =
        "a: &x {b: [1, 'q', \"\\x41\"], <<: {c: d}}\n? e\n: |+\n  lit\n\n--- \n- *x\n- !!str ~ # c\n%TAG ! t:\n...\n";
    for at in 0..=text.len() {
        let mut variants = vec![text[..at].to_owned(), text[at..].to_owned()];
        for insert in ["\t", "\0", "é", "\n", "- ", ": ", "{", "]", "&x ", "*x "] {
            variants.push([&text[..at], insert, &text[at..]].concat());
        }
        for variant in variants {
            let lines = variant.lines().count() as u32 + 1;
            if let Err(errors) = parse("f.yml", &variant) {
                assert!(
                    errors.iter().all(|error| error.line <= lines && !error.shown().is_empty()),
                    "{variant:?}: {errors}"
                );
            }
        }
    }
}
