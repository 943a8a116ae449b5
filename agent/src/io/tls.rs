//! TLS out: what a `tls_config` comes to, for scrapes, lists of targets, remote write and webhooks alike.
//!
//! rustls with ring, TLS 1.2 and 1.3. Whom to believe is in a file (`ca_file`) or is the system's bundle, which is only
//! read where somebody asks for https; files are looked at with each new connection and read again when they have
//! changed, so that a certificate is renewed without a reload. A board that starts in 1970 takes its build date for
//! the day, or no certificate were valid yet. Errors are worded as Go words them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    SupportedProtocolVersion, version,
};

use crate::config::{SecretSource, Tls};
use crate::house::BUILD_DATE;
use crate::os::clock::wall;

/// Where systems keep whom they believe; the first that is there counts.
const BUNDLES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
/// How many servers are remembered, to begin anew with less work.
const SESSIONS_MAX: usize = 32;

/// Speaks TLS as one `tls_config` says.
#[derive(Debug)]
pub struct TlsClient {
    tls: Tls,
    made: Mutex<Option<Made>>,
}

#[derive(Debug)]
struct Made {
    files: Vec<Looks>,
    config: Arc<ClientConfig>,
}

/// A file as it looked when it was read.
type Looks = (PathBuf, Option<(SystemTime, u64)>);

impl TlsClient {
    /// Returns what speaks so; nothing is read yet.
    pub fn new(tls: Tls) -> TlsClient {
        TlsClient { tls, made: Mutex::default() }
    }

    /// Returns how to speak, made anew when a file has changed.
    ///
    /// # Errors
    /// When a file cannot be read or is not what it should be.
    pub fn config(&self) -> Result<Arc<ClientConfig>, String> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = made.as_ref().filter(|made| made.files.iter().all(|(path, was)| looks(path) == *was)) {
            return Ok(made.config.clone());
        }
        let files = self.files().into_iter().map(|path| (path.clone(), looks(&path))).collect();
        let config = Arc::new(self.make()?);
        *made = Some(Made { files, config: config.clone() });
        Ok(config)
    }

    /// Returns whom the certificate must be for.
    ///
    /// # Errors
    /// When this is no name and no address.
    pub fn server_name(&self, host: &str) -> Result<ServerName<'static>, String> {
        let name = self.tls.server_name.as_deref().unwrap_or(host);
        ServerName::try_from(name.to_owned()).map_err(|_| format!("tls: {name:?} is no server name"))
    }

    fn files(&self) -> Vec<PathBuf> {
        let tls = &self.tls;
        let bundle = || bundle().map(|path| SecretSource::File(path.to_owned()));
        let ca = tls.ca.clone().or_else(bundle).filter(|_| !tls.insecure_skip_verify);
        let identity = tls.identity.iter().flat_map(|(cert, key)| [cert.clone(), key.clone()]);
        let file = |source| match source {
            SecretSource::File(path) => Some(path),
            SecretSource::Text(_) => None,
        };
        ca.into_iter().chain(identity).filter_map(file).collect()
    }

    fn make(&self) -> Result<ClientConfig, String> {
        let tls = &self.tls;
        let versions: Vec<&'static SupportedProtocolVersion> =
            [(tls.takes_12, &version::TLS12), (tls.takes_13, &version::TLS13)]
                .into_iter()
                .filter_map(|(takes, version)| takes.then_some(version))
                .collect();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_details(provider.clone(), Arc::new(Calendar));
        let builder = builder.with_protocol_versions(&versions).map_err(|error| format!("tls: {error}"))?;
        let builder = match tls.insecure_skip_verify {
            true => builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider))),
            false => builder.with_root_certificates(self.roots()?),
        };
        let config = match &tls.identity {
            None => Ok(builder.with_no_client_auth()),
            Some((cert, key)) => {
                let certs = certificates(&read(cert, "client certificate")?);
                let key = PrivateKeyDer::from_pem_slice(&read(key, "client key")?);
                let key = key.map_err(|_| "tls: failed to find any PEM data in key input".to_owned())?;
                builder.with_client_auth_cert(certs, key)
            }
        };
        let mut config = config.map_err(|error| format!("unable to use the client certificate: {error}"))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.resumption = Resumption::in_memory_sessions(SESSIONS_MAX);
        Ok(config)
    }

    fn roots(&self) -> Result<RootCertStore, String> {
        let text = match (&self.tls.ca, bundle()) {
            (Some(source), _) => read(source, "CA cert")?,
            (None, Some(path)) => read(&SecretSource::File(path.to_owned()), "system's CA certs")?,
            (None, None) => return Err("this system has no CA certificates: name some under ca_file".to_owned()),
        };
        let mut roots = RootCertStore::empty();
        let (added, _) = roots.add_parsable_certificates(certificates(&text));
        match added {
            0 => Err("unable to use specified CA cert: it has no certificate".to_owned()),
            _ => Ok(roots),
        }
    }
}

fn bundle() -> Option<&'static Path> {
    BUNDLES.iter().map(Path::new).find(|path| path.exists())
}

fn looks(path: &Path) -> Option<(SystemTime, u64)> {
    std::fs::metadata(path).and_then(|data| Ok((data.modified()?, data.len()))).ok()
}

fn read(source: &SecretSource, what: &str) -> Result<Vec<u8>, String> {
    match source {
        SecretSource::Text(text) => Ok(text.reveal().as_bytes().to_vec()),
        SecretSource::File(path) => {
            std::fs::read(path).map_err(|error| format!("unable to read {what}: {}: {error}", path.display()))
        }
    }
}

fn certificates(pem: &[u8]) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem).filter_map(Result::ok).collect()
}

/// The wall clock, or the day this was built where that is later.
#[derive(Debug)]
struct Calendar;

impl TimeProvider for Calendar {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = wall().max(BUILD_DATE).0 / 1_000;
        Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds.unsigned_abs())))
    }
}

/// Takes any certificate, as `insecure_skip_verify` asks; whoever shows it must have its key all the same.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Returns what went wrong with TLS, if that is what went wrong, in the words that Go has for it.
pub fn worded(error: &std::io::Error) -> Option<String> {
    let error = error.get_ref()?.downcast_ref::<Error>()?;
    let Error::InvalidCertificate(wrong) = error else {
        return Some(match error {
            Error::AlertReceived(alert) => format!("remote error: tls: {}", alert_words(&format!("{alert:?}"))),
            Error::InvalidMessage(_) => "tls: first record does not look like a TLS handshake".to_owned(),
            error => format!("tls: {error}"),
        });
    };
    let why = match wrong {
        // The second is an authority of the same name with another key.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "certificate signed by unknown authority".to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "certificate has expired or is not yet valid: it has expired".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "certificate has expired or is not yet valid: it is not yet valid".to_owned()
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            let names: Vec<&str> = presented.iter().map(|name| inner(name)).collect();
            format!("certificate is valid for {}, not {}", names.join(", "), expected.to_str())
        }
        other => other.to_string(),
    };
    Some(format!("tls: failed to verify certificate: x509: {why}"))
}

/// Takes `DnsName("h")` for what it is of.
fn inner(name: &str) -> &str {
    name.split_once('(').map_or(name, |(_, rest)| rest.trim_end_matches(')').trim_matches('"'))
}

/// Makes `BadCertificate` two words.
fn alert_words(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_certificate_is_told() {
        let folder = std::env::temp_dir().join(format!("narthex-tls-{}", std::process::id()));
        let tls = Tls { ca: Some(SecretSource::File(folder.join("none.pem"))), ..Tls::default() };
        let failure = TlsClient::new(tls).config().expect_err("it is not there");
        assert!(failure.starts_with("unable to read CA cert: "), "{failure}");
        let text = Tls { ca: Some(SecretSource::Text(yaml::Secret::new("no PEM".to_owned()))), ..Tls::default() };
        let failure = TlsClient::new(text).config().expect_err("no certificate");
        assert_eq!(failure, "unable to use specified CA cert: it has no certificate");
        let client = TlsClient::new(Tls { insecure_skip_verify: true, ..Tls::default() });
        assert!(client.config().is_ok() && client.server_name("127.0.0.1").is_ok());
        assert!(client.server_name("no name").is_err());
    }

    #[test]
    fn alerts_are_words() {
        assert_eq!(alert_words("BadCertificate"), "bad certificate");
        assert_eq!(inner("DnsName(\"h.example\")"), "h.example");
    }
}
