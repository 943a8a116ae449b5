//! The real peers, started and spoken to; and what our frames look like to them.

use std::sync::Arc;

use forward::{mqtt, remote_write};
use model::{
    Counts, Histogram, Labels, Mono, Now, Outbox, Outcome, ResetHint, RowId, Sample, SelectError, Span, Tail, TailRow,
    UnixMs, Uplink, Value, stale_nan,
};

use super::*;
use crate::receiver::Receiver;
use crate::wait::{self, SOON};

/// A ring of rows that are all there.
struct Rows(Vec<TailRow>);

impl Rows {
    fn push(&mut self, labels: &[(&str, &str)], at: UnixMs, value: Value) {
        let id = RowId { opening: 1, n: self.0.len() as u64 + 1 };
        let labels = Labels::from_pairs(labels.iter().copied());
        self.0.push(TailRow { id, labels, sample: Sample { at, start: None, value } });
    }
}

impl Outbox for Rows {
    fn since(&self, after: RowId, until: Option<RowId>, rows_max: usize, out: &mut Tail) -> Result<(), SelectError> {
        let wanted = |row: &&TailRow| row.id > after && until.is_none_or(|until| row.id <= until);
        out.rows.clear();
        out.rows.extend(self.0.iter().filter(wanted).take(rows_max).cloned());
        (out.until, out.overwritten, out.undated) = (out.rows.last().map_or(after, |row| row.id), 0, false);
        Ok(())
    }

    fn newest(&self) -> RowId {
        self.0.last().map_or(RowId::default(), |row| row.id)
    }
}

fn wall() -> UnixMs {
    let elapsed = std::time::UNIX_EPOCH.elapsed().expect("after 1970");
    UnixMs(i64::try_from(elapsed.as_millis()).expect("this era"))
}

fn now(wall: UnixMs) -> Now {
    Now { mono: Mono(1_000), wall, wall_trusted: true }
}

fn native_histogram() -> Histogram {
    Histogram {
        schema: 0,
        zero_threshold: 0.001,
        sum: 18.4,
        positive_spans: vec![Span { offset: 0, length: 2 }, Span { offset: 1, length: 1 }],
        negative_spans: vec![],
        custom_bounds: vec![],
        counts: Counts::Integer { count: 12, zero: 2, positive: vec![3, 3, 4], negative: vec![] },
        hint: ResetHint::Unknown,
    }
}

/// Posts every frame there is and returns how many there were.
fn send_all(rows: &Rows, address: SocketAddr, path: &str, config: remote_write::Config) -> usize {
    let mut uplink = remote_write::uplink(config, None);
    let mut frames = 0;
    while let Some(frame) = uplink.poll(now(wall()), rows) {
        let answer = http::post(address, path, &remote_write::HEADERS, &frame.body).expect("an answer");
        let outcome = remote_write::classify(answer.status, None, &answer.text(), wall());
        assert_eq!(outcome, Outcome::Delivered);
        uplink.settle(now(wall()), frame.id, outcome);
        frames += 1;
    }
    frames
}

fn config() -> remote_write::Config {
    let external_labels = Labels::from_pairs([("site", "roof"), ("job", "outside")]);
    remote_write::Config { external_labels, linger_ms: 0, frame_rows_max: 7, ..Default::default() }
}

#[test]
fn the_receiver_reads_our_frames() {
    let receiver = Receiver::start();
    let mut rows = Rows(Vec::new());
    for i in 0..30 {
        rows.push(
            &[("__name__", "m"), ("job", "node"), ("i", &(i % 3).to_string())],
            UnixMs(i),
            Value::Float(i as f64),
        );
    }
    rows.push(&[("__name__", "h")], UnixMs(5), Value::Histogram(Arc::new(native_histogram())));
    rows.push(&[("__name__", "gone")], UnixMs(6), Value::Float(stale_nan()));
    assert_eq!(send_all(&rows, receiver.address(), "/write", config()), 5);
    let samples = receiver.samples();
    assert_eq!(samples.len(), 32);
    for i in 0..30 {
        let series = format!("m{{i=\"{}\",job=\"node\",site=\"roof\"}}", i % 3);
        let found = samples.iter().filter(|sample| sample.series() == series && sample.at_ms == i);
        assert_eq!(found.map(|sample| sample.value).collect::<Vec<_>>(), [i as f64]);
    }
    let by_name = |name: &str| samples.iter().find(|sample| sample.label("__name__") == name).expect(name);
    assert!(by_name("h").is_histogram && by_name("gone").is_stale());
    let first = &receiver.requests()[0];
    assert_eq!(first.header("content-encoding"), Some("snappy"));
    assert_eq!(first.header("x-prometheus-remote-write-version"), Some("0.1.0"));
}

#[test]
fn prometheus_takes_our_frames() {
    let Some(prometheus) = Peer::prometheus_receiver() else { return };
    let start = UnixMs(wall().0 - 60_000);
    let mut rows = Rows(Vec::new());
    for i in 0..10 {
        let at = start.plus_ms(i * 5_000);
        rows.push(&[("__name__", "m_total"), ("job", "node")], at, Value::Float(i as f64 * 0.1));
        rows.push(&[("__name__", "gone")], at, Value::Float(if i == 9 { stale_nan() } else { 1.0 }));
    }
    rows.push(&[("__name__", "h")], start, Value::Histogram(Arc::new(native_histogram())));
    assert_eq!(send_all(&rows, prometheus.address, "/api/v1/write", config()), 3);
    let value = |expression: &str, want: &str| {
        let answer = prometheus.query(expression);
        assert!(answer.contains(want), "{expression}: {want} is not in {answer}");
    };
    value("m_total{job=\"node\",site=\"roof\"}", ",\"0.9");
    value("count_over_time(m_total[5m])", ",\"10\"]");
    value("count_over_time(gone[5m])", ",\"9\"]");
    value("gone", "\"result\":[]");
    value("histogram_count(h)", ",\"12\"]");
    value("histogram_sum(h)", ",\"18.4\"]");
    value("histogram_fraction(0, 2, h)", ",\"0.6");
}

#[test]
fn mosquitto_carries_our_messages() {
    let Some(broker) = Peer::mosquitto() else { return };
    let Some(mut subscriber) = Subscriber::start(&broker, "boards/roof") else { return };
    let mut rows = Rows(Vec::new());
    rows.push(&[("__name__", "load"), ("instance", "pi:9090")], UnixMs(7), Value::Float(0.42));
    let mut uplink = mqtt::uplink(mqtt::Config::default(), None);
    let frame = uplink.poll(now(wall()), &rows).expect("a message");
    let text = String::from_utf8(frame.body).expect("JSON");
    publish(broker.address, "boards/roof", &text).expect("installed, as the subscriber is");
    let messages = subscriber.until(SOON, "the message", |m| (!m.is_empty()).then(|| m.to_vec()));
    assert_eq!(messages, [r#"{"instance":"pi:9090","ts":7,"values":{"load":0.42}}"#]);
    assert_eq!(subscriber.messages(), messages);
}

#[test]
fn a_broker_comes_back_where_it_was() {
    let Some(mut broker) = Peer::mosquitto() else { return };
    let address = broker.address;
    broker.process.kill();
    drop(broker);
    wait::until_true(SOON, "nobody to listen", || TcpStream::connect(address).is_err());
    assert!(Peer::mosquitto_at(address).is_some_and(|again| again.address == address));
}

#[test]
fn the_other_peers_start_and_answer() {
    if let Some(node) = Peer::node_exporter(&["--collector.disable-defaults", "--collector.loadavg"]) {
        assert!(node.get("/metrics").text().contains("\nnode_load1 "));
    }
    if let Some(alertmanager) = Peer::alertmanager("route: {receiver: none}\nreceivers: [{name: none}]\n") {
        assert_eq!(alertmanager.get("/api/v2/alerts").text().trim(), "[]");
    }
}
