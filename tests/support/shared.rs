//! Where the tests' large data and the real peers lie, which are not part of the project.
//!
//! `NARTHEX_SHARED` names the folder of data, `../shared` beside the project else. `NARTHEX_PEERS` names a folder
//! whose `bin` has the peers, `target/peers` else (`tests/peers/install` fills it). What is not there is left out,
//! and said so loudly on standard error; with `NARTHEX_NOTHING_LEFT_OUT=1` it is a failure instead.

use std::path::{Path, PathBuf};

/// Returns the project's root.
pub fn project() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("the tests lie in the project").to_owned()
}

/// Returns the path of a file or folder of the shared data, or `None` after saying what is left out without it.
///
/// # Panics
/// When it is missing and nothing may be left out.
pub fn shared(path: &str, left_out: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("NARTHEX_SHARED").map_or_else(|| project().join("../shared"), PathBuf::from);
    present(&folder.join(path), left_out)
}

/// Returns the path of a peer's program, or `None` after saying what is left out without it.
///
/// # Panics
/// When it is missing and nothing may be left out.
pub fn peer(name: &str, left_out: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("NARTHEX_PEERS").map_or_else(|| target().join("peers"), PathBuf::from);
    let in_bin = folder.join("bin").join(name);
    let path = if in_bin.exists() { in_bin } else { folder.join(name) };
    present(&path, left_out)
}

/// Returns a path within the client libraries that `tests/peers/libraries` installs (`NARTHEX_CLIENTS`, `target/clients`
/// else), as it is: what leads on to the system's Python must not be followed. `None` after saying what is left out.
///
/// # Panics
/// When it is missing and nothing may be left out.
pub fn library(path: &str, left_out: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("NARTHEX_CLIENTS").map_or_else(|| target().join("clients"), PathBuf::from);
    let path = folder.join(path);
    present(&path, left_out).map(|_| path)
}

/// Returns the folder that cargo builds into for everybody: the project's, not the one of this very build.
fn target() -> PathBuf {
    project().join("target")
}

fn present(path: &Path, left_out: &str) -> Option<PathBuf> {
    if path.exists() {
        return Some(path.canonicalize().unwrap_or_else(|_| path.to_owned()));
    }
    let message = format!("LEFT OUT: {left_out}: {} is not there", path.display());
    assert!(std::env::var_os("NARTHEX_NOTHING_LEFT_OUT").is_none(), "{message}");
    // Past the test runner's capture, so that it is seen when the test passes.
    let _ = std::io::Write::write_all(&mut std::io::stderr(), format!("\n{message}\n").as_bytes());
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_project_is_found_and_what_is_missing_is_left_out() {
        assert!(project().join("Cargo.toml").exists());
        assert_eq!(present(Path::new("/no/such/place"), "nothing: this shows how it looks"), None);
    }
}
