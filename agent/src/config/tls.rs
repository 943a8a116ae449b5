//! `tls_config`: whom to believe over https and who we are there, with Prometheus's keys.
//!
//! ```text
//! tls_config: {ca_file: ca.pem, cert_file: board.pem, key_file: board.key, server_name: plc.barn}
//! ```
//! Files are not read here: they may be renewed while we run, and a check has no right to them. TLS 1.0 and 1.1 are not
//! spoken: as the oldest version they mean 1.2, as the newest they are a warning and the newest is 1.2.

use std::path::Path;

use yaml::{Errors, Map, Node, Secret};

use super::http::SecretSource;
use super::raw::child;

/// Keys that name a secret of a manager that we have not.
const UNSERVED: [&str; 3] = ["ca_ref", "cert_ref", "key_ref"];

const VERSIONS: [&str; 4] = ["TLS10", "TLS11", "TLS12", "TLS13"];
/// Where TLS 1.2 is among these.
const TLS12: usize = 2;

/// How TLS is spoken, and with whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// Certificates, PEM, of those who may vouch for a server; `None`: the system's.
    pub ca: Option<SecretSource>,
    /// Our certificate and its key, PEM.
    pub identity: Option<(SecretSource, SecretSource)>,
    /// Whom the certificate must be for; `None`: the host that is asked.
    pub server_name: Option<String>,
    /// Whether any certificate is taken.
    pub insecure_skip_verify: bool,
    /// Whether TLS 1.2 may be spoken.
    pub takes_12: bool,
    /// Whether TLS 1.3 may be spoken.
    pub takes_13: bool,
}

impl Default for Tls {
    fn default() -> Tls {
        Tls { ca: None, identity: None, server_name: None, insecure_skip_verify: false, takes_12: true, takes_13: true }
    }
}

impl Tls {
    /// Reads the key that stands among those of an HTTP client.
    pub(super) fn read(owner: &mut Map, base: &Path, errors: &mut Errors, warnings: &mut Errors) -> Tls {
        let Some(node) = owner.get("tls_config") else { return Tls::default() };
        check(&node, errors);
        let mut map = node.map(errors);
        let versions = ["min_version", "max_version"].map(|key| map.get(key));
        let [min, max] = versions.map(|node| node.and_then(|node| version(&node, errors)));
        let tls = Tls {
            ca: source(&mut map, "ca", "ca_file", base, errors),
            identity: source(&mut map, "cert", "cert_file", base, errors)
                .zip(source(&mut map, "key", "key_file", base, errors)),
            server_name: map.str("server_name", errors).filter(|name| !name.is_empty()),
            insecure_skip_verify: map.bool("insecure_skip_verify", errors).unwrap_or(false),
            takes_12: min.is_none_or(|min| min <= TLS12),
            takes_13: max.is_none_or(|max| max > TLS12),
        };
        if max.is_some_and(|max| max < TLS12) {
            warnings.push(node.error("TLS 1.0 and 1.1 are not spoken: the newest version is 1.2", ""));
        }
        map.known_but_unserved(&UNSERVED, "", warnings);
        map.finish(errors);
        tls
    }

    /// Returns it with relative paths joined to a folder.
    pub(super) fn based_on(mut self, base: &Path) -> Tls {
        let (cert, key) = self.identity.as_mut().map(|(cert, key)| (cert, key)).unzip();
        for source in [self.ca.as_mut(), cert, key].into_iter().flatten() {
            if let SecretSource::File(path) = source {
                *path = base.join(&path);
            }
        }
        self
    }
}

/// Reads a text or the file that has it; an empty one is none.
fn source(
    map: &mut Map,
    text: &'static str,
    file: &'static str,
    base: &Path,
    errors: &mut Errors,
) -> Option<SecretSource> {
    let (text, file) = (map.get(text), map.get(file));
    let text = text.and_then(|node| node.secret(errors)).filter(|text: &Secret| !text.reveal().is_empty());
    let file = file.and_then(|node| node.str(errors)).filter(|file| !file.is_empty());
    text.map(SecretSource::Text).or(file.map(|file| SecretSource::File(base.join(file))))
}

fn version(node: &Node, errors: &mut Errors) -> Option<usize> {
    let found = VERSIONS.iter().position(|known| node.text() == Some(known));
    if found.is_none() {
        let what = ["unknown TLS version: ", node.text().unwrap_or("")].concat();
        node.complain(what, VERSIONS.join(", "), errors);
    }
    found
}

/// Complains of contradictions, in the peer's words.
fn check(node: &Node, errors: &mut Errors) {
    let has = |key: &str| child(node, key).is_some_and(|value| value.text() != Some(""));
    let count = |keys: [&str; 3]| keys.into_iter().filter(|key| has(key)).count();
    let (ca, cert, key) = (
        count(["ca", "ca_file", "ca_ref"]),
        count(["cert", "cert_file", "cert_ref"]),
        count(["key", "key_file", "key_ref"]),
    );
    let known = |key: &str| child(node, key).and_then(|value| VERSIONS.iter().position(|v| value.text() == Some(v)));
    let reversed = known("min_version").zip(known("max_version")).is_some_and(|(min, max)| max < min);
    for (is_wrong, what) in [
        (ca > 1, "at most one of ca, ca_file & ca_ref must be configured"),
        (cert > 1, "at most one of cert, cert_file & cert_ref must be configured"),
        (key > 1, "at most one of key, key_file & key_ref must be configured"),
        (
            cert > 0 && key == 0,
            "exactly one of key or key_file must be configured when a client certificate is configured",
        ),
        (key > 0 && cert == 0, "exactly one of cert or cert_file must be configured when a client key is configured"),
        (
            reversed,
            "tls_config.max_version must be greater than or equal to tls_config.min_version if both are specified",
        ),
    ] {
        if is_wrong {
            node.complain(what, "", errors);
        }
    }
}
