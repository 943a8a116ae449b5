//! A disk that is bytes in memory, for the tests beside and the examples: what is written is there at once.
//!
//! Clones are the same medium, so a reader may have one. It never fails and never loses anything; a disk that does is
//! in the project's own tests.

use std::io;
use std::sync::{Arc, Mutex};

use model::{Disk, ReadAt};

/// The medium; clones are the same.
#[derive(Clone, Default)]
pub struct Memory(pub Arc<Mutex<Vec<u8>>>);

impl Disk for Memory {
    fn len(&mut self) -> io::Result<u64> {
        Ok(self.0.lock().expect("not poisoned").len() as u64)
    }
    fn read(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.read_at(offset, buf)
    }
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let at = offset as usize;
        self.0.lock().expect("not poisoned")[at..at + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }
    fn set_len(&mut self, bytes: u64) -> io::Result<()> {
        self.0.lock().expect("not poisoned").resize(bytes as usize, 0);
        Ok(())
    }
    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ReadAt for Memory {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let bytes = self.0.lock().expect("not poisoned");
        let at = offset as usize;
        buf.copy_from_slice(bytes.get(at..at + buf.len()).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}
