//! Chooses how a scrape's body is read, from its Content-Type, as Prometheus 3 does.
//!
//! A type that is missing, broken or unknown is an error unless the configuration names a fallback, and then a
//! warning. Parameters (version, encoding, escaping) do not matter, but they must be well formed.
//!
//! Sources: Prometheus, `model/textparse/interface.go`; Go, `mime/mediatype.go`.

use super::quote::quote;

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text, 0.0.4 or 1.0.0.
    Text,
    /// OpenMetrics text, 0.0.1 or 1.0.0.
    OpenMetrics,
    /// `io.prometheus.client.MetricFamily` messages, each behind its length.
    Protobuf,
}

/// What is made of a Content-Type: a format, and what to say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The format, `None` where the scrape cannot be read.
    pub format: Option<Format>,
    /// The error, or with a format the warning; `None` where all is well.
    pub what: Option<String>,
}

impl Format {
    /// Returns the format's media type, as Prometheus names a fallback in its messages.
    pub fn media_type(self) -> &'static str {
        match self {
            Format::Text => "text/plain",
            Format::OpenMetrics => "application/openmetrics-text",
            Format::Protobuf => "application/vnd.google.protobuf",
        }
    }

    /// Returns the format of a `scrape_protocols` or `fallback_scrape_protocol` entry of a configuration.
    pub fn of_protocol(protocol: &str) -> Option<Format> {
        Some(match protocol {
            "PrometheusProto" => Format::Protobuf,
            "PrometheusText0.0.4" | "PrometheusText1.0.0" => Format::Text,
            "OpenMetricsText0.0.1" | "OpenMetricsText1.0.0" => Format::OpenMetrics,
            _ => return None,
        })
    }

    /// Chooses the format of a body by its Content-Type, or the fallback.
    pub fn of_content_type(content_type: &str, fallback: Option<Format>) -> Choice {
        let (what, cause) = if content_type.is_empty() {
            let what = match fallback {
                None => "and no fallback_scrape_protocol specified for target".to_owned(),
                Some(_) => return blank(fallback),
            };
            (format!("non-compliant scrape target sending blank Content-Type {what}"), None)
        } else {
            match media_type(content_type) {
                Ok(name) => {
                    let formats = [Format::Text, Format::OpenMetrics, Format::Protobuf];
                    if let Some(format) = formats.iter().find(|format| format.media_type() == name) {
                        return Choice { format: Some(*format), what: None };
                    }
                    (format!("received unsupported Content-Type {}", quote(content_type.as_bytes())), None)
                }
                Err(cause) => {
                    let found = quote(content_type.as_bytes());
                    match fallback {
                        None => (format!("cannot parse Content-Type {found}"), Some(cause)),
                        Some(_) => (format!("could not parse received Content-Type {found}"), Some(cause)),
                    }
                }
            }
        };
        let mut what = match fallback {
            Some(format) => format!("{what}, using fallback_scrape_protocol \"{}\"", format.media_type()),
            None if content_type.is_empty() => what,
            None if cause.is_some() => format!("{what} and no fallback_scrape_protocol for target"),
            None => format!("{what} and no fallback_scrape_protocol specified for target"),
        };
        if let Some(cause) = cause {
            what.push('\n');
            what.push_str(cause);
        }
        Choice { format: fallback, what: Some(what) }
    }
}

fn blank(fallback: Option<Format>) -> Choice {
    let name = fallback.map_or("", Format::media_type);
    let what = "non-compliant scrape target sending blank Content-Type, using fallback_scrape_protocol";
    Choice { format: fallback, what: Some(format!("{what} \"{name}\"")) }
}

/// Returns the media type in lower case, if it and its parameters are well formed.
fn media_type(text: &str) -> Result<String, &'static str> {
    let (base, parameters) = text.split_at(text.find(';').unwrap_or(text.len()));
    let base = base.trim().to_ascii_lowercase();
    let (kind, rest) = token(&base);
    if kind.is_empty() {
        return Err("mime: no media type");
    }
    if !rest.is_empty() {
        let rest = rest.strip_prefix('/').ok_or("mime: expected slash after first token")?;
        let (subtype, rest) = token(rest);
        if subtype.is_empty() {
            return Err("mime: expected token after slash");
        }
        if !rest.is_empty() {
            return Err("mime: unexpected content after media subtype");
        }
    }
    check_parameters(parameters)?;
    Ok(base)
}

fn check_parameters(text: &str) -> Result<(), &'static str> {
    const INVALID: &str = "mime: invalid media parameter";
    let mut seen: Vec<(String, String)> = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        if rest.trim() == ";" {
            return Ok(());
        }
        let parameter = rest.strip_prefix(';').ok_or(INVALID)?.trim_start();
        let (name, behind) = token(parameter);
        if name.is_empty() {
            return Err(INVALID);
        }
        let behind = behind.trim_start().strip_prefix('=').ok_or(INVALID)?.trim_start();
        let (value, behind) = value(behind).ok_or(INVALID)?;
        let name = name.to_ascii_lowercase();
        if seen.iter().any(|(other, old)| *other == name && *old != value) {
            return Err("mime: duplicate parameter name");
        }
        seen.push((name, value));
        rest = behind.trim_start();
    }
    Ok(())
}

/// Splits a token of RFC 2045 off.
fn token(text: &str) -> (&str, &str) {
    let is_part = |b: u8| b.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&b);
    text.split_at(text.bytes().position(|b| !is_part(b)).unwrap_or(text.len()))
}

/// Splits a token or a quoted text off; `None` where there is neither.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = token(text);
        return (!value.is_empty()).then(|| (value.to_owned(), rest));
    };
    let mut out = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((out, &quoted[at + 1..])),
            '\\' => out.push(chars.next()?.1),
            '\r' | '\n' => return None,
            _ => out.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_follows_the_content_type() {
        for (content_type, format) in [
            ("text/plain; version=0.0.4; charset=utf-8", Format::Text),
            ("TEXT/Plain", Format::Text),
            ("text/plain;", Format::Text),
            ("application/openmetrics-text; version=1.0.0; charset=\"utf-8\"", Format::OpenMetrics),
            (
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited",
                Format::Protobuf,
            ),
        ] {
            let choice = Format::of_content_type(content_type, None);
            assert_eq!(choice, Choice { format: Some(format), what: None }, "{content_type}");
        }
    }

    /// The messages are those of Prometheus 3.5.3 asked over HTTP.
    #[test]
    fn what_is_missing_broken_or_unknown_needs_a_fallback() {
        for (content_type, what) in [
            (
                "",
                "non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol specified for \
                 target",
            ),
            (
                "text/html",
                "received unsupported Content-Type \"text/html\" and no fallback_scrape_protocol specified for target",
            ),
            (
                "a/b/c",
                "cannot parse Content-Type \"a/b/c\" and no fallback_scrape_protocol for target\nmime: unexpected \
                 content after media subtype",
            ),
            (
                "; x",
                "cannot parse Content-Type \"; x\" and no fallback_scrape_protocol for target\nmime: no media type",
            ),
            (
                "text/plain; charset",
                "cannot parse Content-Type \"text/plain; charset\" and no fallback_scrape_protocol for target\nmime: \
                 invalid media parameter",
            ),
            (
                "text/plain;version=1.0.0;a=b;a=c",
                "cannot parse Content-Type \"text/plain;version=1.0.0;a=b;a=c\" and no fallback_scrape_protocol for \
                 target\nmime: duplicate parameter name",
            ),
        ] {
            assert_eq!(
                Format::of_content_type(content_type, None),
                Choice { format: None, what: Some(what.to_owned()) }
            );
            let choice = Format::of_content_type(content_type, Some(Format::OpenMetrics));
            let warning = choice.what.expect("a warning");
            assert_eq!(choice.format, Some(Format::OpenMetrics));
            let named = "using fallback_scrape_protocol \"application/openmetrics-text\"";
            assert!(warning.contains(named), "{warning}");
        }
    }
}
