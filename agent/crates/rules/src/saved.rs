//! The alerts' state as bytes, for the store's cell.
//!
//! ```text
//! u8 version = 1 | u16 alerts | per alert: u64 rule, u8 state, i64 active at, i64 fired at, i64 resolved at,
//!                             u64 held ms, u64 gone ms, u16 labels, u16 annotations, packed labels, packed annotations
//! ```
//! Little-endian; `i64::MIN` and `u64::MAX` stand for nothing. Bounded by `SAVED_BYTES_MAX`: firing alerts come first, then
//! pending, then resolved ones, and what does not fit is left out. Value and annotations are made anew at the next
//! evaluation; only resolved alerts, which are evaluated no more, keep their annotations. Restoring is all or nothing.

use std::fmt;

use model::{AlertState, Labels, Mono, UnixMs};

use crate::alert::Active;
use crate::elapsed::Elapsed;
use crate::limits::SAVED_BYTES_MAX;

const VERSION: u8 = 1;

/// Why saved bytes are no state of alerts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestoreError {
    /// Another version wrote them.
    Version(u8),
    /// They are torn or something else.
    Malformed,
}

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RestoreError::Version(version) => write!(f, "the saved alerts have version {version}, expected {VERSION}"),
            RestoreError::Malformed => f.write_str("the saved alerts are malformed"),
        }
    }
}

impl std::error::Error for RestoreError {}

/// Returns the alerts with their rules' keys as bytes.
pub fn save<'a>(
    alerts: impl Iterator<Item = (u64, &'a Active)> + Clone,
    now: Mono,
    for_ms: impl Fn(u64) -> u64,
) -> Vec<u8> {
    let mut out = vec![VERSION, 0, 0];
    let mut count = 0u16;
    for state in [AlertState::Firing, AlertState::Pending, AlertState::Resolved] {
        for (rule, alert) in alerts.clone().filter(|(_, alert)| alert.state == state) {
            let before = out.len();
            push(&mut out, rule, alert, now, for_ms(rule));
            if out.len() > SAVED_BYTES_MAX {
                out.truncate(before);
            } else {
                count += 1;
            }
        }
    }
    out[1..3].copy_from_slice(&count.to_le_bytes());
    out
}

fn push(out: &mut Vec<u8>, rule: u64, alert: &Active, now: Mono, for_ms: u64) {
    let wall = |at: Option<UnixMs>| at.map_or(i64::MIN, |at| at.0);
    let held = alert.held.ms(now);
    // Bytes that stay the same need not be written again.
    let (state, held) = match alert.state {
        AlertState::Pending => (0, held),
        AlertState::Firing => (1, held.min(for_ms)),
        AlertState::Resolved => (2, held / 60_000 * 60_000),
    };
    out.extend_from_slice(&rule.to_le_bytes());
    out.push(state);
    for at in [Some(alert.active_at), alert.fired_at, alert.resolved_at] {
        out.extend_from_slice(&wall(at).to_le_bytes());
    }
    out.extend_from_slice(&held.to_le_bytes());
    out.extend_from_slice(&alert.gone.map_or(u64::MAX, |gone| gone.ms(now)).to_le_bytes());
    let annotations = if alert.state == AlertState::Resolved { alert.annotations.packed() } else { &[] };
    let parts =
        [alert.labels.packed(), annotations].map(|part| if part.len() > usize::from(u16::MAX) { &[] } else { part });
    for part in parts {
        out.extend_from_slice(&(part.len() as u16).to_le_bytes());
    }
    for part in parts {
        out.extend_from_slice(part);
    }
}

/// Reads saved alerts; `unseen_until` is how long they are kept when their condition is not seen.
pub fn restore(bytes: &[u8], now: Mono, unseen_until: Mono) -> Result<Vec<(u64, Active)>, RestoreError> {
    let mut rest = match bytes.split_first() {
        Some((&VERSION, rest)) => rest,
        Some((&version, _)) => return Err(RestoreError::Version(version)),
        None => return Err(RestoreError::Malformed),
    };
    if bytes.len() > SAVED_BYTES_MAX {
        return Err(RestoreError::Malformed);
    }
    let count = u16::from_le_bytes(take_array(&mut rest).ok_or(RestoreError::Malformed)?);
    let alerts: Option<Vec<(u64, Active)>> = (0..count).map(|_| take(&mut rest, now, unseen_until)).collect();
    alerts.filter(|_| rest.is_empty()).ok_or(RestoreError::Malformed)
}

fn take(rest: &mut &[u8], now: Mono, unseen_until: Mono) -> Option<(u64, Active)> {
    let rule = u64::from_le_bytes(take_array(rest)?);
    let state = match take_array::<1>(rest)?[0] {
        0 => AlertState::Pending,
        1 => AlertState::Firing,
        2 => AlertState::Resolved,
        _ => return None,
    };
    let mut wall = || Some(Some(i64::from_le_bytes(take_array(rest)?)).filter(|at| *at != i64::MIN).map(UnixMs));
    let (active_at, fired_at, resolved_at) = (wall()??, wall()?, wall()?);
    let held = u64::from_le_bytes(take_array(rest)?);
    let gone = u64::from_le_bytes(take_array(rest)?);
    let lengths = [u16::from_le_bytes(take_array(rest)?), u16::from_le_bytes(take_array(rest)?)];
    let labels = take_labels(rest, lengths[0])?;
    let annotations = take_labels(rest, lengths[1])?;
    let is_live = state != AlertState::Resolved;
    let alert = Active {
        labels,
        annotations,
        state,
        value: f64::NAN,
        active_at,
        fired_at,
        resolved_at,
        held: Elapsed::starting(now, held),
        gone: (gone != u64::MAX).then(|| Elapsed::starting(now, gone)),
        unseen_until: is_live.then_some(unseen_until),
    };
    Some((rule, alert))
}

fn take_labels(rest: &mut &[u8], bytes: u16) -> Option<Labels> {
    let (packed, after) = rest.split_at_checked(usize::from(bytes))?;
    *rest = after;
    Labels::from_packed(packed)
}

fn take_array<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (bytes, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*bytes)
}
