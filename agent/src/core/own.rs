//! What the agent says of itself: `narthex_*`, beside every collection.
//!
//! The same rows go to `/metrics` and into the ring, so a central Prometheus sees how its boards do, and a rule on
//! the board can judge its own upstreams. Counters start at 0 with the process unless the name says otherwise.

use model::{Batch, MetricKind, Now, UnixMs};
use notify::{Notifier, ReceiverCounts};
use rules::Counts;
use tsdb::Stats;

use crate::cli::VERSION;
use crate::exemplars;
use crate::scraping::{self, Counted};
use crate::web::counts;
use crate::web::status::Upstream as Shown;

use MetricKind::{Counter, Gauge};

/// How one upstream stands.
#[derive(Debug, Clone)]
pub struct UpstreamState {
    /// Its name.
    pub name: String,
    /// `remote_write` or `mqtt`.
    pub kind: &'static str,
    /// Its counters.
    pub stats: forward::Stats,
}

impl UpstreamState {
    /// Returns the cell its state is saved in.
    pub fn cell(&self) -> String {
        format!("{}/{}", self.kind, self.name)
    }

    /// Returns what the page shows.
    pub fn shown(&self) -> Shown {
        let stats = &self.stats;
        let note = match (stats.waiting, &stats.last_error) {
            (forward::Waiting::Backoff | forward::Waiting::Reading, Some(error)) => error.clone(),
            (forward::Waiting::Clock, _) => stats.waiting.as_str().to_owned(),
            _ => String::new(),
        };
        Shown {
            name: self.name.clone(),
            kind: self.kind,
            behind: stats.behind_rows,
            sent: stats.sent_rows,
            lost: stats.refused_rows + stats.overwritten_rows + stats.left_out_rows,
            note,
        }
    }
}

/// Returns what the page shows of the receivers.
pub fn receivers_shown(counts: Vec<ReceiverCounts>) -> impl Iterator<Item = Shown> {
    counts.into_iter().map(|counts| Shown {
        name: counts.receiver,
        kind: "webhook",
        behind: counts.pending,
        sent: counts.sent,
        lost: counts.refused,
        note: counts.last_error,
    })
}

/// What only core knows of itself.
pub struct Own {
    /// How the upstreams stand; the loop keeps it fresh.
    pub upstreams: Vec<UpstreamState>,
    /// What is counted of scrapes; `None` while nobody is scraped. The loop keeps it fresh.
    pub scrapes: Option<Counted>,
    /// What is counted of queries. The loop keeps it fresh.
    pub queries: counts::Told,
    /// What is counted of exemplars. The loop keeps it fresh.
    pub exemplars: exemplars::Counts,
    reload_good: bool,
    reload_at: UnixMs,
}

impl Own {
    /// Returns the state at start: the configuration in force was just read.
    pub fn new(now: Now) -> Own {
        Own {
            upstreams: Vec::new(),
            scrapes: None,
            queries: counts::Told::default(),
            exemplars: exemplars::Counts::default(),
            reload_good: true,
            reload_at: now.wall,
        }
    }

    /// Notes how a reload went.
    pub fn reloaded(&mut self, at: UnixMs, is_good: bool) {
        self.reload_good = is_good;
        if is_good {
            self.reload_at = at;
        }
    }

    /// Adds what is counted of pushes; nothing while nobody ever pushed.
    pub fn add_pushes(&self, out: &mut Batch, groups: usize, counts: push::Counts) {
        if groups == 0 && counts == push::Counts::default() {
            return;
        }
        one(out, "narthex_push_groups", "Groups of pushed metrics.", Gauge, groups as f64);
        one(out, "narthex_pushes_total", "Pushes taken.", Counter, counts.pushes as f64);
        out.family("narthex_pushes_refused_total", "Pushes refused, by reason.", Counter);
        out.add(&[("reason", "inconsistent")], counts.inconsistent as f64);
        out.add(&[("reason", "full")], counts.full as f64);
    }

    /// Adds our own rows to a collection.
    pub fn add_to(&self, out: &mut Batch, now: Now, store: &Stats, rules: &Counts, notifier: Option<&Notifier>) {
        self.add_process(out, now);
        add_store(out, store);
        add_rules(out, rules);
        if let Some(notifier) = notifier {
            add_receivers(out, notifier);
        }
        self.add_upstreams(out);
        if let Some(counted) = &self.scrapes {
            scraping::add_counted(counted, out);
        }
        self.queries.add_to(out);
        self.exemplars.add_to(out);
    }

    fn add_process(&self, out: &mut Batch, now: Now) {
        out.family("narthex_build_info", "The agent's version; the value is always 1.", Gauge);
        out.add(&[("version", VERSION), ("arch", std::env::consts::ARCH)], 1.0);
        one(out, "narthex_clock_trusted", "Whether the wall clock is believed.", Gauge, flag(now.wall_trusted));
        let good = "Whether the last attempt to read the configuration succeeded.";
        one(out, "narthex_config_last_reload_successful", good, Gauge, flag(self.reload_good));
        let at = "When the configuration in force was read, as Unix time.";
        one(out, "narthex_config_last_reload_success_timestamp_seconds", at, Gauge, self.reload_at.as_seconds());
    }

    fn add_upstreams(&self, out: &mut Batch) {
        type Value = fn(&forward::Stats) -> u64;
        let families: [(&str, &str, MetricKind, Value); 8] = [
            ("narthex_upstream_behind_rows", "Rows stored and not acknowledged by the upstream.", Gauge, |s| {
                s.behind_rows
            }),
            ("narthex_upstream_sent_rows_total", "Rows the upstream has acknowledged.", Counter, |s| s.sent_rows),
            ("narthex_upstream_sent_bytes_total", "Bytes of the bodies it has acknowledged.", Counter, |s| {
                s.sent_bytes
            }),
            ("narthex_upstream_retries_total", "How often a frame had to be sent again.", Counter, |s| s.retries),
            ("narthex_upstream_refused_rows_total", "Rows the upstream would not take.", Counter, |s| s.refused_rows),
            (
                "narthex_upstream_overwritten_rows_total",
                "Rows the ring overwrote before they were sent.",
                Counter,
                |s| s.overwritten_rows,
            ),
            ("narthex_upstream_left_out_rows_total", "Rows this kind of upstream cannot carry.", Counter, |s| {
                s.left_out_rows
            }),
            ("narthex_upstream_waiting_for_clock", "Whether the upstream waits for a trusted clock.", Gauge, |s| {
                u64::from(s.waiting == forward::Waiting::Clock)
            }),
        ];
        for (name, help, kind, value) in families {
            for upstream in &self.upstreams {
                out.family(name, help, kind);
                out.add(&[("upstream", &upstream.name), ("kind", upstream.kind)], value(&upstream.stats) as f64);
            }
        }
    }
}

fn add_store(out: &mut Batch, stats: &Stats) {
    let rows: [(&str, &str, MetricKind, u64); 16] = [
        (
            "narthex_storage_on_medium",
            "Whether samples are kept on the medium, not only in memory.",
            Gauge,
            u64::from(stats.on_disk),
        ),
        ("narthex_storage_series", "Series that have samples in the ring or the open block.", Gauge, stats.series),
        ("narthex_storage_file_bytes", "Size of the data file.", Gauge, stats.file_bytes),
        ("narthex_storage_used_bytes", "Bytes of the data file that hold data.", Gauge, stats.used_bytes),
        ("narthex_storage_head_bytes", "Memory of the open block.", Gauge, stats.head_bytes),
        ("narthex_storage_blocks", "Sealed blocks in the ring.", Gauge, stats.blocks),
        ("narthex_storage_appended_samples_total", "Samples appended.", Counter, stats.appended),
        ("narthex_storage_syncs_total", "Syncs of the data file.", Counter, stats.syncs),
        ("narthex_storage_faults_total", "Writes and syncs that failed.", Counter, stats.faults),
        ("narthex_storage_damaged_pages_total", "Pages found damaged.", Counter, stats.damaged_pages),
        (
            "narthex_storage_overwritten_samples_total",
            "Samples that gave way to newer ones.",
            Counter,
            stats.overwritten,
        ),
        (
            "narthex_storage_sent_ahead_samples_total",
            "Samples that were sent with a date later than it was, as the clock's step back showed.",
            Counter,
            stats.sent_ahead,
        ),
        ("narthex_storage_expired_samples_total", "Samples that were older than is kept.", Counter, stats.expired),
        (
            "narthex_storage_dropped_samples_total",
            "Samples given up for lack of memory while the medium failed.",
            Counter,
            stats.dropped,
        ),
        (
            "narthex_storage_tail_full_total",
            "How often the unsynced tail did not fit its file.",
            Counter,
            stats.tail_full,
        ),
        (
            "narthex_storage_bytes_per_day",
            "What a day takes of the data file at the present rate.",
            Gauge,
            stats.bytes_per_day.unwrap_or(0),
        ),
    ];
    for (name, help, kind, value) in rows {
        one(out, name, help, kind, value as f64);
    }
    let oldest = stats.oldest.map_or(f64::NAN, UnixMs::as_seconds);
    one(out, "narthex_storage_oldest_timestamp_seconds", "Time of the oldest sample, as Unix time.", Gauge, oldest);
    let written = [("journal", stats.journal_bytes), ("block", stats.block_bytes)];
    out.family("narthex_storage_written_bytes_total", "Bytes written to the data file, by part.", Counter);
    for (part, bytes) in written {
        out.add(&[("part", part)], bytes as f64);
    }
    out.family("narthex_storage_refused_samples_total", "Samples not stored, by reason.", Counter);
    for (reason, count) in stats.refused.by_reason() {
        out.add(&[("reason", reason)], count as f64);
    }
    let what = "Samples not stored because there is no room for their series, by source.";
    out.family("narthex_storage_refused_new_series_samples_total", what, Counter);
    let mut sources: Vec<(&str, u64)> = Vec::new();
    for (source, count) in stats.refused_series.iter().filter(|(_, count)| *count > 0) {
        let name = super::source_name(*source);
        match sources.iter_mut().find(|(known, _)| *known == name) {
            Some((_, all)) => *all += count,
            None => sources.push((name, *count)),
        }
    }
    for (source, count) in sources {
        out.add(&[("source", source)], count as f64);
    }
}

fn add_rules(out: &mut Batch, counts: &Counts) {
    let rows: [(&str, &str, MetricKind, u64); 5] = [
        ("narthex_rule_evaluations_total", "Rules evaluated.", Counter, counts.evaluations),
        ("narthex_rule_evaluation_failures_total", "Rules whose evaluation failed.", Counter, counts.failures),
        (
            "narthex_rule_group_missed_evaluations_total",
            "Evaluations of groups that came too late and were left out.",
            Counter,
            counts.missed,
        ),
        ("narthex_alerts_pending", "Alerts whose condition has not held for long enough yet.", Gauge, counts.pending),
        ("narthex_alerts_firing", "Alerts that fire.", Gauge, counts.firing),
    ];
    for (name, help, kind, value) in rows {
        one(out, name, help, kind, value as f64);
    }
}

fn add_receivers(out: &mut Batch, notifier: &Notifier) {
    type Value = fn(&ReceiverCounts) -> u64;
    let families: [(&str, &str, MetricKind, Value); 4] = [
        ("narthex_notifications_total", "Notices that the receiver has taken.", Counter, |c| c.sent),
        ("narthex_notifications_failed_total", "Attempts to send a notice that failed.", Counter, |c| c.failed),
        ("narthex_notifications_refused_total", "Notices that the receiver would not take.", Counter, |c| c.refused),
        ("narthex_notifications_pending", "Notices due and not taken yet.", Gauge, |c| c.pending),
    ];
    let counts = notifier.counts();
    for (name, help, kind, value) in families {
        for counts in &counts {
            out.family(name, help, kind);
            out.add(&[("receiver", &counts.receiver)], value(counts) as f64);
        }
    }
    let totals = notifier.totals();
    let dropped = "Alerts left out of notices because of a limit.";
    one(out, "narthex_notify_alerts", "Alerts that are remembered for receivers.", Gauge, totals.alerts as f64);
    one(out, "narthex_notify_groups", "Groups of alerts.", Gauge, totals.groups as f64);
    one(out, "narthex_notify_alerts_dropped_total", dropped, Counter, totals.alerts_dropped as f64);
}

fn one(out: &mut Batch, name: &str, help: &str, kind: MetricKind, value: f64) {
    out.family(name, help, kind);
    out.add(&[], value);
}

fn flag(is_set: bool) -> f64 {
    f64::from(u8::from(is_set))
}
