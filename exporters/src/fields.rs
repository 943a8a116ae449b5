//! Metrics that are named after words of a file: which of them are told, and under which names.
//!
//! The same words come in the same order at every collection, so answers are remembered in that order and compared
//! with one word each; only a word that is new costs a pattern and memory. A word that came before in the same file
//! is not told twice. What it does not do: read the file.

/// The most words remembered of one file; what is more is not told.
pub const FIELDS_MAX: usize = 1_024;

/// The words of one file, in its order.
#[derive(Default)]
pub struct Fields {
    known: Vec<Field>,
    at: usize,
}

/// One word, given in two pieces.
struct Field {
    word: String,
    split: usize,
    /// The metric and its help; `None`: it is not told.
    metric: Option<(String, String)>,
}

impl Field {
    fn is(&self, group: &str, word: &str) -> bool {
        self.split == group.len()
            && self.word.len() == group.len() + word.len()
            && self.word.as_bytes()[self.split..] == *word.as_bytes()
            && self.word.as_bytes()[..self.split] == *group.as_bytes()
    }
}

impl Fields {
    /// Begins at the start of the file again.
    pub fn start(&mut self) {
        self.at = 0;
    }

    /// Returns the metric and the help of the word that comes next, where it is told. `make` is asked when the word
    /// is not the one that came here last time.
    pub fn next(
        &mut self,
        group: &str,
        word: &str,
        make: impl FnOnce() -> Option<(String, String)>,
    ) -> Option<(&str, &str)> {
        let at = self.at;
        if self.known.get(at).is_none_or(|field| !field.is(group, word)) {
            if at >= FIELDS_MAX {
                return None;
            }
            // The file has changed; what follows is learnt anew.
            self.known.truncate(at);
            let is_known = self.known.iter().any(|field| field.is(group, word));
            let metric = if is_known { None } else { make() };
            self.known.push(Field { word: [group, word].concat(), split: group.len(), metric });
        }
        self.at = at + 1;
        self.known[at].metric.as_ref().map(|(name, help)| (name.as_str(), help.as_str()))
    }
}

/// Returns whether a word can be part of a metric's name.
pub fn is_name(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(fields: &mut Fields, words: &[(&str, &str)], made: &mut usize) -> Vec<String> {
        fields.start();
        let mut told = Vec::new();
        for (group, word) in words {
            let metric = fields.next(group, word, || {
                *made += 1;
                word.starts_with('w').then(|| (format!("{group}_{word}"), String::new()))
            });
            told.extend(metric.map(|(name, _)| name.to_owned()));
        }
        told
    }

    #[test]
    fn answers_are_remembered_by_place_and_words_told_once() {
        let (mut fields, mut made) = (Fields::default(), 0);
        let words = [("a", "w1"), ("a", "x"), ("b", "w2"), ("a", "w1")];
        assert_eq!(told(&mut fields, &words, &mut made), ["a_w1", "b_w2"]);
        assert_eq!(told(&mut fields, &words, &mut made), ["a_w1", "b_w2"]);
        assert_eq!(made, 3);
        assert_eq!(told(&mut fields, &words[1..], &mut made), ["b_w2", "a_w1"]);
        assert_eq!(told(&mut fields, &[("a", "bw"), ("ab", "w")], &mut made), ["ab_w"]);
    }

    #[test]
    fn more_words_than_are_remembered_are_not_told() {
        let (mut fields, mut made) = (Fields::default(), 0);
        let words: Vec<String> = (0..FIELDS_MAX + 5).map(|i| format!("w{i}")).collect();
        let words: Vec<(&str, &str)> = words.iter().map(|word| ("", word.as_str())).collect();
        for _ in 0..2 {
            assert_eq!(told(&mut fields, &words, &mut made).len(), FIELDS_MAX);
        }
        assert_eq!(made, FIELDS_MAX);
    }

    #[test]
    fn names_are_letters_digits_and_lines() {
        assert!(is_name("nr_free_pages1"));
        assert!(!["", "a b", "a\"", "ä"].into_iter().any(is_name));
    }
}
