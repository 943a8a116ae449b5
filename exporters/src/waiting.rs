//! Mounts that are being asked, so that one that does not answer is asked once.
//!
//! `statfs` of a lost NFS server returns when the server does. Whoever asks notes the mount here for as long as the
//! question lasts. When a lane is given up because it hangs, the one that takes over shares this note, finds the
//! mount still being asked, and goes on to the next: that mount alone is told with `mountpoint timeout`, as the peer
//! does, and is asked again as soon as the old question is answered.
//!
//! What it does not do: wait, or measure time. Who hangs is found by who runs the lane (see [`crate::lane::Progress`]).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The mounts that are being asked just now; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Waiting(Arc<Mutex<Asked>>);

#[derive(Debug, Default)]
struct Asked {
    paths: Vec<PathBuf>,
    /// Memory to be used again.
    spare: Vec<PathBuf>,
}

impl Waiting {
    /// Asks a question about a path, unless the same is being asked elsewhere.
    ///
    /// # Errors
    /// `TimedOut` where it is, else those of the question.
    pub fn ask<T>(&self, path: &Path, question: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        {
            let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if asked.paths.iter().any(|other| other == path) {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let mut own = asked.spare.pop().unwrap_or_default();
            own.clear();
            own.push(path);
            asked.paths.push(own);
        }
        let answer = question();
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = asked.paths.iter().position(|other| other == path) {
            let own = asked.paths.swap_remove(at);
            asked.spare.push(own);
        }
        answer
    }

    /// Returns how many paths are being asked.
    pub fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).paths.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_being_asked_is_not_asked_again_until_it_has_answered() {
        let waiting = Waiting::default();
        let elsewhere = waiting.clone();
        let (lost, good) = (Path::new("/mnt/lost"), Path::new("/data"));
        let answer = waiting.ask(lost, || {
            assert_eq!(elsewhere.count(), 1);
            let refused = elsewhere.ask(lost, || Ok(())).expect_err("it is being asked");
            assert_eq!(refused.kind(), io::ErrorKind::TimedOut);
            elsewhere.ask(good, || Ok(7))
        });
        assert_eq!(answer.expect("an answer"), 7);
        assert_eq!(waiting.count(), 0);
        assert_eq!(elsewhere.ask(lost, || Ok(8)).expect("an answer"), 8);
    }
}
