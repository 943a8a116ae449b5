//! HTTP out: one POST, bounded in time, its answer turned into an `Outcome`.
//!
//! Blocking on purpose: it runs on an upstream's own small thread, where nothing else waits for it. The proxy of
//! the environment is not used (as with the peer, it must be asked for), redirects of a POST are not followed, and
//! what a server says goes into the log cut short and without the URL, which may carry a secret. TLS is ours (`tls`).

#[cfg(feature = "tls")]
mod secure;

use std::sync::Arc;
use std::time::Duration;

use model::Outcome;
use ureq::config::Config;
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{Connector, TcpConnector};

use super::tls::{self, TlsClient};

/// How much of an answer is read, in bytes.
const ANSWER_BYTES_MAX: u64 = 4 << 10;

/// Posts bodies to one address.
pub struct Poster {
    agent: ureq::Agent,
    url: String,
    headers: Vec<(String, String)>,
}

impl Poster {
    /// Returns a poster. `timeout` covers a whole request, from the name's look-up to the answer's last byte.
    pub fn new(url: String, headers: Vec<(String, String)>, timeout: Duration, tls: Arc<TlsClient>) -> Poster {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(timeout))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .user_agent(concat!("Narthex/", env!("CARGO_PKG_VERSION")))
            .accept("")
            .accept_encoding("")
            .input_buffer_size(4 << 10)
            .output_buffer_size(4 << 10)
            .max_idle_connections(1)
            .build();
        Poster { agent: agent(config, tls), url, headers }
    }

    /// Posts a body; `judge` makes an outcome of the status, the `Retry-After` header and what the server said.
    pub fn post(&self, body: &[u8], judge: impl Fn(u16, Option<&str>, &str) -> Outcome) -> Outcome {
        #[cfg(not(feature = "tls"))]
        if self.url.starts_with("https:") {
            return Outcome::Retry { reason: tls::ABSENT.to_owned(), after_ms: None };
        }
        let mut request = self.agent.post(&self.url);
        for (name, value) in &self.headers {
            request = request.header(name.as_str(), value.as_str());
        }
        match request.send(body) {
            Ok(mut response) => {
                let status = response.status().as_u16();
                let retry_after = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
                let retry_after = retry_after.map(str::to_owned);
                // Reading the answer also lets the connection be used again.
                let read = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).lossy_utf8(true).read_to_string();
                judge(status, retry_after.as_deref(), &read.unwrap_or_default())
            }
            Err(error) => Outcome::Retry { reason: plain(&error), after_ms: None },
        }
    }
}

/// Returns what speaks HTTP so, and https by our own TLS.
pub(super) fn agent(config: Config, tls: Arc<TlsClient>) -> ureq::Agent {
    #[cfg(feature = "tls")]
    let connector = ().chain(TcpConnector::default()).chain(secure::Secure(tls));
    #[cfg(not(feature = "tls"))]
    let (connector, _) = (().chain(TcpConnector::default()), tls);
    ureq::Agent::with_parts(config, connector, DefaultResolver::default())
}

/// An error without the address in it.
pub(super) fn plain(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Io(error) => tls::worded(error).unwrap_or_else(|| error.to_string()),
        ureq::Error::Timeout(_) => "timed out".to_owned(),
        ureq::Error::HostNotFound => "the host's name is not known".to_owned(),
        ureq::Error::ConnectionFailed => "the connection failed".to_owned(),
        ureq::Error::BadUri(_) => "the URL is not one".to_owned(),
        error => error.to_string(),
    }
}
