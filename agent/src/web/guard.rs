//! Who is known: users with passwords, and tokens.
//!
//! With users nobody gets anything without saying who they are, as with the peers' `basic_auth_users`. With a token alone
//! reading stays open, and whoever bears it may push, write and control from anywhere. A password that was right is
//! remembered as a keyed hash, because comparing one takes as long as a board can bear; a wrong one is compared anew
//! each time, one at a time.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::bcrypt::Hash;

/// How many good passwords are remembered.
const KNOWN_MAX: usize = 128;
/// Compared with for users that are not there, so that these cannot be told from others by the time it takes.
const NOBODYS: &str = "$2a$10$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";

/// What is thought of who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// One of ours.
    Known,
    /// Somebody, who may do what anybody may.
    Anybody,
    /// Nobody who gets an answer.
    Refused,
}

/// Knows who is known.
pub struct Guard {
    users: Vec<(String, Hash)>,
    token: Option<u64>,
    hasher: RandomState,
    known: Mutex<Vec<u64>>,
}

impl Guard {
    /// Returns what knows these users, with their bcrypt hashes, and the bearer of this token.
    pub fn new(users: Vec<(String, Hash)>, token: Option<&str>) -> Guard {
        let hasher = RandomState::new();
        Guard { users, token: token.map(|token| hasher.hash_one(token)), hasher, known: Mutex::default() }
    }

    /// Judges an `Authorization` header; `None` when a password must be compared for it.
    pub fn judge_at_once(&self, header: &str) -> Option<Verdict> {
        if let Some(token) = token_of(header) {
            // Keyed hashes are compared: how much of a guess is right cannot be told by the time it takes.
            let is_right = self.token == Some(self.hasher.hash_one(token));
            let is_asked = self.token.is_some() || !self.users.is_empty();
            return Some(if is_right {
                Verdict::Known
            } else if is_asked {
                Verdict::Refused
            } else {
                Verdict::Anybody
            });
        }
        if self.users.is_empty() {
            return Some(Verdict::Anybody);
        }
        let Some(pair) = pair_of(header) else { return Some(Verdict::Refused) };
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.contains(&self.hasher.hash_one(&pair)).then_some(Verdict::Known)
    }

    /// As [`Guard::judge_at_once`]; may take a second.
    pub fn judge(&self, header: &str) -> Verdict {
        if let Some(verdict) = self.judge_at_once(header) {
            return verdict;
        }
        let Some(pair) = pair_of(header) else { return Verdict::Refused };
        let (name, password) = (&pair.0, &pair.1);
        let user = self.users.iter().find(|(user, _)| user == name).map(|(_, hash)| hash);
        let nobodys = Hash::parse(NOBODYS);
        // Compared even where there is no such user.
        let is_same = user.or(nobodys.as_ref()).is_some_and(|hash| hash.is_of(password));
        let is_right = user.is_some() && is_same;
        if !is_right {
            return Verdict::Refused;
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KNOWN_MAX {
            known.remove(0);
        }
        known.push(self.hasher.hash_one(&pair));
        Verdict::Known
    }
}

/// Returns what follows a scheme.
fn after<'a>(header: &'a str, scheme: &str) -> Option<&'a str> {
    let (found, rest) = header.split_once(' ')?;
    found.eq_ignore_ascii_case(scheme).then(|| rest.trim())
}

fn token_of(header: &str) -> Option<&str> {
    after(header, "bearer")
}

fn pair_of(header: &str) -> Option<(String, String)> {
    let text = String::from_utf8(STANDARD.decode(after(header, "basic")?).ok()?).ok()?;
    text.split_once(':').map(|(name, password)| (name.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hash of `U*U`.
    fn hash() -> Hash {
        Hash::parse("$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW").expect("a hash")
    }

    fn basic(pair: &str) -> String {
        format!("Basic {}", STANDARD.encode(pair))
    }

    #[test]
    fn users_are_asked_for_their_password() {
        let guard = Guard::new(vec![("barn".to_owned(), hash())], None);
        for header in ["", "Basic", "Basic !", "Bearer x", "Digest a", &basic("barn")] {
            assert_eq!(guard.judge_at_once(header), Some(Verdict::Refused), "{header}");
        }
        let (right, wrong) = (basic("barn:U*U"), basic("barn:u*u"));
        assert_eq!((guard.judge_at_once(&right), guard.judge(&right)), (None, Verdict::Known));
        assert_eq!(guard.judge_at_once(&right), Some(Verdict::Known), "it is remembered");
        assert_eq!((guard.judge_at_once(&wrong), guard.judge(&wrong)), (None, Verdict::Refused));
        assert_eq!(guard.judge_at_once(&wrong), None, "a wrong one is not");
    }

    #[test]
    fn a_token_opens_without_closing_to_others() {
        let guard = Guard::new(Vec::new(), Some("hunter2"));
        assert_eq!(guard.judge("bearer hunter2"), Verdict::Known);
        assert_eq!(guard.judge("Bearer hunter3"), Verdict::Refused);
        assert_eq!(guard.judge(""), Verdict::Anybody);
        let open = Guard::new(Vec::new(), None);
        assert_eq!((open.judge(""), open.judge("Bearer x")), (Verdict::Anybody, Verdict::Anybody));
    }
}
