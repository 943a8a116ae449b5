//! Runs a set of collectors, one after the other, into one batch.
//!
//! After them come `node_exporter_build_info`, with our version, and `node_scrape_collector_duration_seconds` and
//! `node_scrape_collector_success`, as with the peer:
//! a collector that had nothing to tell (`Absent`) or one bad piece counts as 0. Nothing is taken back: what was
//! read before an error stays. A lane has no thread and no clock of its own; whoever runs it on a thread can see
//! from another how far it is ([`Progress`]), give it up where a collector does not come back, and go on with a lane
//! without that one, which is reported as failed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use model::{Batch, MetricKind};

use crate::collector::Collector;
use crate::error::CollectError;
use crate::host::Host;

/// What stands for the peer's build: our version, and its words for the machine. Nothing here was built by Go.
const BUILD: [(&str, &str); 7] = [
    ("branch", ""),
    ("goarch", GOARCH),
    ("goos", "linux"),
    ("goversion", ""),
    ("revision", ""),
    ("tags", "unknown"),
    ("version", env!("CARGO_PKG_VERSION")),
];

/// The machine in the peer's words.
const GOARCH: &str = if cfg!(target_arch = "x86_64") {
    "amd64"
} else if cfg!(target_arch = "aarch64") {
    "arm64"
} else if cfg!(target_arch = "x86") {
    "386"
} else {
    std::env::consts::ARCH
};

/// One collector that did not deliver everything.
#[derive(Debug)]
pub struct Failure {
    /// Its name.
    pub collector: &'static str,
    /// Why; [`CollectError::is_absent`] is for the debug log, all else for the eyes of the owner.
    pub error: CollectError,
}

/// Some collectors, the machine they read, and the batch they fill.
pub struct Lane {
    host: Host,
    runs: Vec<Run>,
    batch: Batch,
    failures: Vec<Failure>,
    /// Collectors that hang elsewhere and count as failed.
    hanging: Vec<&'static str>,
    progress: Progress,
}

/// How far a lane is, to be looked at from another thread.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    /// The number of collectors begun, times [`RUNS_MAX`], and the place of the one that runs plus one; 0: none runs.
    word: Arc<AtomicU64>,
    names: Arc<[&'static str]>,
}

/// More collectors than a lane can have.
const RUNS_MAX: u64 = 256;

/// The steps of a collector that runs: equal as long as it is the same run of the same collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Its name.
    pub collector: &'static str,
    word: u64,
}

impl Progress {
    /// Returns which collector runs just now; `None`: the lane rests.
    pub fn step(&self) -> Option<Step> {
        let word = self.word.load(Ordering::Relaxed);
        let place = usize::try_from((word % RUNS_MAX).checked_sub(1)?).ok()?;
        Some(Step { collector: self.names.get(place)?, word })
    }

    fn begins(&self, place: usize) {
        let begun = self.word.load(Ordering::Relaxed) / RUNS_MAX + 1;
        self.word.store(begun * RUNS_MAX + place as u64 + 1, Ordering::Relaxed);
    }

    fn rests(&self) {
        self.word.store(self.word.load(Ordering::Relaxed) / RUNS_MAX * RUNS_MAX, Ordering::Relaxed);
    }
}

struct Run {
    collector: Box<dyn Collector>,
    /// How long it took this time; `None`: it did not run.
    seconds: Option<f64>,
    is_success: bool,
}

impl Lane {
    /// Returns a lane of these collectors, run in this order.
    pub fn new(host: Host, collectors: Vec<Box<dyn Collector>>) -> Lane {
        assert!((collectors.len() as u64) < RUNS_MAX, "a lane of so many collectors");
        let names = collectors.iter().map(|collector| collector.name()).collect();
        let run = |collector| Run { collector, seconds: None, is_success: false };
        Lane {
            host,
            runs: collectors.into_iter().map(run).collect(),
            batch: Batch::new(),
            failures: Vec::new(),
            hanging: Vec::new(),
            progress: Progress { word: Arc::default(), names },
        }
    }

    /// Returns it with collectors that hang elsewhere, to be reported as failed.
    #[must_use]
    pub fn without(self, hanging: Vec<&'static str>) -> Lane {
        Lane { hanging, ..self }
    }

    /// Counts on from a lane that it takes the place of, so that no step of it is taken for one of the other's.
    pub fn follow(&mut self, other: &Lane) {
        self.progress.word.store(other.progress.word.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// Returns the names of its collectors, as `collect[]=` spells them, those that hang elsewhere too.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.runs.iter().map(|run| run.collector.name()).chain(self.hanging.iter().copied())
    }

    /// Returns what tells another thread how far it is.
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// Runs every collector. `clock` reads monotonic nanoseconds.
    pub fn collect(&mut self, clock: &mut dyn FnMut() -> u64) -> &Batch {
        self.collect_some(&|_| true, clock)
    }

    /// Runs the collectors whose name is wanted: `collect[]=` and `exclude[]=`.
    pub fn collect_some(&mut self, wanted: &dyn Fn(&str) -> bool, clock: &mut dyn FnMut() -> u64) -> &Batch {
        self.batch.clear();
        self.failures.clear();
        self.host.links.borrow_mut().forget();
        self.host.shared.borrow_mut().forget();
        for (place, run) in self.runs.iter_mut().enumerate() {
            let name = run.collector.name();
            run.seconds = None;
            if !wanted(name) {
                continue;
            }
            self.progress.begins(place);
            let start = clock();
            let result = run.collector.collect(&self.host, &mut self.batch);
            run.seconds = Some(clock().saturating_sub(start) as f64 / 1e9);
            run.is_success = result.as_ref().err().is_none_or(CollectError::is_success);
            self.failures.extend(result.err().map(|error| Failure { collector: name, error }));
        }
        self.progress.rests();
        let hangs =
            |name: &&'static str| wanted(name).then_some(Failure { collector: name, error: CollectError::Hangs });
        self.failures.extend(self.hanging.iter().filter_map(hangs));
        self.report(wanted);
        &self.batch
    }

    /// Returns the batch collected last.
    pub fn batch(&self) -> &Batch {
        &self.batch
    }

    /// Changes the batch to be filled, or that was filled last, for another, so that no row is copied.
    pub fn swap_batch(&mut self, other: &mut Batch) {
        std::mem::swap(&mut self.batch, other);
    }

    /// Returns who did not deliver everything last time, for the log.
    pub fn failures(&self) -> &[Failure] {
        &self.failures
    }

    fn report(&mut self, wanted: &dyn Fn(&str) -> bool) {
        let help = "A metric with a constant '1' value labeled by version, revision, branch, goversion from which \
                    node_exporter was built, and the goos and goarch for the build.";
        self.batch.family("node_exporter_build_info", help, MetricKind::Gauge);
        self.batch.add(&BUILD, 1.0);
        let (duration, success) = (
            ("node_scrape_collector_duration_seconds", "node_exporter: Duration of a collector scrape."),
            ("node_scrape_collector_success", "node_exporter: Whether a collector succeeded."),
        );
        self.batch.family(duration.0, duration.1, MetricKind::Gauge);
        for run in &self.runs {
            if let Some(seconds) = run.seconds {
                self.batch.add(&[("collector", run.collector.name())], seconds);
            }
        }
        self.batch.family(success.0, success.1, MetricKind::Gauge);
        for run in self.runs.iter().filter(|run| run.seconds.is_some()) {
            self.batch.add(&[("collector", run.collector.name())], f64::from(u8::from(run.is_success)));
        }
        for name in self.hanging.iter().filter(|name| wanted(name)) {
            self.batch.add(&[("collector", name)], 0.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Half;

    impl Collector for Half {
        fn name(&self) -> &'static str {
            "half"
        }

        fn collect(&mut self, _: &Host, out: &mut Batch) -> Result<(), CollectError> {
            out.family("good", "The good half.", MetricKind::Gauge);
            out.add(&[], 1.0);
            Err(CollectError::absent("the other half"))
        }
    }

    fn check(wanted: &dyn Fn(&str) -> bool, expected: &str) {
        let mut lane = Lane::new(Host::default(), vec![Box::new(Half)]);
        let mut ns = 0;
        let batch = lane.collect_some(wanted, &mut || {
            ns += 250_000_000;
            ns
        });
        let mut text = String::new();
        exposition::write_text(batch, &mut text);
        text.retain(|c| c != '\r');
        let is_row = |line: &&str| !line.starts_with('#') && !line.starts_with("node_exporter_build_info{");
        let rows: Vec<&str> = text.lines().filter(is_row).collect();
        assert_eq!(text.matches("node_exporter_build_info{branch=\"\",goarch=").count(), 1);
        assert_eq!(rows.join("\n"), expected);
    }

    #[test]
    fn what_was_read_before_an_error_stays_and_the_collector_counts_as_failed() {
        check(
            &|_| true,
            "good 1\nnode_scrape_collector_duration_seconds{collector=\"half\"} 0.25\n\
             node_scrape_collector_success{collector=\"half\"} 0",
        );
        check(&|name| name != "half", "");
    }

    /// Looks at the lane's progress from inside.
    struct Looks(Progress, Vec<Step>);

    impl Collector for Looks {
        fn name(&self) -> &'static str {
            "looks"
        }

        fn collect(&mut self, _: &Host, _: &mut Batch) -> Result<(), CollectError> {
            self.1.push(self.0.step().expect("it runs"));
            assert_eq!(self.1.last().map(|step| step.collector), Some("looks"));
            assert_eq!(self.1.iter().filter(|step| **step == self.1[0]).count(), 1, "each run is another step");
            Err(CollectError::absent("anything"))
        }
    }

    #[test]
    fn another_thread_sees_who_runs_and_who_hangs_is_reported() {
        let mut lane = Lane::new(Host::default(), vec![Box::new(Half), Box::new(Half)]).without(vec!["lost"]);
        let progress = lane.progress();
        assert_eq!(progress.step(), None);
        lane.runs[1].collector =
            Box::new(Looks(Progress { names: Arc::new(["half", "looks"]), ..progress.clone() }, Vec::new()));
        for _ in 0..2 {
            let mut text = String::new();
            exposition::write_text(lane.collect(&mut || 0), &mut text);
            assert!(text.contains("node_scrape_collector_success{collector=\"lost\"} 0\n"), "{text}");
            assert_eq!(progress.step(), None);
            assert_eq!(lane.failures().last().map(|failure| failure.collector), Some("lost"));
        }
        let text = lane.collect_some(&|name| name == "half", &mut || 0).rows().len();
        assert_eq!(text, 4, "who is not asked for is not reported");
        assert_eq!(lane.names().collect::<Vec<_>>(), ["half", "looks", "lost"]);
        let mut other = Lane::new(Host::default(), vec![Box::new(Half)]);
        other.follow(&lane);
        other.progress.begins(0);
        assert_ne!(other.progress.step().map(|step| step.word), Some(RUNS_MAX + 1), "it was another lane's step");
    }
}
