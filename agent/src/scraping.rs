//! Between the configuration, the thread that scrapes, and those who look at it: how jobs are reached, what is counted,
//! what the API shows.
//!
//! Secrets that lie in files are read anew for each request, so that a token that is renewed is used; they are in
//! memory for as long as that request.

use std::sync::Arc;

use model::{Batch, MetricKind};
use targets::{Bounds, Counts, Reason, TargetStatus};

use crate::believed;
use crate::config::{Config, HttpClient};
use crate::io::scrape::{Headers, Manner, Proxy, Reach, Shown};
use crate::io::tls::TlsClient;
use crate::os::clock::monotonic_ns;
use crate::web::targets::{Dropped, Target, Targets};

/// Sources of targets count from here: above every rule group.
pub const SOURCE_FIRST: u32 = 1_000_000;

/// What is counted: of scrapes, and of lists of targets that could not be read.
#[derive(Debug, Clone, Default)]
pub struct Counted {
    /// Of scrapes.
    pub scrapes: Counts,
    /// Of lists.
    pub lists: ListFailures,
}

/// How many lists of targets could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ListFailures {
    /// Files.
    pub file: u64,
    /// Other programs' answers.
    pub http: u64,
    /// Name servers' answers.
    pub dns: u64,
    /// Questions to neighbours that could not be sent.
    pub mdns: u64,
}

/// Returns what holds for all targets together: the series that the store takes, and what feature flags switch on.
pub fn bounds(config: &Config, features: &[String]) -> Bounds {
    let is_on = |name: &str| features.iter().any(|feature| feature == name);
    Bounds {
        source_first: SOURCE_FIRST,
        rows_max: config.storage.series_max,
        seed: monotonic_ns(),
        type_and_unit: is_on("type-and-unit-labels"),
        starts: is_on("created-timestamp-zero-ingestion"),
    }
}

/// Returns the jobs of a configuration with all that is needed to reach their targets.
pub fn reaches(config: &Config) -> Vec<Reach> {
    let reach = |scrape: &crate::config::Scrape| Reach {
        manner: manner(&scrape.client),
        list_manners: scrape.discovery.https.iter().map(|list| manner(&list.client)).collect(),
        scrape: scrape.clone(),
    };
    config.scrape.iter().map(reach).collect()
}

fn manner(client: &HttpClient) -> Manner {
    Manner {
        headers: headers(client),
        proxy: client.proxy.as_ref().map(|proxy| Proxy::new(proxy.url.reveal(), &proxy.except)),
        tls: Arc::new(TlsClient::new(client.tls.clone())),
        follow_redirects: client.follow_redirects,
    }
}

fn headers(client: &HttpClient) -> Headers {
    let client = client.clone();
    Arc::new(move || {
        let mut headers = Vec::new();
        for (name, value) in &client.headers {
            headers.push((name.clone(), believed::secret(value)?));
        }
        if let Some(value) = believed::authorization(&client.auth)? {
            headers.push(("Authorization".to_owned(), value));
        }
        match headers.iter().any(|(_, value)| value.contains(['\r', '\n'])) {
            true => Err("a header's value has several lines".to_owned()),
            false => Ok(headers),
        }
    })
}

/// Adds what is scraped to what the API shows of this board.
pub fn add_shown(shown: Shown, out: &mut Targets) {
    let Shown { targets, dropped, dropped_by_job } = shown;
    out.active.extend(targets.into_iter().map(target_shown));
    out.dropped.extend(dropped.into_iter().map(|(pool, discovered)| Dropped { discovered, pool }));
    out.pools.extend(dropped_by_job);
}

fn target_shown(status: TargetStatus) -> Target {
    Target {
        discovered: status.discovered,
        labels: status.labels,
        pool: status.pool,
        global_url: status.url.clone(),
        url: status.url,
        last_error: status.last.error,
        last_scrape: status.last.at,
        last_seconds: status.last.seconds,
        health: status.last.health,
        interval_ms: status.interval_ms,
        timeout_ms: status.timeout_ms,
    }
}

/// Adds what is counted to the agent's own metrics.
pub fn add_counted(counted: &Counted, out: &mut Batch) {
    use MetricKind::{Counter, Gauge};
    let scrapes = &counted.scrapes;
    let rows: [(&str, &str, MetricKind, u64); 8] = [
        ("narthex_scrape_targets", "Targets that are scraped.", Gauge, scrapes.targets),
        ("narthex_scrape_targets_up", "Targets whose last scrape went well.", Gauge, scrapes.up),
        ("narthex_scrape_targets_dropped", "Targets that relabelling dropped.", Gauge, scrapes.dropped_targets),
        (
            "narthex_scrape_targets_left_out_total",
            "Targets left out because there are too many.",
            Counter,
            scrapes.targets_left_out,
        ),
        ("narthex_scrape_series", "Series that targets had when they were scraped last.", Gauge, scrapes.series),
        ("narthex_scrapes_total", "Scrapes that ended, well or not.", Counter, scrapes.scrapes),
        (
            "narthex_scrapes_missed_total",
            "Scrapes left out because the one before was on its way.",
            Counter,
            scrapes.missed,
        ),
        (
            "narthex_scrape_samples_too_large_total",
            "Samples left out because their labels cannot be held.",
            Counter,
            scrapes.samples_too_large,
        ),
    ];
    for (name, help, kind, value) in rows {
        out.family(name, help, kind);
        out.add(&[], value as f64);
    }
    out.family("narthex_scrapes_failed_total", "Scrapes that failed, by reason.", Counter);
    for ((_, reason), count) in Reason::ALL.iter().zip(scrapes.failed) {
        out.add(&[("reason", reason)], count as f64);
    }
    out.family("narthex_target_lists_failed_total", "Lists of targets that could not be read, by kind.", Counter);
    let lists = &counted.lists;
    for (kind, count) in [("file", lists.file), ("http", lists.http), ("dns", lists.dns), ("mdns", lists.mdns)] {
        out.add(&[("kind", kind)], count as f64);
    }
}
