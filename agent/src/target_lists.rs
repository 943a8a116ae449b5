//! Lists of targets as files and other programs give them: `file_sd_configs` and `http_sd_configs`, YAML or JSON.
//!
//! ```json
//! [{"targets": ["plc:9100"], "labels": {"line": "1"}}]
//! ```
//! A list is taken whole or not at all: half a file is an error, and whoever asked keeps what it had. Keys and errors
//! are the peer's. Nothing is read here; texts are handed in.

use model::{Labels, LabelsBuilder};
use targets::Group;
use yaml::Errors;

/// The most targets of one list.
pub const LIST_TARGETS_MAX: usize = targets::limits::TARGETS_MAX;

/// Reads a list. Each group gets a label that says where it comes from, such as `__meta_filepath`.
///
/// # Errors
/// With all that is wrong, one a line.
pub fn read(name: &str, text: &str, origin: (&str, &str)) -> Result<Vec<Group>, String> {
    // JSON may be indented with tabs, which YAML forbids; inside its texts a tab cannot stand.
    let is_json = text.trim_start().starts_with(['[', '{']);
    let blanks = if is_json { text.replace('\t', " ") } else { text.to_owned() };
    let root = yaml::parse(name, &blanks).map_err(|errors| errors.to_string())?;
    let mut errors = Errors::new();
    let mut groups = Vec::new();
    let mut count = 0;
    for (index, node) in root.list(&mut errors).iter().enumerate() {
        if node.is_null() {
            node.complain("nil target group item found", "", &mut errors);
            continue;
        }
        let mut map = node.map(&mut errors);
        let addresses = map.strings("targets", &mut errors);
        let mut labels = LabelsBuilder::new();
        for (name, value) in map.pairs("labels", &mut errors) {
            if name.is_empty() || labels.set(&name, &value).is_err() {
                node.complain(format!("{name:?} is not a valid label"), "", &mut errors);
            }
        }
        map.finish(&mut errors);
        count += addresses.len();
        if count > LIST_TARGETS_MAX {
            let limit = format!("at most {LIST_TARGETS_MAX}");
            node.complain("there are too many targets", limit, &mut errors);
            break;
        }
        let _ = labels.set(origin.0, origin.1);
        let labels: Labels = labels.finish();
        groups.push(Group::of(format!("{}:{index}", origin.1), &addresses, labels));
    }
    if errors.is_empty() { Ok(groups) } else { Err(errors.to_string()) }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;

    fn shown(text: &str) -> Result<Vec<String>, String> {
        let groups = read("f", text, ("__meta_filepath", "/f"))?;
        let target = |group: &Group, labels: &Labels| {
            let shared: Vec<String> = group.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
            format!("{} {} {}", group.source, labels.get("__address__").unwrap_or(""), shared.join(" "))
        };
        Ok(groups.iter().flat_map(|group| group.targets.iter().map(|labels| target(group, labels))).collect())
    }

    #[test]
    fn both_spellings_say_the_same() {
        let expected = Ok(vec!["/f:0 a:1 __meta_filepath=/f x=y".to_owned(), "/f:1 b:2 __meta_filepath=/f".to_owned()]);
        assert_eq!(shown("- targets: ['a:1']\n  labels: {x: y}\n- targets: [b:2]\n"), expected);
        assert_eq!(
            shown("[\n\t{\"targets\": [\"a:1\"], \"labels\": {\"x\": \"y\"}},\n\t{\"targets\": [\"b:2\"]}\n]\n"),
            expected
        );
        assert_eq!(shown(""), Ok(Vec::new()));
    }

    #[test]
    fn half_a_list_is_no_list() {
        for bad in [
            "[{\"targets\": [\"a:1\"]",
            "[{\"targets\": [\"a:1\"]}, null]",
            "- targets: ['a:1']\n- \n",
            "- targets: ['a:1']\n  lables: {}\n",
            "targets: ['a:1']\n",
            "- targets: a\n",
            "- labels: {'': x}\n  targets: []\n",
        ] {
            assert!(shown(bad).is_err(), "{bad}");
        }
        let many = format!("- targets: [{}]\n", vec!["a"; LIST_TARGETS_MAX + 1].join(","));
        assert!(shown(&many).is_err_and(|error| error.contains("too many targets")));
    }

    /// The peer's own fixtures.
    #[test]
    fn the_peers_lists_are_judged_as_there() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the workspace");
        let base = std::env::var_os("NARTHEX_SHARED").map_or_else(|| root.join("../shared"), PathBuf::from);
        let Ok(files) = std::fs::read_dir(base.join("suites/config/discovery_file")) else {
            eprintln!("LEFT OUT: suites/config/discovery_file is not in {}", base.display());
            return;
        };
        let mut count = 0;
        for file in files.flatten() {
            let name = file.file_name().to_string_lossy().into_owned();
            let text = std::fs::read_to_string(file.path()).expect("it is there");
            assert_eq!(shown(&text).is_ok(), !name.starts_with("invalid"), "{name}: {:?}", shown(&text));
            count += 1;
        }
        assert!(count >= 7, "only {count} files");
    }
}
