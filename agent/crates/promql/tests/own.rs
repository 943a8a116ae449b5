//! Runs our own scripts, `tests/scripts/*.test`: behaviour we care about, in the test language.

#[test]
fn own_scripts_pass() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
    let mut files = 0;
    for entry in std::fs::read_dir(folder).expect("the scripts are part of the crate") {
        let path = entry.expect("a readable folder").path();
        let text = std::fs::read_to_string(&path).expect("a readable script");
        let mut failures = Vec::new();
        let tally = promql::script::run(&text, &path.to_string_lossy(), &mut |outcome| {
            if let Some(failure) = &outcome.failure {
                failures.push(format!("{}:{}: {}: {failure}", outcome.file, outcome.line, outcome.expr));
            }
        });
        assert!(failures.is_empty() && tally.passed > 0, "{}", failures.join("\n"));
        files += 1;
    }
    assert!(files >= 3);
}
