//! Reads the path of a push: `/metrics/job/NAME` and label pairs behind it, each plain or in base64.
//!
//! As pushgateway 1.11 does: percent escapes are undone before the path is cut at slashes, `NAME@base64` says that
//! the value is in base64 (RFC 4648 section 5, padding optional), a repeated label's last value counts, and a second
//! `job` counts for nothing. Error texts are the peer's.

use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{DecodeError, Engine};

use crate::limits::PATH_LABELS_MAX;

/// The labels that name a group, `job` among them, in ascending order of names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Grouping(Vec<(String, String)>);

/// What a path is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// No path of a push.
    Elsewhere,
    /// To be asked again at this path, with this status.
    Moved(u16, String),
    /// Refused, with the reason.
    Bad(String),
    /// A group.
    Group(Grouping),
}

impl Grouping {
    /// Returns an iterator over names and values, in ascending order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Returns a label's value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(other, _)| *other == name).map(|(_, value)| value)
    }

    pub(crate) fn set(&mut self, name: &str, value: String) {
        match self.0.binary_search_by(|(other, _)| other.as_str().cmp(name)) {
            Ok(at) => self.0[at].1 = value,
            Err(at) => self.0.insert(at, (name.to_owned(), value)),
        }
    }

    /// Returns the path that means this group, whatever its labels are.
    pub fn path(&self) -> String {
        let mut path = format!("/metrics/job@base64/{}", to_base64(self.get("job").unwrap_or_default()));
        for (name, value) in self.iter().filter(|(name, _)| *name != "job") {
            path.push_str(&format!("/{name}@base64/{}", to_base64(value)));
        }
        path
    }
}

/// Reads a path, still escaped. With `utf8_names` label names may be given as `U__...` escapes.
pub fn route(path: &str, utf8_names: bool) -> Route {
    if !path.starts_with("/metrics/job") {
        return Route::Elsewhere;
    }
    let Some(path) = unescape(path) else { return Route::Bad("invalid escape in the path".to_owned()) };
    let (rest, is_base64) = match (path.strip_prefix("/metrics/job@base64/"), path.strip_prefix("/metrics/job/")) {
        (Some(rest), _) => (rest, true),
        (_, Some(rest)) => (rest, false),
        _ => return Route::Elsewhere,
    };
    if path.contains("//") {
        return Route::Moved(301, clean(&path));
    }
    if rest.is_empty() {
        return Route::Moved(307, path.trim_end_matches('/').to_owned());
    }
    let (job, labels) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    match grouping(job, is_base64, labels, utf8_names) {
        Ok(grouping) => Route::Group(grouping),
        Err(reason) => Route::Bad(reason),
    }
}

fn grouping(job: &str, is_base64: bool, labels: &str, utf8_names: bool) -> Result<Grouping, String> {
    let job = match is_base64 {
        true => from_base64(job).map_err(|e| format!("invalid base64 encoding in job name {job:?}: {e}"))?,
        false => job.to_owned(),
    };
    if job.is_empty() {
        return Err("job name is required".to_owned());
    }
    let mut grouping = Grouping::default();
    if labels.len() > 1 {
        let parts: Vec<&str> = labels[1..].split('/').collect();
        if !parts.len().is_multiple_of(2) {
            return Err(format!("odd number of components in label string {labels:?}"));
        }
        if parts.len() / 2 > PATH_LABELS_MAX {
            return Err(format!("at most {PATH_LABELS_MAX} labels are accepted in a path"));
        }
        for pair in parts.chunks_exact(2) {
            add_pair(&mut grouping, pair[0], pair[1], utf8_names)?;
        }
    }
    grouping.set("job", job);
    Ok(grouping)
}

fn add_pair(grouping: &mut Grouping, name: &str, value: &str, utf8_names: bool) -> Result<(), String> {
    let plain = name.strip_suffix("@base64").unwrap_or(name);
    if !is_label_name(plain) || plain.starts_with("__") {
        return Err(format!("improper label name {plain:?}"));
    }
    let value = match plain.len() == name.len() {
        true => value.to_owned(),
        false => from_base64(value)
            .map_err(|error| format!("invalid base64 encoding for label {plain}={value:?}: {error}"))?,
    };
    match utf8_names.then(|| unescape_name(plain)).flatten() {
        Some(name) => grouping.set(&name, value),
        None => grouping.set(plain, value),
    }
    Ok(())
}

fn is_label_name(name: &str) -> bool {
    let is_part = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    name.bytes().next().is_some_and(|first| !first.is_ascii_digit()) && name.bytes().all(is_part)
}

/// Undoes the `U__` escaping of names: `__` is an underscore and `_HEX_` a code point; `None` when it is none.
fn unescape_name(name: &str) -> Option<String> {
    let mut rest = name.strip_prefix("U__")?;
    let mut out = String::new();
    while let Some(at) = rest.find('_') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let end = rest.find('_')?;
        match &rest[..end] {
            "" => out.push('_'),
            hex if hex.len() <= 6 => out.push(char::from_u32(u32::from_str_radix(hex, 16).ok()?)?),
            _ => return None,
        }
        rest = &rest[end + 1..];
    }
    out.push_str(rest);
    Some(out)
}

fn unescape(path: &str) -> Option<String> {
    let mut out = Vec::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        let (high, low) = (digit(bytes.next())?, digit(bytes.next())?);
        out.push((high << 4 | low) as u8);
    }
    String::from_utf8(out).ok()
}

fn clean(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for c in path.chars() {
        if c != '/' || !out.ends_with('/') {
            out.push(c);
        }
    }
    out
}

/// As Go's `RawURLEncoding`: no padding, and bits left over at the end are no error.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

fn to_base64(text: &str) -> String {
    let out = BASE64.encode(text);
    if out.is_empty() { "=".to_owned() } else { out }
}

fn from_base64(text: &str) -> Result<String, String> {
    let bytes = BASE64.decode(text.trim_end_matches('=')).map_err(|error| {
        let at = match error {
            DecodeError::InvalidByte(at, _) | DecodeError::InvalidLastSymbol(at, _) => at,
            DecodeError::InvalidLength(bytes) => bytes.saturating_sub(1),
            DecodeError::InvalidPadding => 0,
        };
        format!("illegal base64 data at input byte {at}")
    })?;
    String::from_utf8(bytes).map_err(|_| "the value is not UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(path: &str) -> Result<Vec<(String, String)>, String> {
        match route(path, false) {
            Route::Group(grouping) => Ok(grouping.0),
            other => Err(format!("{other:?}")),
        }
    }

    fn check(path: &str, expected: &[(&str, &str)]) {
        let expected = expected.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        assert_eq!(labels(path), Ok(expected), "{path}");
    }

    #[test]
    fn labels_come_plain_escaped_or_in_base64() {
        check("/metrics/job/a", &[("job", "a")]);
        check("/metrics/job/a/", &[("job", "a")]);
        check("/metrics/job/sp%20ace/z/1/b/2", &[("b", "2"), ("job", "sp ace"), ("z", "1")]);
        check("/metrics/job@base64/ai9vIGI", &[("job", "j/o b")]);
        check("/metrics/job/a/path@base64/L3Zhci90bXA=", &[("job", "a"), ("path", "/var/tmp")]);
        check("/metrics/job/a/empty@base64/=", &[("empty", ""), ("job", "a")]);
        check("/metrics/job/a/job/b/x/1/x/2", &[("job", "a"), ("x", "2")]);
    }

    #[test]
    fn what_names_no_group_is_told_in_the_peers_words() {
        for (path, expected) in [
            ("/metrics", "Elsewhere"),
            ("/metrics/job", "Elsewhere"),
            ("/metrics/jobs/a", "Elsewhere"),
            ("/metrics/job/", "Moved(307, \"/metrics/job\")"),
            ("/metrics/job/a//x", "Moved(301, \"/metrics/job/a/x\")"),
            ("/metrics/job@base64/=", "Bad(\"job name is required\")"),
            ("/metrics/job/a/odd", r#"Bad("odd number of components in label string \"/odd\"")"#),
            ("/metrics/job/a/l/v%2Fw", r#"Bad("odd number of components in label string \"/l/v/w\"")"#),
            ("/metrics/job/a/1bad/x", r#"Bad("improper label name \"1bad\"")"#),
            ("/metrics/job/a/__name__/x", r#"Bad("improper label name \"__name__\"")"#),
            (
                "/metrics/job/a/p@base64/!!!",
                r#"Bad("invalid base64 encoding for label p=\"!!!\": illegal base64 data at input byte 0")"#,
            ),
            ("/metrics/job/%zz", "Bad(\"invalid escape in the path\")"),
        ] {
            assert_eq!(labels(path), Err(expected.to_owned()), "{path}");
        }
    }

    #[test]
    fn any_group_has_a_path_of_its_own() {
        for path in
            ["/metrics/job/a", "/metrics/job/a/empty@base64/=/x@base64/Lw", "/metrics/job/titan/name/%CE%A0%CF%81"]
        {
            let first = labels(path);
            let Route::Group(grouping) = route(path, false) else { panic!("{path} names a group") };
            assert_eq!(labels(&grouping.path()), first, "{}", grouping.path());
        }
    }

    #[test]
    fn escaped_names_are_undone_where_that_is_asked_for() {
        let name = |path: &str| match route(path, true) {
            Route::Group(grouping) => grouping.0[0].0.clone(),
            other => format!("{other:?}"),
        };
        assert_eq!(name("/metrics/job/z/U__foo_2e_bar/baz"), "foo.bar");
        assert_eq!(name("/metrics/job/z/U__a__b/baz"), "a_b");
        assert_eq!(name("/metrics/job/z/U__in_xxx_valid/v"), "U__in_xxx_valid");
    }
}
