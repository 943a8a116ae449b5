//! The nearest known word to a misspelt one.
//!
//! Distance is Levenshtein's with a swap of neighbours as one step, on bytes, at most 2: beyond that a suggestion
//! is a guess. Words longer than `WORD_BYTES_MAX` are not compared, so that a stranger's key costs nothing.

/// The longest word that is compared, in bytes.
const WORD_BYTES_MAX: usize = 64;

/// The largest distance that is still a misspelling.
const DISTANCE_MAX: usize = 2;

/// Returns the known word that is at most two edits away, the nearest first named where there are several.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let mut best: Option<(usize, &'a str)> = None;
    for candidate in known {
        let distance = distance(word.as_bytes(), candidate.as_bytes());
        // A word that would be changed altogether is no misspelling.
        let near = distance <= DISTANCE_MAX && distance * 2 < word.len().max(candidate.len());
        if near && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

fn distance(a: &[u8], b: &[u8]) -> usize {
    if a.len().max(b.len()) > WORD_BYTES_MAX || a.len().abs_diff(b.len()) > DISTANCE_MAX {
        return usize::MAX / 4;
    }
    let mut before = [0; WORD_BYTES_MAX + 1];
    let mut last: [usize; WORD_BYTES_MAX + 1] = std::array::from_fn(|column| column);
    for row in 1..=a.len() {
        let mut this = [row; WORD_BYTES_MAX + 1];
        for column in 1..=b.len() {
            let change = usize::from(!a[row - 1].eq_ignore_ascii_case(&b[column - 1]));
            this[column] = (last[column] + 1).min(this[column - 1] + 1).min(last[column - 1] + change);
            if row > 1 && column > 1 && a[row - 1] == b[column - 2] && a[row - 2] == b[column - 1] {
                this[column] = this[column].min(before[column - 2] + 1);
            }
        }
        (before, last) = (last, this);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspellings_find_their_word() {
        let known = ["scrape_interval", "scrape_timeout", "url", "path"];
        for (word, expected) in [
            ("scrape_intervall", Some("scrape_interval")),
            ("scrape_itnerval", Some("scrape_interval")),
            ("scrapeinterval", Some("scrape_interval")),
            ("Scrape_Interval", Some("scrape_interval")),
            ("ulr", Some("url")),
            ("pth", Some("path")),
            ("labels", None),
            ("u", None),
            ("", None),
            ("xxx", None),
        ] {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
        assert_eq!(nearest(&"x".repeat(100_000), known), None);
    }
}
