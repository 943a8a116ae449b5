//! HTTP out for the command line: one question to a server's query API, its answer whole.
//!
//! Blocking, bounded in time and size. An answer that is no success is an answer too: what it says is its reader's
//! affair. The proxy of the environment is not used, as nowhere here. Under https the system's authorities are believed,
//! or those in the file that `SSL_CERT_FILE` names, as with the peer.

use std::sync::Arc;
use std::time::Duration;

use super::post;
#[cfg(not(feature = "tls"))]
use super::tls;
use super::tls::TlsClient;
use crate::config::{SecretSource, Tls};

/// How long the whole may take; the longest time a server gives a query by itself is two minutes.
const TIMEOUT: Duration = Duration::from_secs(150);

/// The largest answer, in bytes.
const ANSWER_BYTES_MAX: u64 = 128 << 20;

/// Posts a form, or gets where there is none; returns the status and the text.
///
/// # Errors
/// When there is no answer, or one too large; in words.
pub fn ask(url: &str, form: Option<&str>) -> Result<(u16, String), String> {
    #[cfg(not(feature = "tls"))]
    if url.starts_with("https:") {
        return Err(tls::ABSENT.to_owned());
    }
    let ca = std::env::var_os("SSL_CERT_FILE").filter(|file| !file.is_empty());
    let tls = Tls { ca: ca.map(|file| SecretSource::File(file.into())), ..Tls::default() };
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        .http_status_as_error(false)
        .proxy(None)
        .user_agent(concat!("Narthex/", env!("CARGO_PKG_VERSION")))
        .build();
    let agent = post::agent(config, Arc::new(TlsClient::new(tls)));
    let sent = match form {
        Some(form) => agent.post(url).header("Content-Type", "application/x-www-form-urlencoded").send(form),
        None => agent.get(url).call(),
    };
    let mut response = sent.map_err(|error| post::plain(&error))?;
    let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).lossy_utf8(true).read_to_string();
    Ok((response.status().as_u16(), body.map_err(|error| format!("reading the answer: {error}"))?))
}
