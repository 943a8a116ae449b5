//! A text that must not be seen: a password, a token.
//!
//! Debug and Display print `<secret>`, as Prometheus does, so that a configuration can be logged as it is. The one
//! way to the text is [`Secret::reveal`], which is easy to search for. No promise about memory: it is not wiped.

use std::fmt;

/// A text that prints as `<secret>`.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(String);

impl Secret {
    /// Returns a secret with this text.
    pub fn new(text: String) -> Secret {
        Secret(text)
    }

    /// Returns the text itself: for the header or packet that needs it, never for a message.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Returns whether the text is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_prints_as_one_and_can_be_revealed() {
        let secret = Secret::new("hunter2".to_owned());
        assert_eq!(format!("{secret} {secret:?} {:?}", Some(&secret)), "<secret> <secret> Some(<secret>)");
        assert_eq!(secret.reveal(), "hunter2");
    }
}
