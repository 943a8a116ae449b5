//! Go's `fmt.Sprintf` for the values of a template, and its `%e`, `%f` and `%g`.
//!
//! Verbs `%v %s %q %d %b %o %x %X %c %U %t %T %e %E %f %F %g %G %%` with the flags `+ - # 0` and blank, width and
//! precision, `*` included. What does not fit prints as Go prints it: `%!d(string=a)`, `%!d(MISSING)`,
//! `%!(EXTRA int=1)`. Width and precision are bounded by [`WIDTH_MAX`]; argument indexes `%[1]d` print as a bad verb.

use super::value::Value;

/// The largest width or precision; Go's is a million, no label needs more than this.
const WIDTH_MAX: usize = 1_000;

/// Appends a float as `strconv.FormatFloat` with this verb and precision (`None`: the shortest that reads back).
pub fn float(out: &mut String, value: f64, verb: char, precision: Option<usize>) {
    if value.is_nan() || value.is_infinite() {
        out.push_str(if value.is_nan() {
            "NaN"
        } else if value > 0.0 {
            "+Inf"
        } else {
            "-Inf"
        });
        return;
    }
    match (verb, precision) {
        ('f' | 'F', None) => out.push_str(&value.to_string()),
        ('f' | 'F', Some(precision)) => out.push_str(&format!("{value:.precision$}")),
        ('e' | 'E', _) => out.push_str(&exponent_form(value, precision, verb)),
        _ => general(out, value, precision, verb),
    }
}

fn scientific(value: f64, precision: Option<usize>) -> (String, i32) {
    let text = match precision {
        Some(precision) => format!("{value:.precision$e}"),
        None => format!("{value:e}"),
    };
    let (digits, exponent) = text.split_once('e').expect("LowerExp prints an exponent");
    (digits.to_owned(), exponent.parse().expect("an exponent is an integer"))
}

fn exponent_form(value: f64, precision: Option<usize>, verb: char) -> String {
    let (digits, exponent) = scientific(value, precision);
    let e = if verb.is_uppercase() { 'E' } else { 'e' };
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}{e}{sign}{:02}", exponent.unsigned_abs())
}

/// `%g`: the exponent form below 1e-4 and from the precision on (6 for the shortest digits), trailing zeros dropped.
fn general(out: &mut String, value: f64, precision: Option<usize>, verb: char) {
    let precision = precision.map(|p| p.max(1));
    let (digits, exponent) = scientific(value, precision.map(|p| p - 1));
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", digits.as_str()),
    };
    let mut digits: String = digits.replace('.', "");
    while digits.len() > 1 && digits.ends_with('0') {
        digits.pop();
    }
    let limit = match precision {
        None => 6,
        Some(p) => p as i32,
    };
    out.push_str(sign);
    if exponent < -4 || exponent >= limit {
        out.push_str(&digits[..1]);
        if digits.len() > 1 {
            out.push('.');
            out.push_str(&digits[1..]);
        }
        let e = if verb == 'G' { 'E' } else { 'e' };
        let sign = if exponent < 0 { '-' } else { '+' };
        out.push_str(&format!("{e}{sign}{:02}", exponent.unsigned_abs()));
    } else if exponent < 0 {
        out.push_str("0.");
        out.extend(std::iter::repeat_n('0', (-exponent - 1) as usize));
        out.push_str(&digits);
    } else {
        let whole = exponent as usize + 1;
        let zeros = whole.saturating_sub(digits.len());
        out.push_str(&digits[..whole.min(digits.len())]);
        out.extend(std::iter::repeat_n('0', zeros));
        if digits.len() > whole {
            out.push('.');
            out.push_str(&digits[whole..]);
        }
    }
}

#[derive(Default, Clone)]
struct Spec {
    plus: bool,
    minus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

/// Returns what `fmt.Sprintf` makes of a format and its arguments.
pub fn sprintf(format: &str, args: &[Value]) -> String {
    let mut out = String::with_capacity(format.len() + 16);
    let mut rest = format;
    let mut args = args.iter();
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let mut spec = Spec::default();
        rest = flags(rest, &mut spec);
        rest = width(rest, &mut spec.width, &mut args, &mut out, "%!(BADWIDTH)");
        if let Some(negative) = spec.width.filter(|w| *w > usize::MAX / 2) {
            spec.minus = true;
            spec.width = Some(negative.wrapping_neg().min(WIDTH_MAX));
        }
        if let Some(after) = rest.strip_prefix('.') {
            spec.precision = Some(0);
            let before = spec.precision;
            rest = width(after, &mut spec.precision, &mut args, &mut out, "%!(BADPREC)");
            spec.precision = spec.precision.filter(|p| *p <= WIDTH_MAX).or(before);
        }
        let Some(verb) = rest.chars().next() else {
            out.push_str("%!(NOVERB)");
            return out;
        };
        rest = &rest[verb.len_utf8()..];
        if verb == '%' {
            out.push('%');
        } else if let Some(value) = args.next() {
            one(&mut out, &spec, verb, value);
        } else {
            out.push_str(&format!("%!{verb}(MISSING)"));
        }
    }
    out.push_str(rest);
    if args.len() > 0 {
        out.push_str("%!(EXTRA ");
        for (i, value) in args.enumerate() {
            out.push_str(if i > 0 { ", " } else { "" });
            out.push_str(&typed(value));
        }
        out.push(')');
    }
    out
}

fn typed(value: &Value) -> String {
    let mut printed = String::new();
    if let Value::Nothing = value {
        return "<nil>".to_owned();
    }
    value.print(&mut printed);
    format!("{}={printed}", value.type_name())
}

fn flags<'a>(mut rest: &'a str, spec: &mut Spec) -> &'a str {
    while let Some(flag) = rest.bytes().next() {
        match flag {
            b'+' => spec.plus = true,
            b'-' => spec.minus = true,
            b'#' => spec.sharp = true,
            b' ' => spec.space = true,
            b'0' => spec.zero = true,
            _ => break,
        }
        rest = &rest[1..];
    }
    rest
}

fn width<'a>(
    rest: &'a str,
    into: &mut Option<usize>,
    args: &mut std::slice::Iter<'_, Value>,
    out: &mut String,
    bad: &str,
) -> &'a str {
    if let Some(rest) = rest.strip_prefix('*') {
        match args.next() {
            Some(Value::Int(n)) if n.unsigned_abs() <= WIDTH_MAX as u64 => *into = Some(*n as usize),
            _ => out.push_str(bad),
        }
        return rest;
    }
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    if digits > 0 {
        *into = Some(rest[..digits].parse().unwrap_or(WIDTH_MAX).min(WIDTH_MAX));
    }
    &rest[digits..]
}

fn one(out: &mut String, spec: &Spec, verb: char, value: &Value) {
    let text = match (verb, value) {
        ('T', value) => value.type_name(),
        ('v' | 's', Value::Nothing) if verb == 'v' => "<nil>".to_owned(),
        ('v', Value::Float(f)) => signed(spec, formatted(*f, 'g', spec.precision)),
        ('v' | 'd', Value::Int(n)) => integer(spec, *n < 0, n.unsigned_abs(), 10, false),
        ('v' | 'd', Value::Uint(n)) => integer(spec, false, *n, 10, false),
        ('e' | 'E' | 'f' | 'F', Value::Float(f)) => signed(spec, formatted(*f, verb, spec.precision.or(Some(6)))),
        ('g' | 'G', Value::Float(f)) => signed(spec, formatted(*f, verb, spec.precision)),
        ('b', Value::Int(n)) => integer(spec, *n < 0, n.unsigned_abs(), 2, false),
        ('o', Value::Int(n)) => integer(spec, *n < 0, n.unsigned_abs(), 8, false),
        ('x' | 'X', Value::Int(n)) => integer(spec, *n < 0, n.unsigned_abs(), 16, verb == 'X'),
        ('c', Value::Int(n)) => char_of(*n).to_string(),
        ('U', Value::Int(n)) => format!("U+{n:04X}"),
        ('q', Value::Int(n)) => format!("{:?}", char_of(*n)),
        ('t' | 'v', Value::Bool(b)) => b.to_string(),
        ('s' | 'v', Value::Str(text)) => cut(text, spec).to_owned(),
        ('q', Value::Str(text)) => quote(cut(text, spec)),
        ('x', Value::Str(text)) => cut(text, spec).bytes().map(|b| format!("{b:02x}")).collect(),
        ('X', Value::Str(text)) => cut(text, spec).bytes().map(|b| format!("{b:02X}")).collect(),
        ('d', Value::DurationNs(n)) => integer(spec, *n < 0, n.unsigned_abs(), 10, false),
        ('s' | 'v', Value::DurationNs(_) | Value::Time(..) | Value::Histogram(_)) => printed(value),
        ('v', value) => printed(value),
        (verb, Value::Map(labels)) if matches!(verb, 's' | 'q') => {
            let entry = |(n, v): (&str, &str)| {
                if verb == 's' { format!("{n}:{v}") } else { format!("{}:{}", quote(n), quote(v)) }
            };
            format!("map[{}]", labels.iter().map(entry).collect::<Vec<_>>().join(" "))
        }
        (verb, Value::List(values)) => {
            let mut inner = Vec::new();
            for value in values.iter() {
                let mut text = String::new();
                one(&mut text, spec, verb, value);
                inner.push(text);
            }
            out.push_str(&format!("[{}]", inner.join(" ")));
            return;
        }
        (verb, value) => {
            out.push_str(&if let Value::Nothing = value {
                format!("%!{verb}(<nil>)")
            } else {
                format!("%!{verb}({})", typed(value))
            });
            return;
        }
    };
    pad(out, spec, verb, value, &text);
}

fn printed(value: &Value) -> String {
    let mut out = String::new();
    value.print(&mut out);
    out
}

fn formatted(value: f64, verb: char, precision: Option<usize>) -> String {
    let mut out = String::new();
    float(&mut out, value, verb, precision);
    out
}

fn signed(spec: &Spec, text: String) -> String {
    let bare = text.strip_prefix('+').unwrap_or(&text);
    if bare.starts_with('-') {
        text
    } else if spec.plus || text.starts_with("+Inf") {
        format!("+{bare}")
    } else if spec.space {
        format!(" {bare}")
    } else {
        text
    }
}

fn integer(spec: &Spec, negative: bool, magnitude: u64, radix: u32, upper: bool) -> String {
    let mut digits = match radix {
        2 => format!("{magnitude:b}"),
        8 => format!("{magnitude:o}"),
        16 if upper => format!("{magnitude:X}"),
        16 => format!("{magnitude:x}"),
        _ => magnitude.to_string(),
    };
    if let Some(precision) = spec.precision {
        while digits.len() < precision {
            digits.insert(0, '0');
        }
    }
    let prefix = match radix {
        _ if !spec.sharp => "",
        2 => "0b",
        8 => "0",
        16 if upper => "0X",
        16 => "0x",
        _ => "",
    };
    let sign = if negative {
        "-"
    } else if spec.plus {
        "+"
    } else if spec.space {
        " "
    } else {
        ""
    };
    format!("{sign}{prefix}{digits}")
}

fn char_of(code: i64) -> char {
    u32::try_from(code).ok().and_then(char::from_u32).unwrap_or('\u{fffd}')
}

fn cut<'a>(text: &'a str, spec: &Spec) -> &'a str {
    match spec.precision.and_then(|p| text.char_indices().nth(p)) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}

/// Quotes as Go's `strconv.Quote`.
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\u{b}' => out.push_str("\\v"),
            c if c < ' ' || c == '\u{7f}' => out.push_str(&format!("\\x{:02x}", c as u32)),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn pad(out: &mut String, spec: &Spec, verb: char, value: &Value, text: &str) {
    let missing = spec.width.unwrap_or(0).saturating_sub(text.chars().count());
    if missing == 0 {
        out.push_str(text);
    } else if spec.minus {
        out.push_str(text);
        out.extend(std::iter::repeat_n(' ', missing));
    } else if spec.zero && !matches!(verb, 's' | 'q' | 'T') && fills_with_zeros(spec, value, text) {
        let sign = text.len() - text.trim_start_matches(['+', '-', ' ']).len();
        out.push_str(&text[..sign]);
        out.extend(std::iter::repeat_n('0', missing));
        out.push_str(&text[sign..]);
    } else {
        out.extend(std::iter::repeat_n(' ', missing));
        out.push_str(text);
    }
}

fn fills_with_zeros(spec: &Spec, value: &Value, text: &str) -> bool {
    match value {
        Value::Float(_) => !text.ends_with("Inf") && !text.ends_with("NaN"),
        Value::Int(_) | Value::Uint(_) => spec.precision.is_none(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(format: &str, args: &[Value], expected: &str) {
        assert_eq!(sprintf(format, args), expected, "{format}");
    }

    #[test]
    fn floats_print_as_in_go() {
        let f = |value| [Value::Float(value)];
        check("%.2f|", &f(81.456), "81.46|");
        check("%f", &f(0.1), "0.100000");
        check("%g", &f(1_000_000.0), "1e+06");
        check("%v", &f(123_456.0), "123456");
        check("%.4g", &f(1_234_567.0), "1.235e+06");
        check("%.3g", &f(0.000_012_345), "1.23e-05");
        check("%.3g", &f(100.0), "100");
        check("%e", &f(1234.5), "1.234500e+03");
        check("%.0f%%", &f(12.5), "12%");
        check("%6.1f|%-6.1f|%06.1f|%+.1f", &[1.0, 2.0, -3.0, 4.0].map(Value::Float), "   1.0|2.0   |-003.0|+4.0");
        check("%.2f %g", &[Value::Float(f64::NAN), Value::Float(f64::INFINITY)], "NaN +Inf");
        check("%d", &f(1.5), "%!d(float64=1.5)");
    }

    #[test]
    fn the_rest_prints_as_in_go() {
        check("%s is %q", &[Value::str("a"), Value::str("b\"\n")], r#"a is "b\"\n""#);
        check("%5s|%-5s|%.2s", &["a", "b", "cde"].map(Value::str), "    a|b    |cd");
        check(
            "%d %05d %x %X %b %o %c %U",
            &[7, 42, 255, 255, 5, 8, 65, 65].map(Value::Int),
            "7 00042 ff FF 101 10 A U+0041",
        );
        check("%t %v", &[Value::Bool(true), Value::Bool(false)], "true false");
        check("%*d", &[Value::Int(4), Value::Int(7)], "   7");
        check("%s %d", &[Value::str("a")], "a %!d(MISSING)");
        check("%s", &[Value::str("a"), Value::Int(1)], "a%!(EXTRA int=1)");
        check("%d", &[Value::str("a")], "%!d(string=a)");
        check("100%", &[], "100%!(NOVERB)");
        check("%y", &[Value::Int(1)], "%!y(int=1)");
        check("%T", &[Value::Float(1.0)], "float64");
        check("%99999999d|", &[Value::Int(1)], &format!("{:>1000}|", 1));
    }
}
