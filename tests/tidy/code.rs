//! Just enough of Rust's grammar to search a file's code without being fooled by its prose.
//!
//! [`code_of`] blanks comments and the insides of strings; [`shipped`] also blanks what only tests compile. Lines and
//! columns stay where they were. Macros are not expanded and names are not resolved: `use std::fs as disk` is found
//! where it is written, not at each use.

use crate::tree::{File, Tree};

/// Returns the code alone: comments and what is between quotes become spaces, line ends stay.
pub fn code_of(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match &bytes[at..] {
            [b'/', b'/', ..] => at + line_length(&bytes[at..]),
            [b'/', b'*', ..] => at + comment_length(&bytes[at..]),
            [b'"', ..] => at + string_length(&bytes[at..]),
            [b'r', b'"' | b'#', ..] if !follows_name(bytes, at) => at + raw_length(&bytes[at..]),
            [b'\'', ..] => at + character_length(&bytes[at..]),
            _ => at + 1,
        };
        if end > at + 1 {
            blank(&mut code[at..end]);
        }
        at = end;
    }
    String::from_utf8_lossy(&code).into_owned()
}

/// Returns the code that is compiled without `cfg(test)`.
pub fn shipped(text: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut code = code_of(text).into_bytes();
    let mut from = 0;
    while let Some(found) = find(&code[from..], MARK) {
        let start = from + found;
        let end = item_end(&code, start + MARK.len());
        blank(&mut code[start..end]);
        from = end;
    }
    String::from_utf8_lossy(&code).into_owned()
}

/// Tells whether a file is compiled for tests alone: a test target, or a module declared under `cfg(test)`.
pub fn is_test(tree: &Tree, file: &File) -> bool {
    let path = file.path.as_str();
    let is_target = ["/tests/", "/benches/", "/examples/"].iter().any(|part| path.contains(part));
    path.starts_with("tests/") || is_target || is_test_module(tree, file)
}

/// Tells whether a file is a module declared under `cfg(test)`, or lies below one.
pub fn is_test_module(tree: &Tree, file: &File) -> bool {
    let declares = |parent: &File, declaration: &str| {
        let folder = parent.path.rfind('/').map_or("", |slash| &parent.path[..=slash]);
        // `#[path = "codec_tests.rs"]` names a file beside the one that says so.
        let elsewhere = declaration.strip_prefix("#[path = \"").and_then(|rest| rest.split('"').next());
        let name = declaration.rsplit_once("mod ").map_or("", |(_, name)| name.trim());
        let module = format!("{}{name}", module_folder(&parent.path));
        elsewhere.is_some_and(|path| file.path == format!("{folder}{path}"))
            || file.path == format!("{module}.rs")
            || file.path.starts_with(&format!("{module}/"))
    };
    tree.rust().any(|parent| {
        let marked = parent.text.split("#[cfg(test)]").skip(1).map(str::trim_start);
        let modules = marked.filter(|rest| rest.starts_with("mod ") || rest.starts_with("#[path"));
        modules.filter_map(|rest| rest.split_once(';')).any(|(declaration, _)| declares(parent, declaration))
    })
}

/// Returns each line's number, from 1, where a name or path stands as a whole: `fs` is not in `offset`.
pub fn lines_naming<'a>(code: &'a str, name: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.lines().enumerate().filter(move |(_, line)| names(line, name)).map(|(index, _)| index + 1)
}

fn names(line: &str, name: &str) -> bool {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    line.match_indices(name).any(|(start, _)| {
        let end = start + name.len();
        let before = start.checked_sub(1).map(|at| line.as_bytes()[at]);
        let after = line.as_bytes().get(end);
        let joins_before = is_name(name.as_bytes()[0]) && before.is_some_and(is_name);
        let joins_after = is_name(name.as_bytes()[name.len() - 1]) && after.is_some_and(|&byte| is_name(byte));
        !joins_before && !joins_after
    })
}

/// Returns the folder that a file's modules lie in: `src/` for `src/lib.rs`, `src/io/` for `src/io.rs`.
fn module_folder(path: &str) -> String {
    let (folder, name) = path.split_at(path.rfind('/').map_or(0, |slash| slash + 1));
    match name {
        "lib.rs" | "main.rs" | "mod.rs" => folder.to_owned(),
        _ => format!("{folder}{}/", name.trim_end_matches(".rs")),
    }
}

fn line_length(bytes: &[u8]) -> usize {
    bytes.iter().position(|&byte| byte == b'\n').unwrap_or(bytes.len())
}

fn comment_length(bytes: &[u8]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < bytes.len() {
        match &bytes[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn string_length(bytes: &[u8]) -> usize {
    let mut at = 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += 1 + usize::from(bytes[at] == b'\\');
    }
    (at + 1).min(bytes.len())
}

/// Returns the length of `r"..."` or `r##"..."##`, and 1 where it is `r#name`.
fn raw_length(bytes: &[u8]) -> usize {
    let hashes = bytes[1..].iter().take_while(|&&byte| byte == b'#').count();
    if bytes.get(1 + hashes) != Some(&b'"') {
        return 1;
    }
    let close = format!("\"{}", "#".repeat(hashes));
    let inside = 2 + hashes;
    find(&bytes[inside..], &close).map_or(bytes.len(), |at| inside + at + close.len())
}

/// Returns the length of a character in quotes, and 1 where the quote begins a lifetime.
fn character_length(bytes: &[u8]) -> usize {
    if bytes.get(1) == Some(&b'\\') {
        let close = bytes.iter().skip(3).position(|&byte| byte == b'\'');
        return close.map_or(1, |at| at + 4);
    }
    let width = match bytes.get(1) {
        Some(0xF0..) => 4,
        Some(0xE0..) => 3,
        Some(0xC0..) => 2,
        _ => 1,
    };
    if bytes.get(1 + width) == Some(&b'\'') { width + 2 } else { 1 }
}

/// Tells whether the byte before belongs to a name, as in `for"` or `br"`, whose string is found all the same.
fn follows_name(bytes: &[u8], at: usize) -> bool {
    at.checked_sub(1).is_some_and(|at| bytes[at].is_ascii_alphanumeric() && bytes[at] != b'b')
}

/// Returns where the item that begins at `at` ends: after its `;`, or after its braces.
fn item_end(code: &[u8], at: usize) -> usize {
    let mut depth = 0;
    for (index, &byte) in code.iter().enumerate().skip(at) {
        match byte {
            b'{' => depth += 1,
            b'}' if depth <= 1 => return index + 1,
            b'}' => depth -= 1,
            b';' if depth == 0 => return index + 1,
            _ => {}
        }
    }
    code.len()
}

fn find(bytes: &[u8], what: &str) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what.as_bytes())
}

fn blank(bytes: &mut [u8]) {
    bytes.iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
}

#[test]
fn comments_and_strings_are_blank() {
    let check = |text: &str, code: &str| assert_eq!(code_of(text).trim_end(), code, "{text}");
    check("a // fs\nb", "a\u{20}\u{20}\u{20}\u{20}\u{20}\u{20}\nb");
    check("a /* x /* y */ fs */ b", "a                    b");
    check(r#"f("a \" fs", b)"#, "f(         , b)");
    check(r###"f(r#"a " fs"#, b)"###, "f(           , b)");
    check("f('\"', '\\'', 'a, b)", "f(   ,     , 'a, b)");
    check("r#type", "r#type");
}

#[test]
fn what_only_tests_compile_is_not_shipped() {
    let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n fn b() { fs }\n}\n#[cfg(test)]\nmod more;\nfn c() {}";
    let left: Vec<&str> = shipped(text).lines().map(str::trim).filter(|line| !line.is_empty()).map(leak).collect();
    assert_eq!(left, ["fn a() {}", "fn c() {}"]);

    let beside = "#[cfg(test)]\n#[path = \"y_tests.rs\"]\nmod tests;\nmod z;\n";
    let tree = Tree::of(&[
        ("a/src/x.rs", text),
        ("a/src/x/more.rs", ""),
        ("a/src/more.rs", ""),
        ("a/src/y.rs", beside),
        ("a/src/y/z.rs", ""),
        ("a/src/y_tests.rs", ""),
        ("a/tests/b.rs", ""),
    ]);
    let tests: Vec<&str> = tree.files.iter().filter(|file| is_test(&tree, file)).map(|file| leak(&file.path)).collect();
    assert_eq!(tests, ["a/src/x/more.rs", "a/src/y_tests.rs", "a/tests/b.rs"]);
}

#[test]
fn a_name_is_found_as_a_whole() {
    let found = |code: &str, name: &str| lines_naming(code, name).collect::<Vec<_>>();
    assert_eq!(found("offset\nstd::fs::read\nmy_std::fs", "std::fs"), [2]);
    assert_eq!(found("dbg!(x)\nmy_dbg!(x)", "dbg!"), [1]);
}

#[cfg(test)]
fn leak(text: &str) -> &'static str {
    Box::leak(text.to_owned().into_boxed_str())
}
