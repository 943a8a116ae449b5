//! Remote write into a real Prometheus: what the agent holds is there, sample by sample.

use support::agent::Agent;
use support::peers::Peer;

use crate::held::{LONG, QUICK, assert_none, collections, count, held, missing, until_nothing_is_missing, value};

const ALL: &str = "{__name__=~\".+\"}";

#[test]
fn a_real_prometheus_has_every_sample_that_we_hold() {
    let Some(central) = Peer::prometheus_receiver() else { return };
    let upstream = format!(
        "remote_write: [{{url: 'http://{}/api/v1/write', name: central, queue_config: {{batch_send_deadline: 100ms}}}}]",
        central.address
    );
    let mut agent = Agent::new(&format!("{QUICK}{upstream}\n")).started();
    let until = collections(&mut agent, 5);
    let ours = held(agent.address(), ALL, until);
    let theirs = until_nothing_is_missing("remote write", &ours, || held(central.address, ALL, until));
    assert_none("samples there that we do not hold", &missing(&theirs, &ours));
    assert!(ours.len() > 200 && count(&ours) > 5 * 200, "{} series, {} samples", ours.len(), count(&ours));
    println!("remote write: {} samples of {} series are equal on both sides", count(&ours), ours.len());

    // What the agent says of itself agrees: nothing was refused, and it is not behind for long.
    support::wait::until_true(LONG, "an upstream that has everything", || {
        value(&agent, "narthex_upstream_sent_rows_total").is_some_and(|sent| sent >= count(&ours) as f64)
    });
    for lost in ["refused", "overwritten", "left_out"] {
        assert_eq!(value(&agent, &format!("narthex_upstream_{lost}_rows_total")), Some(0.0), "{lost}");
    }
}
