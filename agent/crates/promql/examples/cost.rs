//! What queries cost, on data like a board's: 530 series, most of them still, one sample in 5 s.
//!
//! ```text
//! cost [--time [TEXT]]    CPU milliseconds of each query (that contains the text) over six hours
//! cost --count [TEXT]     runs each once over less data, for a tool that counts instructions in `measured`
//! cost --list             names the queries, in the order in which they run
//! ```
//!
//! Data are in memory and lent as they are, so that nothing but the engine is measured. `tests/checks/promql_cost`
//! compares instruction counts with `cost.baseline`. It deliberately measures no parsing and no printing.

use std::hint::black_box;
use std::rc::Rc;
use std::time::{Duration, Instant};

use model::seams::Visitor;
use model::{Labels, Matcher, Querier, SelectError, SeriesSamples, TimeRange, UnixMs};
use promql::{Answer, Engine, Expr, Features, RangeArgs};

/// The queries: what dashboards ask most, and what touches everything. The step is in seconds.
const QUERIES: [(&str, i64); 26] = [
    ("sum({__name__=~\"node_.*\"})", 60),
    ("count by (__name__) ({__name__=~\"node_.*\"})", 60),
    ("{__name__=~\"node_network_.*\"}", 60),
    ("avg without (device) (node_network_receive_bytes_total)", 60),
    ("rate(node_cpu_seconds_total[1m])", 15),
    ("rate(node_cpu_seconds_total[5m])", 60),
    ("sum by (mode) (rate(node_cpu_seconds_total[5m]))", 15),
    ("sum by (device) (rate(node_network_receive_bytes_total[5m]))", 60),
    ("irate(node_network_receive_bytes_total[5m])", 60),
    ("increase(node_network_receive_bytes_total[1h])", 60),
    ("avg_over_time(node_load1[5m])", 60),
    ("max_over_time(node_load1[1h])", 60),
    ("sum_over_time(node_network_receive_bytes_total[10m])", 60),
    ("quantile_over_time(0.95, node_load1[5m])", 60),
    ("stddev_over_time(node_network_receive_bytes_total[5m])", 60),
    ("deriv(node_load1[5m])", 60),
    ("topk(5, rate(node_network_receive_bytes_total[1m]))", 60),
    ("quantile by (mode) (0.9, node_cpu_seconds_total)", 60),
    ("100 * (1 - node_memory_free_bytes / node_memory_total_bytes)", 60),
    ("node_network_receive_bytes_total * on (device) group_left (duplex) node_network_info", 60),
    ("node_gauge_1_bytes > 5 and on (device) node_network_info", 60),
    ("histogram_quantile(0.9, sum by (le) (rate(node_latency_bucket[5m])))", 60),
    ("label_replace(node_network_receive_bytes_total, \"port\", \"$1\", \"device\", \"eth(.*)\")", 60),
    ("max_over_time(rate(node_network_receive_bytes_total[1m])[10m:1m])", 60),
    ("count_values(\"v\", round(node_load1))", 60),
    ("absent(node_missing) or clamp_min(node_load1, 1) == bool 1", 60),
];

/// From sample to sample.
const INTERVAL_MS: i64 = 5_000;

/// How many rows of values the series have that hardly move.
const STILL_ROWS: i64 = 5;

/// How much data is looked at while instructions are counted.
const COUNTED_MS: i64 = 40 * 60_000;

/// How much data is looked at while time is measured.
const TIMED_MS: i64 = 6 * 3_600_000;

/// How long a query is repeated while time is measured.
const REPEATED: Duration = Duration::from_millis(400);

fn main() {
    let option = std::env::args().nth(1).unwrap_or_default();
    if option == "--list" {
        QUERIES.iter().for_each(|(query, step)| println!("{step}\t{query}"));
        return;
    }
    let only = std::env::args().nth(2).unwrap_or_default();
    let is_counted = option == "--count";
    let board = Board::new(if is_counted { COUNTED_MS } else { TIMED_MS });
    let end = UnixMs(board.at.last().map_or(0, |at| at.0));
    for (query, step) in QUERIES.into_iter().filter(|(query, _)| query.contains(&only)) {
        let expr = promql::parse_with(query, Features::ALL).expect("a good query");
        // The first minutes are what ranges look back to.
        let range = RangeArgs { start: UnixMs(if is_counted { 600_000 } else { 0 }), end, step_ms: step * 1000 };
        if is_counted {
            measured(&board, &expr, range);
            continue;
        }
        let (begun, before, mut runs) = (Instant::now(), cpu_seconds(), 0);
        let mut series = 0;
        while begun.elapsed() < REPEATED {
            series = size(&measured(&board, &expr, range));
            runs += 1;
        }
        let each = (cpu_seconds() - before) * 1000.0 / f64::from(runs);
        println!("{each:>9.3} ms {series:>5} series  step {step:>3} s  {query}");
    }
}

/// What is measured; a name of its own, so that a tool finds it.
#[inline(never)]
fn measured(board: &Board, expr: &Expr, range: RangeArgs) -> Answer {
    let answer = Engine::default().range(board, black_box(expr), range, &|| false);
    black_box(answer.expect("an answer"))
}

/// Returns how long this thread has run on a processor, whoever else wanted it.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("a kernel with schedstat");
    let nanoseconds: f64 = text.split(' ').next().and_then(|ns| ns.parse().ok()).expect("a number");
    nanoseconds / 1e9
}

fn size(answer: &Answer) -> usize {
    match &answer.value {
        promql::QueryValue::Matrix(all) => all.len(),
        _ => 0,
    }
}

/// The data: all series share their times, as those of one source do.
struct Board {
    at: Vec<UnixMs>,
    series: Vec<(Labels, Rc<[f64]>)>,
}

impl Board {
    fn new(length_ms: i64) -> Board {
        let at: Vec<UnixMs> = (0..=length_ms / INTERVAL_MS).map(|i| UnixMs(i * INTERVAL_MS)).collect();
        let mut board = Board { at, series: Vec::new() };
        let modes = ["idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user"];
        for (cpu, mode) in ["0", "1", "2", "3"].iter().flat_map(|cpu| modes.map(|mode| (*cpu, mode))) {
            let speed = if mode == "idle" { 4.5 } else { 0.07 };
            board.add(&[("__name__", "node_cpu_seconds_total"), ("cpu", cpu), ("mode", mode)], |i| i as f64 * speed);
        }
        for device in 0..12 {
            let device = format!("eth{device}");
            board.add(&[("__name__", "node_network_receive_bytes_total"), ("device", &device)], |i| {
                (i * 1500 + i % 7 * 64) as f64
            });
            board.add(&[("__name__", "node_network_info"), ("device", &device), ("duplex", "full")], |_| 1.0);
        }
        for le in ["0.01", "0.05", "0.1", "0.5", "1", "5", "+Inf"] {
            let share = le.parse::<f64>().map_or(1.0, |le: f64| le.min(2.0) / 2.0);
            board.add(&[("__name__", "node_latency_bucket"), ("le", le)], |i| (i as f64 * 3.0 * share).floor());
        }
        board.add(&[("__name__", "node_load1")], |i| ((i % 97) as f64) / 50.0);
        board.add(&[("__name__", "node_memory_total_bytes")], |_| 1024e6);
        board.add(&[("__name__", "node_memory_free_bytes")], |i| 512e6 + ((i * 4096) % 65536) as f64);
        // What hardly moves: three quarters of what a board shows. A store unpacks a series into memory that is in the
        // processor's caches; rows in common come near that.
        let still: Vec<Rc<[f64]>> = (0..STILL_ROWS).map(|n| board.row(|i| (n + i / 500) as f64)).collect();
        for n in 0..530 - board.series.len() {
            let (name, device) = (format!("node_gauge_{}_bytes", n % 50), format!("eth{}", n / 50));
            board.push(&[("__name__", &name), ("device", &device)], still[n % still.len()].clone());
        }
        board.series.sort_by(|a, b| a.0.cmp(&b.0));
        board
    }

    fn row(&self, value: impl Fn(i64) -> f64) -> Rc<[f64]> {
        (0..self.at.len() as i64).map(value).collect()
    }

    fn add(&mut self, pairs: &[(&str, &str)], value: impl Fn(i64) -> f64) {
        let row = self.row(value);
        self.push(pairs, row);
    }

    fn push(&mut self, pairs: &[(&str, &str)], row: Rc<[f64]>) {
        let more = [("instance", "localhost:9090"), ("job", "node")];
        self.series.push((Labels::from_pairs(pairs.iter().copied().chain(more)), row));
    }
}

impl Querier for Board {
    fn select(&self, matchers: &[Matcher], range: TimeRange, visit: &mut Visitor<'_>) -> Result<(), SelectError> {
        let from = self.at.partition_point(|at| *at < range.start);
        let to = self.at.partition_point(|at| *at <= range.end).max(from);
        for (labels, floats) in &self.series {
            if !matchers.iter().all(|matcher| matcher.matches_labels(labels)) {
                continue;
            }
            let (at, floats) = (&self.at[from..to], &floats[from..to]);
            if !visit(labels, SeriesSamples { at, floats, histograms: &[], starts: &[] }) {
                return Err(SelectError::Stopped);
            }
        }
        Ok(())
    }

    fn series(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        visit: &mut dyn FnMut(&Labels) -> bool,
    ) -> Result<(), SelectError> {
        self.select(matchers, range, &mut |labels, _| visit(labels))
    }
}
