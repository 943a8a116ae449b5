//! The textfile collector against the peer's own cases and what the real node_exporter printed on more.
//!
//! Upstream's cases print the directory as `fixtures/textfile/NAME` and times as 1; the others as `textfile` and
//! 1780000000. What differs on purpose is named in `DIFFERENT` and in `DIFFERENCES.md`.

use std::fs;
use std::path::Path;

use crate::support::{Folder, Table, check, copy, lane_over, printed, set_modified, shared};

/// A label value of 20,000 bytes: the peer takes it, we refuse the file, because nothing here may grow without end.
const DIFFERENT: [&str; 1] = ["textfile_long_line"];

fn run(directories: &[&str]) -> String {
    let flags = ["collector.disable-defaults", "collector.textfile"].map(str::to_owned).into_iter();
    let own = directories.iter().map(|directory| format!("collector.textfile.directory={directory}"));
    let flags: Vec<String> = flags.chain(own).collect();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    printed(&mut lane_over(Path::new("/nonexistent"), &flags, Box::new(Table { spaces: Vec::new() })))
}

fn set_all_modified(folder: &Path, seconds: u64) {
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() { set_all_modified(&path, seconds) } else { set_modified(&path, seconds) }
    }
}

#[test]
fn real_binary_cases() {
    let Some(shared) = shared("the textfile cases of the real binary") else { return };
    let mut count = 0;
    for entry in fs::read_dir(shared.join("textfile/cases")).expect("a readable folder") {
        let case = entry.expect("a readable entry").path();
        let name = case.file_name().and_then(|name| name.to_str()).expect("UTF-8").to_owned();
        let folder = Folder::new(&name);
        copy(&case.join("textfile"), &folder.0);
        set_all_modified(&folder.0, 1_780_000_000);
        let directory = folder.0.to_str().expect("UTF-8");
        let ours = run(&[directory]).replace(directory, "textfile");
        count += 1;
        if DIFFERENT.contains(&name.as_str()) {
            assert!(ours.contains("\nnode_textfile_scrape_error 1\n"), "{ours}");
            continue;
        }
        let golden = fs::read_to_string(case.join("expected.prom")).expect("a golden");
        check(&name, &ours, &golden, &|family| {
            family == "node_scrape_collector_duration_seconds" || family == "node_exporter_build_info"
        });
    }
    assert_eq!(count, 26);
}

/// The peer divides nanoseconds as whole numbers; a central Prometheus that scraped both saw two values.
#[test]
fn times_of_files_are_whole_seconds() {
    let folder = Folder::new("textfile-times");
    let path = folder.0.join("a.prom");
    fs::write(&path, "a 1\n").expect("a file can be written");
    let file = fs::File::options().write(true).open(&path).expect("a writable file");
    let at = std::time::UNIX_EPOCH + std::time::Duration::from_millis(1_780_000_000_750);
    file.set_modified(at).expect("times can be set");
    let ours = run(&[folder.0.to_str().expect("UTF-8")]);
    assert!(ours.contains("a.prom\"} 1.78e+09\n"), "{ours}");
}

#[test]
fn upstream_cases() {
    let Some(shared) = shared("upstream's textfile cases") else { return };
    let folder = Folder::new("textfile-upstream");
    let root = folder.0.join("fixtures/textfile");
    let mut names = Vec::new();
    for entry in fs::read_dir(shared.join("textfile")).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("UTF-8");
        if path.is_dir() && name != "cases" {
            copy(&path, &root.join(name));
        }
        names.extend(name.strip_suffix(".out").map(str::to_owned));
    }
    set_all_modified(&root, 1);
    let front = format!("{}/", folder.0.display());
    let under = |name: &str| format!("{}/{name}", root.display());
    for name in &names {
        let golden = fs::read_to_string(shared.join(format!("textfile/{name}.out"))).expect("a golden");
        let sets = match name.as_str() {
            "glob_extra_dimension" => vec![
                vec![under("*_extra_dimension")],
                vec![under("histogram_extra_dimension"), under("summary_extra_dimension")],
            ],
            _ => vec![vec![under(name)]],
        };
        for directories in sets {
            let directories: Vec<&str> = directories.iter().map(String::as_str).collect();
            let ours = run(&directories).replace(&front, "");
            check(name, &ours, &golden, &|family| {
                family.starts_with("node_scrape_collector_") || family == "node_exporter_build_info"
            });
        }
    }
    assert_eq!(names.len(), 15, "{names:?}");
}

fn written(files: &[(&str, &str)]) -> (Folder, String) {
    // Tests run side by side in one process.
    static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let folder = Folder::new(&format!("textfile-own-{count}"));
    for (name, text) in files {
        fs::write(folder.0.join(name), text).expect("a file can be written");
    }
    let directory = folder.0.to_str().expect("UTF-8").to_owned();
    (folder, directory)
}

/// Returns the rows of everything but the collector's own metrics, and the error metric.
fn rows(files: &[(&str, &str)]) -> (Vec<String>, String) {
    let (_folder, directory) = written(files);
    let text = run(&[&directory]);
    let error = text.lines().find(|line| line.starts_with("node_textfile_scrape_error")).expect("always told");
    let own = |line: &&str| !line.starts_with("node_") && !line.starts_with('#');
    (text.lines().filter(own).map(str::to_owned).collect(), error.replace("node_textfile_scrape_error ", ""))
}

#[test]
fn a_series_in_two_files_is_told_once() {
    let (rows, error) = rows(&[("a.prom", "m{x=\"1\"} 1\n"), ("b.prom", "m{x=\"1\"} 2\nm{x=\"2\"} 3\n")]);
    assert_eq!((rows, error.as_str()), (vec!["m{x=\"1\"} 1".to_owned(), "m{x=\"2\"} 3".to_owned()], "0"));
}

#[test]
fn a_family_of_another_kind_gives_way() {
    let (rows, error) = rows(&[("a.prom", "# TYPE m gauge\nm 1\n"), ("b.prom", "# TYPE m counter\nm{x=\"1\"} 2\n")]);
    assert_eq!((rows, error.as_str()), (vec!["m 1".to_owned()], "0"));
}

#[test]
fn a_summary_without_count_comes_out_whole() {
    let (rows, _) = rows(&[("a.prom", "# TYPE s summary\ns{quantile=\"0.5\"} 2\n# TYPE h histogram\nh_count 3\n")]);
    assert_eq!(
        rows,
        ["h_bucket{le=\"+Inf\"} 3", "h_sum 0", "h_count 3", "s{quantile=\"0.5\"} 2", "s_sum 0", "s_count 0"]
    );
}

#[test]
fn a_histogram_has_whole_counts_and_no_bucket_without_a_bound() {
    let text = "# TYPE h histogram\nh_bucket{le=\"1\"} 1.5\nh_bucket{le=\"NaN\"} 2\nh_count 1e20\n# TYPE s summary\ns_count 1.9\n";
    let (rows, error) = rows(&[("a.prom", text)]);
    let expected = ["h_bucket{le=\"1\"} 0", "h_bucket{le=\"+Inf\"} 0", "h_sum 0", "h_count 0", "s_sum 0", "s_count 1"];
    assert_eq!((rows, error.as_str()), (expected.map(str::to_owned).to_vec(), "0"));
}

#[test]
fn a_help_text_that_one_file_lacks_is_another_one() {
    let (with, without) = ("# HELP m x\nm{a=\"1\"} 1\n", "m{a=\"2\"} 2\n");
    for (first, second, row) in [(with, without, "m{a=\"1\"} 1"), (without, with, "m{a=\"2\"} 2")] {
        let (rows, error) = rows(&[("a.prom", first), ("b.prom", second)]);
        assert_eq!((rows, error.as_str()), (vec![row.to_owned()], "0"));
    }
}

#[test]
fn what_a_collector_tells_itself_counts_first() {
    let tree = Folder::new("textfile-collision");
    fs::create_dir_all(tree.0.join("proc")).expect("a folder can be made");
    fs::write(tree.0.join("proc/loadavg"), "0.1 0.2 0.3 1/2 3\n").expect("a file can be written");
    let text = "node_load1 7\n# HELP node_load5 5m load average.\n# TYPE node_load5 gauge\nnode_load5{x=\"1\"} 8\nnode_load5 9\n";
    let (_folder, directory) = written(&[("a.prom", text)]);
    let directory = format!("collector.textfile.directory={directory}");
    let flags = ["collector.disable-defaults", "collector.textfile", "collector.loadavg", directory.as_str()];
    let mut lane = lane_over(&tree.0, &flags, Box::new(Table { spaces: Vec::new() }));
    let text = printed(&mut lane);
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("node_load")).collect();
    assert_eq!(rows, ["node_load1 0.1", "node_load15 0.3", "node_load5 0.2", "node_load5{x=\"1\"} 8"]);
    assert!(text.contains("node_textfile_scrape_error 0\n") && text.contains("success{collector=\"textfile\"} 1\n"));
    assert_eq!(lane.failures().len(), 1);
}

#[test]
fn a_directory_is_missed_only_when_it_was_asked_for() {
    assert!(run(&["/nonexistent"]).contains("node_textfile_scrape_error 1\n"));
    assert!(run(&[""]).contains("node_textfile_scrape_error 0\n"));
}
