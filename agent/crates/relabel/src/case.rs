//! Upper and lower case as Go has them: one character becomes one character.
//!
//! The standard library follows Unicode's full mapping, by which `ß` becomes `SS`. Where that makes several characters,
//! the simple mapping counts here; the few characters that have one are listed.

/// Appends a text in lower case.
pub(crate) fn lower(text: &str, out: &mut String) {
    out.extend(text.chars().map(|c| one(c.to_lowercase()).unwrap_or(if c == 'İ' { 'i' } else { c })));
}

/// Appends a text in upper case.
pub(crate) fn upper(text: &str, out: &mut String) {
    out.extend(text.chars().map(|c| one(c.to_uppercase()).unwrap_or_else(|| simple_upper(c))));
}

fn one(mut mapped: impl Iterator<Item = char>) -> Option<char> {
    let first = mapped.next()?;
    mapped.next().is_none().then_some(first)
}

/// Greek letters with an iota below: their simple upper case is the letter for the beginning of a word.
fn simple_upper(c: char) -> char {
    let up = match c {
        'ᾀ'..='ᾇ' | 'ᾐ'..='ᾗ' | 'ᾠ'..='ᾧ' => 8,
        'ᾳ' | 'ῃ' | 'ῳ' => 9,
        _ => 0,
    };
    char::from_u32(c as u32 + up).unwrap_or(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_stays_one_character() {
        for (text, low, high) in [
            ("bAr123Foo", "bar123foo", "BAR123FOO"),
            ("Straße", "straße", "STRAßE"),
            ("ÉÀ", "éà", "ÉÀ"),
            ("İ", "i", "İ"),
            ("ΣΑΣ", "σασ", "ΣΑΣ"),
            ("ᾳᾀ", "ᾳᾀ", "ᾼᾈ"),
        ] {
            let (mut lowered, mut raised) = (String::new(), String::new());
            lower(text, &mut lowered);
            upper(text, &mut raised);
            assert_eq!((lowered.as_str(), raised.as_str()), (low, high), "{text}");
        }
    }
}
