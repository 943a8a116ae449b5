//! What the tests of this crate need around the engine: data in memory, the peer's answers to compare with, and where
//! the shared data lie.
//!
//! Used by the tests of this crate and by `tests/promql`, which asks a real Prometheus. Each test takes what it needs,
//! so something is always unused somewhere.
#![allow(dead_code)]

pub mod body;
pub mod expressions;
pub mod memory;
pub mod random;

use std::path::{Path, PathBuf};
use std::process::Command;

/// Returns the folder of shared data, `../shared` beside the project unless `NARTHEX_SHARED` names another.
pub fn shared() -> PathBuf {
    if let Some(path) = std::env::var_os("NARTHEX_SHARED") {
        return path.into();
    }
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root =
        here.ancestors().find(|folder| folder.join("Cargo.lock").exists()).expect("the crate lies in a workspace");
    root.join("../shared")
}

/// Returns a file of the shared data as text, unpacked if it ends in `.gz`; `None` after saying that it is missing.
///
/// # Panics
/// When the file is there and cannot be read, or is missing and nothing may be left out.
pub fn shared_text(path: &str) -> Option<String> {
    let path = shared().join(path);
    if !path.exists() {
        let message = format!("LEFT OUT: {} is not there; set NARTHEX_SHARED to compare with it", path.display());
        assert!(std::env::var_os("NARTHEX_NOTHING_LEFT_OUT").is_none(), "{message}");
        // Past the test runner's capture, so that it is seen when the test passes.
        let _ = std::io::Write::write_all(&mut std::io::stderr(), format!("\n{message}\n").as_bytes());
        return None;
    }
    if path.extension().is_some_and(|end| end == "gz") {
        let output = Command::new("gzip").arg("-dc").arg(&path).output().expect("gzip is installed");
        assert!(output.status.success(), "{}: {}", path.display(), String::from_utf8_lossy(&output.stderr));
        return Some(String::from_utf8(output.stdout).expect("text"));
    }
    Some(std::fs::read_to_string(&path).expect("a readable file"))
}
