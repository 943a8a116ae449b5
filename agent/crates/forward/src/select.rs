//! Which series go to an upstream: those that at least one list of matchers accepts; no list at all means all.
//!
//! It is the `match[]` of `/federate` for senders. Rows that nothing selects are acknowledged silently.

use model::{Labels, Matcher};

/// Lists of matchers, one of which must accept a series as a whole.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    lists: Vec<Vec<Matcher>>,
}

impl Selection {
    /// Returns the selection of everything.
    pub fn all() -> Selection {
        Selection::default()
    }

    /// Returns the selection of what any of these lists accepts; none at all selects everything.
    pub fn any_of(lists: Vec<Vec<Matcher>>) -> Selection {
        Selection { lists }
    }

    /// Returns whether a series is selected.
    pub fn accepts(&self, labels: &Labels) -> bool {
        self.lists.is_empty() || self.lists.iter().any(|list| list.iter().all(|m| m.matches_labels(labels)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_list_must_accept_as_a_whole() {
        let load = Labels::from_pairs([("__name__", "load"), ("job", "node")]);
        let temp = Labels::from_pairs([("__name__", "temp"), ("job", "node")]);
        let other = Labels::from_pairs([("__name__", "temp"), ("job", "other")]);
        let selection = Selection::any_of(vec![
            vec![Matcher::equal("__name__", "load")],
            vec![Matcher::equal("__name__", "temp"), Matcher::equal("job", "node")],
        ]);
        assert!(selection.accepts(&load) && selection.accepts(&temp) && !selection.accepts(&other));
        assert!(Selection::all().accepts(&other));
        assert!(Selection::any_of(vec![vec![]]).accepts(&other), "an empty list refuses nothing");
    }
}
