//! JSON as a query API answers it, read front to back without a tree.
//!
//! Whoever reads says what comes next and is handed keys and items one by one, so that an answer of many samples costs
//! no memory beside itself. It takes what JSON is, and of texts that claim too much (surrogates without a partner)
//! makes replacement characters. It does not check numbers: they are handed on as they stand.

use std::borrow::Cow;

/// How deep lists and objects may lie within each other; an answer of the API needs seven.
const DEPTH_MAX: usize = 32;

/// What is wrong, and at which byte.
#[derive(Debug, PartialEq, Eq)]
pub struct NotJson {
    /// How many bytes lie before it.
    pub at: usize,
    /// What was expected.
    pub expected: &'static str,
}

impl std::fmt::Display for NotJson {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the answer is no JSON: expected {} at byte {}", self.expected, self.at)
    }
}

type Result<T> = std::result::Result<T, NotJson>;

/// A place in a text of JSON.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    /// Returns a reader at the beginning of a text.
    pub fn new(text: &'a str) -> Reader<'a> {
        Reader { text, at: 0, depth: 0 }
    }

    /// Returns the first byte of what comes next, 0 at the end.
    pub fn peek(&mut self) -> u8 {
        let bytes = self.text.as_bytes();
        while matches!(bytes.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
        bytes.get(self.at).copied().unwrap_or(0)
    }

    /// Reads an object: `visit` gets each key with the reader before its value, which it must read or skip.
    ///
    /// # Errors
    /// When it is none, or as `visit` says.
    pub fn object(&mut self, visit: &mut dyn FnMut(&str, &mut Reader<'a>) -> Result<()>) -> Result<()> {
        self.within(b'{', b'}', "an object", &mut |reader| {
            let key = reader.text()?;
            reader.expect(b':', "a colon")?;
            visit(&key, reader)
        })
    }

    /// Reads a list: `visit` gets the reader before each item, which it must read or skip.
    ///
    /// # Errors
    /// When it is none, or as `visit` says.
    pub fn list(&mut self, visit: &mut dyn FnMut(&mut Reader<'a>) -> Result<()>) -> Result<()> {
        self.within(b'[', b']', "a list", visit)
    }

    fn within(
        &mut self,
        open: u8,
        close: u8,
        expected: &'static str,
        visit: &mut dyn FnMut(&mut Reader<'a>) -> Result<()>,
    ) -> Result<()> {
        self.expect(open, expected)?;
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.wrong("less depth"));
        }
        if self.peek() != close {
            loop {
                visit(self)?;
                match self.peek() {
                    b',' => self.at += 1,
                    _ => break,
                }
            }
        }
        self.depth -= 1;
        self.expect(close, "a comma or the end")
    }

    /// Reads a text.
    ///
    /// # Errors
    /// When it is none.
    pub fn text(&mut self) -> Result<Cow<'a, str>> {
        self.expect(b'"', "a text")?;
        let from = self.at;
        let Some(length) = self.rest().find(['"', '\\']) else { return Err(self.wrong("the end of a text")) };
        self.at += length;
        let plain = self.text.get(from..self.at).unwrap_or_default();
        if self.rest().starts_with('"') {
            self.at += 1;
            return Ok(Cow::Borrowed(plain));
        }
        self.escaped(plain.to_owned()).map(Cow::Owned)
    }

    fn escaped(&mut self, mut out: String) -> Result<String> {
        loop {
            let mut letters = self.rest().chars();
            let letter = letters.next().ok_or_else(|| self.wrong("the end of a text"))?;
            self.at += letter.len_utf8();
            match letter {
                '"' => return Ok(out),
                '\\' => {
                    let letter = self.escape()?;
                    out.push(letter);
                }
                other => out.push(other),
            }
        }
    }

    fn escape(&mut self) -> Result<char> {
        let letter = self.rest().bytes().next().unwrap_or(0);
        let found = match letter {
            b'"' | b'\\' | b'/' => char::from(letter),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                self.at += 1;
                return self.unicode();
            }
            _ => return Err(self.wrong("an escape")),
        };
        self.at += 1;
        Ok(found)
    }

    fn unicode(&mut self) -> Result<char> {
        let high = self.hex()?;
        if !(0xd800..0xdc00).contains(&high) || !self.rest().starts_with("\\u") {
            return Ok(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        let before = self.at;
        self.at += 2;
        let low = self.hex()?;
        if !(0xdc00..0xe000).contains(&low) {
            // It is a character of its own.
            self.at = before;
            return Ok(char::REPLACEMENT_CHARACTER);
        }
        Ok(char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00)).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex(&mut self) -> Result<u32> {
        let digits = self.rest().get(..4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let value = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let value = value.ok_or_else(|| self.wrong("four hexadecimal digits"))?;
        self.at += 4;
        Ok(value)
    }

    /// Reads a number, `true`, `false` or `null`, as it stands.
    ///
    /// # Errors
    /// When it is none.
    pub fn bare(&mut self) -> Result<&'a str> {
        self.peek();
        let is_part = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '+' | '-' | '.');
        let length = self.rest().find(|letter| !is_part(letter)).unwrap_or(self.rest().len());
        if length == 0 {
            return Err(self.wrong("a value"));
        }
        let found = self.rest().get(..length).unwrap_or_default();
        self.at += length;
        Ok(found)
    }

    /// Reads whatever comes next, and returns it as it stands.
    ///
    /// # Errors
    /// When it is no JSON.
    pub fn skip(&mut self) -> Result<&'a str> {
        let first = self.peek();
        let from = self.at;
        match first {
            b'{' => self.object(&mut |_, reader| reader.skip().map(|_| ()))?,
            b'[' => self.list(&mut |reader| reader.skip().map(|_| ()))?,
            b'"' => _ = self.text()?,
            _ => _ = self.bare()?,
        }
        Ok(self.text.get(from..self.at).unwrap_or_default())
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn expect(&mut self, byte: u8, expected: &'static str) -> Result<()> {
        if self.peek() != byte {
            return Err(self.wrong(expected));
        }
        self.at += 1;
        Ok(())
    }

    fn wrong(&self, expected: &'static str) -> NotJson {
        NotJson { at: self.at, expected }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_is_handed_on_in_order() {
        let text = r#" {"a": [1, "x\n\u00e9\ud83d\ude00\ud800!\ud800\u0041", -1.5e+3, null ], "b\"": {} , "c":[]}"#;
        let mut seen = Vec::new();
        Reader::new(text)
            .object(&mut |key, reader| {
                seen.push(key.to_owned());
                if key != "a" {
                    seen.push(reader.skip()?.to_owned());
                    return Ok(());
                }
                reader.list(&mut |reader| {
                    seen.push(match reader.peek() {
                        b'"' => reader.text()?.into_owned(),
                        _ => reader.bare()?.to_owned(),
                    });
                    Ok(())
                })
            })
            .expect("JSON");
        let text = "x\né😀\u{fffd}!\u{fffd}A";
        assert_eq!(seen, ["a", "1", text, "-1.5e+3", "null", "b\"", "{}", "c", "[]"]);
    }

    #[test]
    fn what_is_no_json_is_said_with_its_place() {
        let said = |text: &str| Reader::new(text).skip().expect_err(text);
        assert_eq!(said("[1, 2"), NotJson { at: 5, expected: "a comma or the end" });
        assert_eq!(said("{1: 2}"), NotJson { at: 1, expected: "a text" });
        assert_eq!(said("{\"a\" 2}"), NotJson { at: 5, expected: "a colon" });
        for bad in ["", "\"", "\"\\", "\"\\u12", "\"\\x\"", "[,]", "{\"a\":}", "\"\\u00e\u{e9}\""] {
            said(bad);
        }
        let deep = "[".repeat(100_000);
        assert_eq!(said(&deep).expected, "less depth");
    }
}
