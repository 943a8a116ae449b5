//! What Prometheus 3.5.3 says of texts that are no expressions, asked of it one by one: where an aggregation, a bracket or
//! a comma is open, and what its lexer takes for a number.
//!
//! The goldens of `parsing.rs` hold the peer's own examples; these are the ones they leave out.

#[test]
fn errors_are_said_in_the_peers_words() {
    for (text, wanted) in [
        ("sum by (a)", "1:11: parse error: unexpected end of input in aggregation"),
        ("sum by (a) x", "1:12: parse error: unexpected identifier \"x\" in aggregation"),
        ("sum(foo + )", "1:11: parse error: unexpected \")\" in aggregation"),
        ("sum(abs(foo + ))", "1:15: parse error: unexpected \")\" in aggregation"),
        ("sum(,)", "1:5: parse error: unexpected \",\" in aggregation"),
        ("sum(foo) x", "1:10: parse error: unexpected identifier \"x\""),
        ("sum foo", "1:5: parse error: unexpected identifier \"foo\""),
        ("sum({a=})", "1:8: parse error: unexpected \"}\" in label matching, expected string"),
        ("abs(foo,,)", "1:8: parse error: trailing commas not allowed in function call args"),
        ("abs(foo,*1)", "1:8: parse error: trailing commas not allowed in function call args"),
        ("sum(a,on)", "1:6: parse error: trailing commas not allowed in function call args"),
        ("sum by (NaN) (x)", "1:9: parse error: unexpected number \"NaN\" in grouping opts, expected label"),
        (
            "a * on(j,k) group_right(k,j) b",
            "1:3: parse error: label \"j\" must not occur in ON and GROUP clause at once",
        ),
        ("@", "1:1: parse error: unexpected \"<Item 57400>\" <op:@>"),
        ("foo @ start", "1:12: parse error: unexpected end of input in @, expected timestamp"),
        ("foo @ start(1)", "1:13: parse error: unexpected number \"1\" in @, expected timestamp"),
        ("a + on(x) group_left > b", "1:22: parse error: unexpected <op:>> in grouping opts, expected \"(\""),
        ("sum by (without) (x)", "1:9: parse error: unexpected <without> in grouping opts, expected label"),
        (
            "{\"x\"label}",
            "1:5: parse error: unexpected identifier \"label\" in label matching, expected \",\" or \"}\"",
        ),
        ("foo offset ( * 2)", "1:14: parse error: unexpected <op:*> in offset, expected number or duration"),
        ("foo offset (2 2)", "1:15: parse error: unexpected number \"2\" in offset, expected number or duration"),
        ("\"\\\n\"", "1:1: parse error: unknown escape sequence U+000A"),
        ("a{b=~\"+x\"}", "1:3: parse error: error parsing regexp: missing argument to repetition operator: `+`"),
        ("a{b=~\"x**\"}", "1:3: parse error: error parsing regexp: invalid nested repetition operator: `**`"),
        ("foo[5m", "1:7: parse error: unclosed left bracket"),
        ("foo[5m:", "1:8: parse error: unclosed left bracket"),
        ("foo[5m+x]", "1:8: parse error: unexpected \"x\" in subquery selector, expected number or duration"),
        ("foo[5m:x]", "1:8: parse error: unexpected colon 'x'"),
        ("foo[5m::5m]", "1:8: parse error: unexpected colon ':'"),
        ("foo[5m[5m]]", "1:7: parse error: unexpected left bracket '['"),
        ("foo]", "1:4: parse error: unexpected right bracket ']'"),
        (
            "foo[5m\"a\"]",
            "1:7: parse error: unexpected string \"\\\"a\\\"\" in subquery or range, expected \":\" or \"]\"",
        ),
        ("foo[5m{}]", "1:7: parse error: unexpected \"{\" in subquery or range, expected \":\" or \"]\""),
        ("foo[(5m]", "1:8: parse error: unexpected \"]\" in subquery selector, expected number or duration"),
        ("sum(foo[5m+])", "1:12: parse error: unexpected \"]\" in subquery selector, expected number or duration"),
        (
            "sum(foo[5m:+])",
            "1:13: parse error: unexpected \"]\" in subquery selector, expected number or duration or \"]\"",
        ),
        ("foo[((5m))]", "1:7: parse error: experimental duration expression is not enabled"),
        ("foo offset (5m+1m)", "1:13: parse error: experimental duration expression is not enabled"),
        ("1e+", "1:1: parse error: bad number or duration syntax: \"1e+\""),
        ("1e5e", "1:1: parse error: bad number or duration syntax: \"1e5e\""),
        ("1__0", "1:1: parse error: bad number or duration syntax: \"1__\""),
        ("1._5", "1:1: parse error: bad number or duration syntax: \"1._\""),
        ("0x1.5", "1:1: parse error: bad number or duration syntax: \"0x1.\""),
        ("0x1e", "1:1: parse error: bad number or duration syntax: \"0x1e\""),
        ("foo[1e+]", "1:5: parse error: error parsing number: strconv.ParseFloat: parsing \"1e+\": invalid syntax"),
        ("foo[1_]", "1:5: parse error: error parsing number: strconv.ParseFloat: parsing \"1_\": invalid syntax"),
        ("1e5.", "1:1: parse error: error parsing number: strconv.ParseFloat: parsing \"1e5.\": invalid syntax"),
    ] {
        let error = promql::parse(text).map(|expr| expr.to_string());
        assert_eq!(error.map_err(|error| error.to_string()), Err(wanted.to_owned()), "{text}");
    }
    for (text, wanted) in [("foo[5 m]", "foo[5s:]"), ("foo[5m x]", "foo[5m:]"), ("0xe1", "225"), ("1.e5", "100000")] {
        assert_eq!(promql::parse(text).map(|expr| expr.to_string()).ok().as_deref(), Some(wanted), "{text}");
    }
}
