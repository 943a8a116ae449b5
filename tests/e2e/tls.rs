//! https out: scrapes, a list of targets and remote write, with a certificate authority of the test's own.
//!
//! One server for each kind of certificate: a good one, one for another name, one that has expired, one of an authority
//! that nobody knows, and one that wants to see a certificate itself. What the agent says of each is what people
//! would search for; with `server_name`, `insecure_skip_verify`, or the right certificate it is scraped all the same.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use support::agent::{Agent, program};
use support::folder::Folder;
use support::http;
use support::wait;

const LONG: Duration = Duration::from_secs(60);

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Issuer {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a certificate")
}

/// A certificate for a name, with its key, both PEM.
fn issued(by: &Issuer, name: &str, year_last: i32) -> (rcgen::Certificate, KeyPair) {
    let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(year_last, 1, 1));
    let key = KeyPair::generate().expect("a key");
    (params.signed_by(&key, by).expect("a certificate"), key)
}

/// Serves metrics under TLS; returns where, and the first line and the body of each request.
fn server(certificate: &(rcgen::Certificate, KeyPair), clients: Option<&Issuer>) -> (SocketAddr, Receiver<Vec<u8>>) {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
    let builder = builder.expect("ring speaks both");
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.der().clone()).expect("a certificate");
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.expect("there is a root"))
        }
    };
    let chain: Vec<CertificateDer<'static>> = vec![certificate.0.der().clone()];
    let key = PrivateKeyDer::try_from(certificate.1.serialize_der()).expect("a key");
    let config = Arc::new(builder.with_single_cert(chain, key).expect("they belong together"));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
    let address = listener.local_addr().expect("it is bound");
    let (tell, asked) = channel();
    let tell = Arc::new(Mutex::new(tell));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (config, tell) = (config.clone(), tell.clone());
            std::thread::spawn(move || {
                let session = ServerConnection::new(config).expect("a good configuration");
                let mut lines = BufReader::new(StreamOwned::new(session, stream));
                while let Some(asked) = request(&mut lines) {
                    // Whoever reads may have gone home.
                    let _ = tell.lock().expect("nobody panics with it").send(asked.clone());
                    if answer(&asked, address, lines.get_mut()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    (address, asked)
}

/// Reads a request: its first line, a newline, its body.
fn request(lines: &mut impl BufRead) -> Option<Vec<u8>> {
    let (mut first, mut line, mut length) = (String::new(), String::new(), 0);
    lines.read_line(&mut first).ok().filter(|read| *read > 0)?;
    while lines.read_line(&mut line).ok()? > 2 {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        line.clear();
    }
    let mut body = vec![0; length];
    lines.read_exact(&mut body).ok()?;
    Some([first.as_bytes(), &body].concat())
}

fn answer(asked: &[u8], address: SocketAddr, out: &mut impl Write) -> std::io::Result<()> {
    let list = format!("[{{\"targets\": [\"{address}\"], \"labels\": {{\"listed\": \"yes\"}}}}]");
    let (status, kind, body) = match asked {
        text if text.starts_with(b"GET /list ") => ("200 OK", "application/json", list.as_str()),
        text if text.starts_with(b"POST /api/v1/query ") => ("200 OK", "application/json", ANSWER),
        text if text.starts_with(b"POST ") => ("204 No Content", "text/plain", ""),
        _ => ("200 OK", "text/plain; version=0.0.4", "good 1\n"),
    };
    write!(out, "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}", body.len())?;
    out.flush()
}

/// What a server says to a query.
const ANSWER: &str = "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[{\"metric\":\
    {\"__name__\":\"answered\",\"under\":\"tls\"},\"value\":[1700000000,\"42\"]}]}}";

fn job(name: &str, address: SocketAddr, tls: &str) -> String {
    format!(
        "- {{job_name: {name}, scheme: https, scrape_interval: 1s, scrape_timeout: 900ms, tls_config: {{{tls}}}, \
         static_configs: [{{targets: ['{address}']}}]}}\n"
    )
}

fn series(at: SocketAddr, query: &str) -> usize {
    let path = format!("/api/v1/query?query={}", http::escape(query));
    let Ok(answer) = http::get(at, &path) else { return 0 };
    let body: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
    body["data"]["result"].as_array().map_or(0, Vec::len)
}

fn last_error(at: SocketAddr, job: &str) -> Option<String> {
    let body = http::get(at, "/api/v1/targets?state=active").ok()?.body;
    let body: serde_json::Value = serde_json::from_slice(&body).ok()?;
    let targets = body["data"]["activeTargets"].as_array()?;
    let target = targets.iter().find(|target| target["scrapePool"] == job)?;
    target["lastError"].as_str().filter(|error| !error.is_empty()).map(str::to_owned)
}

#[test]
fn https_is_spoken_with_whom_the_configuration_trusts() {
    let (ours, theirs) = (authority(), authority());
    let folder = Folder::new("tls");
    let file = |name: &str, text: &str| folder.write(name, text).display().to_string();
    let ca = format!("ca_file: {}", file("ca.pem", &ours.pem()));
    let client = issued(&ours, "board", 2090);
    let identity = format!(
        "cert_file: {}, key_file: {}",
        file("board.pem", &client.0.pem()),
        file("board.key", &client.1.serialize_pem())
    );

    let (good, asked) = server(&issued(&ours, "127.0.0.1", 2090), None);
    let (named, _) = server(&issued(&ours, "plc.example", 2090), None);
    let (expired, _) = server(&issued(&ours, "127.0.0.1", 2021), None);
    let (unknown, _) = server(&issued(&theirs, "127.0.0.1", 2090), None);
    let (asking, _) = server(&issued(&ours, "127.0.0.1", 2090), Some(&ours));

    let mut config = String::from("rule_files: []\nscrape_configs:\n");
    config += &job("good", good, &ca);
    config += &job("inline", good, &format!("ca: {:?}", ours.pem()));
    config += &job("old", good, &format!("{ca}, max_version: TLS12"));
    config += &job("named", named, &ca);
    config += &job("renamed", named, &format!("{ca}, server_name: plc.example"));
    config += &job("expired", expired, &ca);
    config += &job("unknown", unknown, &ca);
    config += &job("system", good, "");
    config += &job("skipped", unknown, "insecure_skip_verify: true");
    config += &job("asking", asking, &ca);
    config += &job("known", asking, &format!("{ca}, {identity}"));
    config += &job("lost", good, "ca_file: /nonexistent/ca.pem");
    config += &format!(
        "- job_name: list\n  scheme: https\n  scrape_interval: 1s\n  scrape_timeout: 900ms\n  tls_config: {{{ca}}}\n  \
         http_sd_configs: [{{url: 'https://{good}/list', refresh_interval: 1s, tls_config: {{{ca}}}}}]\n"
    );
    config += &format!(
        "remote_write: [{{url: 'https://{good}/write', tls_config: {{{ca}}}, queue_config: {{batch_send_deadline: 1s}}}}]\n"
    );
    let mut agent = Agent::new(&config).started();
    let at = agent.address();
    for name in ["good", "inline", "old", "renamed", "skipped", "known"] {
        wait::until(LONG, &format!("{name} being scraped: {:?}", last_error(at, name)), || {
            (series(at, &format!("up{{job=\"{name}\"}} == 1 and on(job) good")) == 1).then_some(())
        });
    }
    for (name, expected) in [
        ("named", "x509: certificate is valid for plc.example, not 127.0.0.1"),
        ("expired", "x509: certificate has expired or is not yet valid"),
        ("unknown", "x509: certificate signed by unknown authority"),
        ("system", "x509: certificate signed by unknown authority"),
        ("asking", "remote error: tls: certificate required"),
        ("lost", "unable to read CA cert: /nonexistent/ca.pem"),
    ] {
        let said = wait::until(LONG, &format!("{name} being down"), || last_error(at, name));
        assert!(said.contains(expected), "{name}: {said}");
        assert_eq!(series(at, &format!("good{{job=\"{name}\"}}")), 0, "{name}");
    }
    wait::until_true(LONG, "the listed target", || series(at, "good{job=\"list\",listed=\"yes\"}") == 1);
    wait::until_true(LONG, "samples that were written under TLS", || {
        asked.try_iter().any(|asked| asked.starts_with(b"POST /write ") && asked.len() > 200)
    });

    // A certificate that is renewed is used without a reload: with the other authority's, those who were known are not.
    folder.write("ca.pem", theirs.pem());
    wait::until_true(LONG, "the other authority being believed", || {
        series(at, "up{job=\"unknown\"} == 1 and on(job) good") == 1
    });
    assert!(agent.process().ended().is_none());
}

#[test]
fn a_query_is_asked_under_https() {
    let ours = authority();
    let folder = Folder::new("tls-query");
    let ca = folder.write("ca.pem", ours.pem());
    let (good, asked) = server(&issued(&ours, "127.0.0.1", 2090), None);
    let (named, _) = server(&issued(&ours, "plc.example", 2090), None);
    let query = |server: SocketAddr, ca: &str| {
        let mut command = Command::new(program());
        command.args(["query", "instant", "answered", "--time=1700000000", "--output=csv"]).env("SSL_CERT_FILE", ca);
        command.arg(format!("--server=https://{server}")).output().expect("the program runs")
    };
    let answer = query(good, &ca.display().to_string());
    let said = String::from_utf8_lossy(&answer.stdout).into_owned() + &String::from_utf8_lossy(&answer.stderr);
    assert!(answer.status.success() && said.contains("tls") && said.contains("42"), "{said}");
    assert!(asked.try_iter().any(|asked| String::from_utf8_lossy(&asked).contains("query=answered")));
    for (server, ca, expected) in [
        (good, "", "x509: certificate signed by unknown authority"),
        (named, &*ca.display().to_string(), "x509: certificate is valid for plc.example, not 127.0.0.1"),
        (good, "/nonexistent/ca.pem", "unable to read CA cert: /nonexistent/ca.pem"),
    ] {
        let answer = query(server, ca);
        let said = String::from_utf8_lossy(&answer.stderr).into_owned();
        assert!(answer.status.code() == Some(1) && said.contains(expected), "{said}");
    }
}
