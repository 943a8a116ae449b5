//! `/api/v1/status/narthex`: what the page shows, as JSON.
//!
//! Core fills a [`Status`] when it is asked for one; this file only prints it. No secret ever gets in: upstreams
//! show their name and the host they speak to, never a user, a password or a query string.

use model::{Alert, AlertState, UnixMs};

use super::targets::Targets;
use super::{Answer, Web, json};

/// How things stand.
#[derive(Debug, Clone, Default)]
pub struct Status {
    /// The board: its model, or the machine's name where it has none.
    pub board: String,
    /// The host's name.
    pub host: String,
    /// Kernel and architecture.
    pub kernel: String,
    /// Our version.
    pub version: &'static str,
    /// The time samples are labelled with now.
    pub now: UnixMs,
    /// Whether that time is trusted.
    pub wall_trusted: bool,
    /// Since when the agent has been running, in milliseconds.
    pub up_ms: u64,
    /// How often it collects, in milliseconds.
    pub interval_ms: u64,
    /// What is wrong with the last reload, empty when nothing is.
    pub reload_error: String,
    /// The ring.
    pub ring: Ring,
    /// What is not inactive.
    pub alerts: Vec<Alert>,
    /// Where samples and notices go.
    pub upstreams: Vec<Upstream>,
    /// What is collected.
    pub targets: Targets,
    /// Where alerts are sent in the peer's own way.
    pub alertmanagers: Vec<String>,
    /// When the configuration in force was loaded.
    pub config_loaded: Option<UnixMs>,
}

/// How the ring stands.
#[derive(Debug, Clone, Default)]
pub struct Ring {
    /// Where it is; empty when everything is in memory because the medium cannot be used.
    pub path: String,
    /// Why it is in memory, or what the medium said last; empty when all is well.
    pub trouble: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// How much of it holds data.
    pub bytes_used: u64,
    /// How many series are live.
    pub series: u64,
    /// The oldest sample's time.
    pub oldest: Option<UnixMs>,
    /// The newest sample's time.
    pub newest: Option<UnixMs>,
    /// How many blocks there are, those in memory included.
    pub blocks: u64,
    /// How many pages were found damaged.
    pub damaged_pages: u64,
    /// How many days the file holds at the present rate.
    pub days: Option<f64>,
}

/// How an upstream stands.
#[derive(Debug, Clone, Default)]
pub struct Upstream {
    /// Its name.
    pub name: String,
    /// `remote_write`, `mqtt` or `webhook`.
    pub kind: &'static str,
    /// How many rows (notices for a receiver) it is behind.
    pub behind: u64,
    /// How many it was sent.
    pub sent: u64,
    /// How many were lost to it: overwritten or refused.
    pub lost: u64,
    /// What it is waiting for, or its last error; empty when all is well.
    pub note: String,
}

/// Answers with the status.
pub fn answer(web: &Web) -> Answer {
    match web.house.status() {
        Some(status) => Answer::new(200, "application/json", print(&status)),
        None => Answer::text(503, "core does not answer, try again\n"),
    }
}

fn print(status: &Status) -> String {
    let mut out = String::from("{");
    let out_ref = &mut out;
    for (name, text) in [
        ("board", status.board.as_str()),
        ("host", &status.host),
        ("kernel", &status.kernel),
        ("version", status.version),
        ("reloadError", &status.reload_error),
    ] {
        json::key(out_ref, name);
        json::string(out_ref, text);
    }
    for (name, number) in [
        ("now", status.now.as_seconds()),
        ("wallTrusted", f64::from(u8::from(status.wall_trusted))),
        ("upSeconds", status.up_ms as f64 / 1_000.0),
        ("intervalSeconds", status.interval_ms as f64 / 1_000.0),
    ] {
        json::key(out_ref, name);
        json::number(out_ref, number);
    }
    json::key(out_ref, "ring");
    print_ring(out_ref, &status.ring);
    json::key(out_ref, "alerts");
    json::list(out_ref, &status.alerts, print_alert);
    json::key(out_ref, "upstreams");
    json::list(out_ref, &status.upstreams, print_upstream);
    out.push('}');
    out
}

fn print_ring(out: &mut String, ring: &Ring) {
    out.push('{');
    for (name, text) in [("path", &ring.path), ("trouble", &ring.trouble)] {
        json::key(out, name);
        json::string(out, text);
    }
    for (name, number) in [
        ("bytes", ring.bytes as f64),
        ("bytesUsed", ring.bytes_used as f64),
        ("series", ring.series as f64),
        ("oldest", ring.oldest.map_or(f64::NAN, UnixMs::as_seconds)),
        ("days", ring.days.unwrap_or(f64::NAN)),
    ] {
        json::key(out, name);
        json::number(out, number);
    }
    out.push('}');
}

fn print_alert(out: &mut String, alert: &Alert) {
    out.push_str("{\"labels\":");
    json::labels(out, &alert.labels);
    out.push_str(",\"annotations\":");
    json::labels(out, &alert.annotations);
    json::key(out, "state");
    json::string(
        out,
        match alert.state {
            AlertState::Pending => "pending",
            AlertState::Firing => "firing",
            AlertState::Resolved => "resolved",
        },
    );
    json::key(out, "activeAt");
    json::number(out, alert.active_at.as_seconds());
    json::key(out, "value");
    json::number(out, alert.value);
    out.push('}');
}

fn print_upstream(out: &mut String, upstream: &Upstream) {
    out.push('{');
    for (name, text) in [("name", upstream.name.as_str()), ("kind", upstream.kind), ("note", &upstream.note)] {
        json::key(out, name);
        json::string(out, text);
    }
    for (name, number) in [("behind", upstream.behind), ("sent", upstream.sent), ("lost", upstream.lost)] {
        json::key(out, name);
        json::number(out, number as f64);
    }
    out.push('}');
}
