//! Where things lie on this machine when nobody says otherwise.
//!
//! | what | under systemd | as root | as a user |
//! | --- | --- | --- | --- |
//! | the data file | `$STATE_DIRECTORY` | `/var/lib/narthex` | `$XDG_STATE_HOME/narthex`, `~/.local/state/narthex` |
//! | the tail | `$RUNTIME_DIRECTORY` | `/run/narthex` | `$XDG_RUNTIME_DIR/narthex`, `/dev/shm/narthex-UID` |

use std::env;
use std::path::{Path, PathBuf};

/// The data file's name within its folder.
pub const DATA_FILE: &str = "narthex.ring";

/// Returns the folder for the data file.
pub fn state_folder() -> PathBuf {
    let home = || env_path("HOME").unwrap_or_else(|| PathBuf::from("/"));
    match env_path("STATE_DIRECTORY") {
        Some(folder) => folder,
        None if is_root() => PathBuf::from("/var/lib/narthex"),
        None => env_path("XDG_STATE_HOME").unwrap_or_else(|| home().join(".local/state")).join("narthex"),
    }
}

/// Returns the tail's path for this data file, or `None` where no folder in memory is to be had.
///
/// The name carries a number made of the data file's path, so that two agents of one user do not meet.
pub fn tail_path(data_file: &Path) -> Option<PathBuf> {
    let folder = match env_path("RUNTIME_DIRECTORY") {
        Some(folder) => folder,
        None if is_root() => PathBuf::from("/run/narthex"),
        None => match env_path("XDG_RUNTIME_DIR").filter(|folder| folder.is_dir()) {
            Some(folder) => folder.join("narthex"),
            None => Path::new("/dev/shm").join(format!("narthex-{}", rustix::process::getuid().as_raw())),
        },
    };
    let parent = folder.parent()?;
    let absolute = std::path::absolute(data_file).ok()?;
    let name = format!("tail-{:016x}", fnv1a(absolute.as_os_str().as_encoded_bytes()));
    (folder.is_dir() || parent.is_dir()).then(|| folder.join(name))
}

/// Returns the host's name, `localhost` when it has none.
pub fn host_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if name.is_empty() || name == "(none)" { "localhost".to_owned() } else { name }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn env_path(name: &str) -> Option<PathBuf> {
    // systemd may list several folders, separated by colons: the first is ours.
    let value = env::var_os(name)?;
    let first = value.to_string_lossy().split(':').next().map(PathBuf::from)?;
    (!first.as_os_str().is_empty()).then_some(first)
}

/// FNV-1a, 64 bits.
pub fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_data_files_have_two_tails() {
        let (a, b) = (tail_path(Path::new("/a/narthex.ring")), tail_path(Path::new("/b/narthex.ring")));
        assert_ne!(a, b);
        assert_eq!(a, tail_path(Path::new("/a/narthex.ring")));
    }
}
