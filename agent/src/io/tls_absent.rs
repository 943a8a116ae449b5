//! In the place of `tls` where the feature of that name is off: says so to whoever asks for https.
//!
//! So that who fetches and who posts need not know which of the two there is. A megabyte less, for boards that speak
//! to nobody but their neighbours.

use crate::config::Tls;

/// Speaks no TLS.
#[derive(Debug)]
pub struct TlsClient;

impl TlsClient {
    /// Returns what speaks none.
    pub fn new(_tls: Tls) -> TlsClient {
        TlsClient
    }
}

/// What is said to who asks for https.
pub const ABSENT: &str = "https is not served: this program was built without TLS";

/// Returns nothing: no error is TLS's.
pub fn worded(_error: &std::io::Error) -> Option<String> {
    None
}
