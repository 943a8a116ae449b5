//! A folder of a test's own, removed with all that is in it when the test is done.
//!
//! With `NARTHEX_KEEP=1` it stays and its path is printed, to look at what a failed test left.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A temporary folder.
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Makes one; `name` is part of its path.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn new(name: &str) -> Folder {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("narthex-{name}-{}-{count}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap_or_else(|e| panic!("making {}: {e}", path.display()));
        Folder { path }
    }

    /// Returns its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file in it, with the folders on its way, and returns the path.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).unwrap_or_else(|e| panic!("making {}: {e}", parent.display()));
        }
        std::fs::write(&path, text).unwrap_or_else(|e| panic!("writing {}: {e}", path.display()));
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if std::env::var_os("NARTHEX_KEEP").is_some() {
            eprintln!("kept: {}", self.path.display());
        } else {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_goes_with_all_that_is_in_it() {
        let (one, two) = (Folder::new("same"), Folder::new("same"));
        assert_ne!(one.path(), two.path());
        let file = one.write("a/b.txt", "text");
        assert_eq!(std::fs::read(&file).expect("written"), b"text");
        let path = one.path().to_owned();
        drop(one);
        assert!(!path.exists() && two.path().exists());
    }
}
