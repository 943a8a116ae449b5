//! The notification log: what each receiver was told last about each group, and how long ago.
//!
//! Saved in one small cell. Ages are elapsed time: the age reached so far is saved and goes on after a reboot, the
//! time the board was off is not counted. The form, little-endian:
//!
//! ```text
//! u8 version = 1 | u16 entries | per entry: u64 key, u64 age ms, u16 firing, u16 resolved, u64 fingerprints...
//! ```
//! Bounded by `LOG_ENTRIES_MAX` and `SAVED_BYTES_MAX`: the entries told about longest ago are left out first.

use std::collections::BTreeMap;
use std::fmt;

use model::Mono;

use crate::limits::{LOG_ENTRIES_MAX, SAVED_BYTES_MAX};

const VERSION: u8 = 1;

/// What one receiver was told last about one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Fingerprints of what was firing then, ascending.
    pub firing: Vec<u64>,
    /// Fingerprints of what was said to be resolved, ascending.
    pub resolved: Vec<u64>,
    base_ms: u64,
    since: Mono,
}

impl Entry {
    /// Returns an entry of this moment.
    pub fn new(now: Mono, firing: Vec<u64>, resolved: Vec<u64>) -> Entry {
        Entry { firing, resolved, base_ms: 0, since: now }
    }

    /// Returns how long ago it was told.
    pub fn age_ms(&self, now: Mono) -> u64 {
        self.base_ms.saturating_add(now.since_ms(self.since))
    }

    fn bytes(&self) -> usize {
        8 + 8 + 2 + 2 + 8 * (self.firing.len() + self.resolved.len())
    }
}

/// Why saved bytes are no log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestoreError {
    /// Another version wrote them.
    Version(u8),
    /// They are torn or no log at all.
    Malformed,
}

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RestoreError::Version(version) => {
                write!(f, "the notification log has version {version}, expected {VERSION}")
            }
            RestoreError::Malformed => f.write_str("the notification log is malformed"),
        }
    }
}

impl std::error::Error for RestoreError {}

/// All entries, by the hash of receiver, integration and group.
#[derive(Debug, Default)]
pub struct Log {
    entries: BTreeMap<u64, Entry>,
}

impl Log {
    /// Returns what was told last.
    pub fn get(&self, key: u64) -> Option<&Entry> {
        self.entries.get(&key)
    }

    /// Notes what was told; when full, what was told longest ago is forgotten.
    pub fn put(&mut self, now: Mono, key: u64, entry: Entry) {
        if self.entries.len() >= LOG_ENTRIES_MAX
            && !self.entries.contains_key(&key)
            && let Some(oldest) = self.oldest_first(now).pop()
        {
            self.entries.remove(&oldest);
        }
        self.entries.insert(key, entry);
    }

    /// Forgets entries that are older than `age_ms_max` and not kept.
    pub fn forget(&mut self, now: Mono, age_ms_max: u64, keep: impl Fn(u64) -> bool) {
        self.entries.retain(|key, entry| keep(*key) || entry.age_ms(now) <= age_ms_max);
    }

    /// Returns how many entries there are.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns the keys, youngest first, so that the oldest is popped.
    fn oldest_first(&self, now: Mono) -> Vec<u64> {
        let mut keys: Vec<u64> = self.entries.keys().copied().collect();
        keys.sort_by_key(|key| self.entries[key].age_ms(now));
        keys
    }

    /// Returns the log as bytes.
    pub fn save(&self, now: Mono) -> Vec<u8> {
        let mut out = vec![VERSION, 0, 0];
        let mut count = 0u16;
        for key in self.oldest_first(now) {
            let entry = &self.entries[&key];
            let too_long = entry.firing.len().max(entry.resolved.len()) > usize::from(u16::MAX);
            if too_long || out.len() + entry.bytes() > SAVED_BYTES_MAX {
                continue;
            }
            count += 1;
            out.extend_from_slice(&key.to_le_bytes());
            out.extend_from_slice(&entry.age_ms(now).to_le_bytes());
            for list in [&entry.firing, &entry.resolved] {
                out.extend_from_slice(&(list.len() as u16).to_le_bytes());
            }
            for fingerprint in entry.firing.iter().chain(&entry.resolved) {
                out.extend_from_slice(&fingerprint.to_le_bytes());
            }
        }
        out[1..3].copy_from_slice(&count.to_le_bytes());
        out
    }

    /// Reads saved bytes; all or nothing.
    pub fn restore(bytes: &[u8], now: Mono) -> Result<Log, RestoreError> {
        match bytes.first() {
            Some(&VERSION) => {}
            Some(&version) => return Err(RestoreError::Version(version)),
            None => return Err(RestoreError::Malformed),
        }
        let mut reader = Reader { rest: &bytes[1..] };
        let log = reader.log(now).ok_or(RestoreError::Malformed)?;
        if reader.rest.is_empty() { Ok(log) } else { Err(RestoreError::Malformed) }
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn log(&mut self, now: Mono) -> Option<Log> {
        let mut log = Log::default();
        let count = self.u16()?;
        if usize::from(count) > LOG_ENTRIES_MAX {
            return None;
        }
        for _ in 0..count {
            let (key, base_ms) = (self.u64()?, self.u64()?);
            let (firing, resolved) = (self.u16()?, self.u16()?);
            let entry = Entry { firing: self.list(firing)?, resolved: self.list(resolved)?, base_ms, since: now };
            log.entries.insert(key, entry);
        }
        Some(log)
    }

    fn list(&mut self, count: u16) -> Option<Vec<u64>> {
        if self.rest.len() < usize::from(count) * 8 {
            return None;
        }
        let list: Vec<u64> = (0..count).map_while(|_| self.u64()).collect();
        list.is_sorted().then_some(list)
    }

    fn u16(&mut self) -> Option<u16> {
        let (bytes, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(u16::from_le_bytes(*bytes))
    }

    fn u64(&mut self) -> Option<u64> {
        let (bytes, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(u64::from_le_bytes(*bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_go_on_after_a_reboot() {
        let mut log = Log::default();
        log.put(Mono(1_000), 7, Entry::new(Mono(1_000), vec![1, 2], vec![3]));
        let saved = log.save(Mono(61_000));
        let again = Log::restore(&saved, Mono(5)).expect("whole");
        let entry = again.get(7).expect("there");
        assert_eq!((entry.firing.as_slice(), entry.resolved.as_slice()), (&[1, 2][..], &[3][..]));
        assert_eq!(entry.age_ms(Mono(1_005)), 61_000);
    }

    #[test]
    fn torn_or_foreign_bytes_are_refused() {
        let mut log = Log::default();
        log.put(Mono(0), 7, Entry::new(Mono(0), vec![1, 2], vec![3]));
        let saved = log.save(Mono(0));
        for cut in 0..saved.len() {
            assert_eq!(Log::restore(&saved[..cut], Mono(0)).err(), Some(RestoreError::Malformed), "{cut} bytes");
        }
        assert_eq!(Log::restore(&[9, 0, 0], Mono(0)).err(), Some(RestoreError::Version(9)));
        let long = [saved.as_slice(), &[0]].concat();
        assert_eq!(Log::restore(&long, Mono(0)).err(), Some(RestoreError::Malformed));
    }

    #[test]
    fn the_log_and_its_bytes_are_bounded() {
        let mut log = Log::default();
        for i in 0..LOG_ENTRIES_MAX as u64 + 10 {
            log.put(Mono(i), i, Entry::new(Mono(i), (0..100).collect(), Vec::new()));
        }
        assert_eq!(log.len(), LOG_ENTRIES_MAX);
        assert!(log.get(0).is_none() && log.get(LOG_ENTRIES_MAX as u64 + 9).is_some());
        let saved = log.save(Mono(10_000));
        assert!(saved.len() <= SAVED_BYTES_MAX && saved.len() > SAVED_BYTES_MAX / 2, "{} bytes", saved.len());
        let again = Log::restore(&saved, Mono(0)).expect("whole");
        assert!(again.get(LOG_ENTRIES_MAX as u64 + 9).is_some(), "the youngest is kept");
    }
}
