//! HTTP out for the command line: one question to a server's query API, its answer whole.
//!
//! Blocking, bounded in time and size. An answer that is no success is an answer too: what it says is its reader's
//! affair. The proxy of the environment is not used, as nowhere here.

use std::time::Duration;

/// How long the whole may take; the longest time a server gives a query by itself is two minutes.
const TIMEOUT: Duration = Duration::from_secs(150);

/// The largest answer, in bytes.
const ANSWER_BYTES_MAX: u64 = 128 << 20;

/// Posts a form, or gets where there is none; returns the status and the text.
///
/// # Errors
/// When there is no answer, or one too large; in words.
pub fn ask(url: &str, form: Option<&str>) -> Result<(u16, String), String> {
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        .http_status_as_error(false)
        .proxy(None)
        .user_agent(concat!("Narthex/", env!("CARGO_PKG_VERSION")))
        .build();
    let agent: ureq::Agent = config.into();
    let sent = match form {
        Some(form) => agent.post(url).header("Content-Type", "application/x-www-form-urlencoded").send(form),
        None => agent.get(url).call(),
    };
    let mut response = sent.map_err(|error| error.to_string())?;
    let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).lossy_utf8(true).read_to_string();
    Ok((response.status().as_u16(), body.map_err(|error| format!("reading the answer: {error}"))?))
}
