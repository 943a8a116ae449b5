//! Who may push and write: this very host, and from elsewhere whoever says who it is.
//!
//! "Elsewhere" is a request that a proxy brought, which counts as another host's. Neither a password nor a token is ever
//! in the log or in what the API shows of the configuration.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use support::agent::Agent;
use support::http;
use support::wait::SOON;

use crate::held::QUICK;

/// The bcrypt hash of `hunter2`.
const HASH: &str = "$2y$04$abcdefghijklmnopqrstuuV3duMsC0HpUex6N9qapiuOHHWkwRXVm";
const ELSEWHERE: (&str, &str) = ("X-Forwarded-For", "192.0.2.1");

fn status(agent: &Agent, method: &str, path: &str, headers: &[(&str, &str)]) -> u16 {
    let body: &[u8] = if method == "GET" { b"" } else { b"m 1\n" };
    http::request(agent.address(), method, path, headers, body).expect("an answer").status
}

fn says_nothing(agent: &mut Agent, secrets: &[&str], headers: &[(&str, &str)]) {
    let shown = http::request(agent.address(), "GET", "/api/v1/status/config", headers, b"").expect("an answer").text();
    let said = [agent.process().stderr(), agent.process().stdout(), shown].concat();
    assert!(!secrets.iter().any(|secret| said.contains(secret)), "{said}");
}

#[test]
fn a_token_lets_others_push_and_leaves_reading_open() {
    let config = format!("{QUICK}web: {{bearer_token: cowbell-7}}\n");
    let mut agent = Agent::new(&config).started();
    let (right, wrong) = (("Authorization", "Bearer cowbell-7"), ("Authorization", "Bearer cowbell-8"));
    let push = |headers: &[(&str, &str)]| status(&agent, "PUT", "/metrics/job/a", headers);
    assert_eq!(
        [push(&[]), push(&[ELSEWHERE]), push(&[ELSEWHERE, wrong]), push(&[ELSEWHERE, right])],
        [200, 403, 401, 200]
    );
    // Not even the right token lets another site's page push through somebody's browser.
    assert_eq!(push(&[ELSEWHERE, right, ("Origin", "http://evil.example")]), 403);
    assert_eq!(status(&agent, "POST", "/-/reload", &[ELSEWHERE, right]), 200);
    // Known, so it is told what is wrong with it.
    assert_eq!(status(&agent, "POST", "/api/v1/write", &[ELSEWHERE, right]), 400);
    assert_eq!(status(&agent, "POST", "/api/v1/write", &[ELSEWHERE]), 403);
    assert_eq!(status(&agent, "GET", "/metrics", &[ELSEWHERE]), 200);
    says_nothing(&mut agent, &["cowbell"], &[]);
}

#[test]
fn with_users_nobody_gets_anything_without_a_password() {
    let agent = Agent::new(QUICK);
    let file = agent.folder().write("web.yml", format!("basic_auth_users: {{barn: {HASH}}}\n"));
    let mut agent = agent.arg(&format!("--web.config.file={}", file.display()));
    agent.launch();
    let address = agent.address();
    agent.process().until(SOON, "a port that asks who it is", |_| {
        http::get(address, "/-/ready").ok().filter(|answer| answer.status == 401)
    });
    let header = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
    let (right, wrong, nobody) = (header("barn:hunter2"), header("barn:hunter3"), header("nobody:hunter2"));
    let (right, wrong, nobody) = (("Authorization", &*right), ("Authorization", &*wrong), ("Authorization", &*nobody));
    for path in ["/metrics", "/", "/-/healthy", "/api/v1/query?query=up", "/federate?match[]=up"] {
        let found = [&[][..], &[wrong], &[nobody], &[right]].map(|headers| status(&agent, "GET", path, headers));
        assert_eq!(found, [401, 401, 401, 200], "{path}");
    }
    let answer = http::get(address, "/metrics").expect("an answer");
    assert_eq!(answer.header("www-authenticate"), Some("Basic"));
    assert_eq!(status(&agent, "PUT", "/metrics/job/a", &[ELSEWHERE, right]), 200);
    assert_eq!(status(&agent, "PUT", "/metrics/job/a", &[]), 401);
    says_nothing(&mut agent, &["hunter2", "$2y$"], &[right]);

    // What is not served is not left out in silence.
    agent.folder().write("web.yml", "tls_server_config: {cert_file: a, key_file: b}\n");
    let reload = http::request(address, "POST", "/-/reload", &[right], b"").expect("an answer");
    assert_eq!(reload.status, 500);
    assert!(reload.text().contains("tls_server_config is not served"), "{}", reload.text());
    assert_eq!(status(&agent, "GET", "/metrics", &[]), 401, "who is known stays as it was");
}
