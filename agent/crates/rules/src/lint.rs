//! What is odd in good rule files, as `promtool check rules` finds it.
//!
//! Rules that write the same series, or alerts with the same name and labels, in whatever group of a file. Labels count
//! as they are written, templates unexpanded, those of the group with them. Nothing here is an error.

use crate::group::{Group, RuleKind};

/// A rule's name and labels that more than one rule has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duplicate {
    /// The alert's name or the name of the recorded series.
    pub name: String,
    /// Its labels, in order of names.
    pub labels: Vec<(String, String)>,
}

/// Returns each name with labels that several rules have, once, in order.
pub fn duplicates(groups: &[Group]) -> Vec<Duplicate> {
    let mut all = Vec::new();
    for rule in groups.iter().flat_map(|group| &group.rules) {
        let mut labels: Vec<(String, String)> = match &rule.kind {
            RuleKind::Record(record) => {
                record.labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
            }
            RuleKind::Alert(alert) => {
                alert.labels.iter().map(|(name, template)| (name.clone(), template.text().to_owned())).collect()
            }
        };
        labels.sort();
        all.push(Duplicate { name: rule.name.clone(), labels });
    }
    all.sort();
    let mut found: Vec<Duplicate> = Vec::new();
    for pair in all.windows(2) {
        if let [one, other] = pair
            && one == other
            && found.last() != Some(one)
        {
            found.push(one.clone());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_that_say_the_same_are_found_once_over_all_groups() {
        let text = "groups:
  - name: a
    labels: {l: m}
    rules:
      - {record: x, expr: 1}
      - {record: x, expr: 2, labels: {l: n}}
      - {alert: y, expr: 1, labels: {v: '{{ $value }}'}}
  - name: b
    rules:
      - {record: x, expr: 3, labels: {l: m}}
      - {record: x, expr: 4, labels: {l: m}}
      - {alert: y, expr: 1, labels: {v: '{{ $value }} '}}
";
        let mut errors = yaml::Errors::new();
        let found = duplicates(&crate::load("r.yml", text, &mut errors));
        assert!(errors.is_empty(), "{errors}");
        let labels = vec![("l".to_owned(), "m".to_owned())];
        assert_eq!(found, [Duplicate { name: "x".to_owned(), labels }]);
    }
}
