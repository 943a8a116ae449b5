//! The files a check looks at: paths below the project's root, and their text.
//!
//! The real tree is every file of the work tree but what is built (`target`) or git's own; it is read anew by each
//! test, which costs milliseconds. A made-up one is a few pairs of path and text. Files that are not UTF-8 are kept
//! as far as they can be read, so that a binary fixture is looked through too.

use std::fs;
use std::path::{Path, PathBuf};

/// A file, by its path from the root with `/` between the names.
pub struct File {
    pub path: String,
    pub text: String,
}

/// All files of a project, sorted by path.
pub struct Tree {
    pub files: Vec<File>,
}

/// Folders that hold nothing written by a person.
const SKIPPED: [&str; 4] = ["target", ".git", "__pycache__", "node_modules"];

/// Returns the folder that holds the workspace's Cargo.toml.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("the tests are a folder of the workspace").to_path_buf()
}

impl Tree {
    /// Reads the project.
    pub fn project() -> Tree {
        let root = root();
        let mut files = Vec::new();
        read_folder(&root, &root, &mut files);
        files.sort_by(|a, b| a.path.cmp(&b.path));
        assert!(files.len() > 50, "only {} files found below {}", files.len(), root.display());
        Tree { files }
    }

    /// Makes a tree up.
    pub fn of(files: &[(&str, &str)]) -> Tree {
        let file = |&(path, text): &(&str, &str)| File { path: path.to_owned(), text: text.to_owned() };
        Tree { files: files.iter().map(file).collect() }
    }

    /// Returns the text of a file.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.files.iter().find(|file| file.path == path).map(|file| file.text.as_str())
    }

    /// Returns every file of Rust.
    pub fn rust(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.path.ends_with(".rs"))
    }

    /// Returns the manifest of every package, but not the workspace's.
    pub fn manifests(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.path.ends_with("/Cargo.toml"))
    }
}

fn read_folder(root: &Path, folder: &Path, out: &mut Vec<File>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("reading {}: {error}", folder.display()));
    for entry in entries {
        let entry = entry.expect("a folder just opened can be read");
        let kind = entry.file_type().expect("an entry just read has a type");
        let path = entry.path();
        if kind.is_dir() && !SKIPPED.contains(&entry.file_name().to_string_lossy().as_ref()) {
            read_folder(root, &path, out);
        } else if kind.is_file() {
            // Another test may write beside us: what is gone again was not part of the project.
            let Ok(bytes) = fs::read(&path) else { continue };
            let path = path.strip_prefix(root).expect("found below the root").to_string_lossy().into_owned();
            out.push(File { path, text: String::from_utf8_lossy(&bytes).into_owned() });
        }
    }
}
