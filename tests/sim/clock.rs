//! Clocks: a board starts in 1970 and learns the date later, and again.
//!
//! `for` counts elapsed time, so an alert fires once and on time whatever the wall does; rows wait for their date and
//! are sent once with the right one. The mutation feeds elapsed time that is derived from the wall.

use model::AlertState;

use crate::world::{BUILD, HOUR, MINUTE, Plan, SECOND, TODAY, World};

const RULES: &str = "
groups:
  - name: board
    rules:
      - record: sim:temp:max
        expr: max(sim_temp)
      - alert: Hot
        expr: sim_temp > 80
        for: 5m
        annotations: { summary: 'hot at {{ $value }}' }
";

const NOTIFY: &str = "
receivers: [{ name: hook, webhook_configs: [{ url: 'http://127.0.0.1:9/' }] }]
route: { receiver: hook, group_wait: 10s, group_interval: 1m, repeat_interval: 12h }
";

fn plan(seed: u64) -> Plan {
    Plan { seed, rules: RULES, notify: NOTIFY, ..Plan::default() }
}

/// It gets hot at two minutes after a start in 1970; the clock is set while the alert is pending, and stepped while it
/// fires. Says what is wrong with what the receiver was told, and with what was stored.
fn fires_once(plan: Plan, trust_after_ms: u64, step_ms: i64) -> Result<(), String> {
    let seed = plan.seed;
    let mut world = World::new(plan);
    world.run(2 * MINUTE + seed % 15 * SECOND);
    world.temperature = 90.0;
    let hot_at = world.time;
    world.run(trust_after_ms);
    expect(world.core.alerts().iter().any(|alert| alert.state == AlertState::Pending), "it is not pending")?;
    world.set_clock();
    world.run(8 * MINUTE);
    expect(world.core.alerts().iter().any(|alert| alert.state == AlertState::Firing), "it does not fire")?;
    world.step_clock(TODAY + step_ms);
    world.run(HOUR);
    let firing = world.receiver.times("firing");
    expect(firing.len() == 1, &format!("{} firing notices at {firing:?}", firing.len()))?;
    // From the first collection that shows it: for, the place within the interval, group_wait.
    let after = firing[0] - hot_at;
    let (low, high) = (5 * MINUTE, 5 * MINUTE + 3 * 15 * SECOND + 10 * SECOND);
    expect((low..=high).contains(&after), &format!("told {} s after it got hot", after / SECOND))?;
    expect(world.receiver.times("resolved").is_empty(), "it was resolved")?;
    // A clock that is set back was wrong, and nothing was sent: all of today gets the date it should have had.
    alert_is_dated(&world, hot_at, TODAY + step_ms.min(0))?;
    world.temperature = 20.0;
    world.run(5 * MINUTE);
    expect(world.receiver.times("resolved").len() == 1, "it was not resolved once")?;
    expect(world.receiver.times("firing").len() == 1, "it fired again")?;
    expect(world.core.alerts().is_empty(), "an alert stays")
}

/// What is stored of the alert has its dates, pending before firing, and it has been active since it got hot.
fn alert_is_dated(world: &World, hot_at: u64, today: i64) -> Result<(), String> {
    let pending = world.series("ALERTS", &[("alertstate", "pending")]);
    let firing = world.series("ALERTS", &[("alertstate", "firing")]);
    expect(!pending.is_empty() && !firing.is_empty(), "ALERTS is missing")?;
    let within = |at: i64, from: i64| (from..=from + MINUTE as i64).contains(&at);
    expect(within(pending[0].0, today + hot_at as i64), "pending rows are not dated")?;
    expect(pending[pending.len() - 1].0 < firing[0].0, "pending after firing")?;
    let [alert] = world.core.alerts() else { return Err("not one alert".to_owned()) };
    // Times that are values keep the date that was believed then.
    expect(within(alert.active_at.0, BUILD + hot_at as i64), &format!("active since {}", alert.active_at))?;
    let fired_at = alert.fired_at.map_or(0, |at| at.0);
    expect((TODAY..TODAY + HOUR as i64).contains(&fired_at), &format!("fired at {fired_at}"))?;
    expect(world.core.alerts()[0].labels.get("alertname") == Some("Hot"), "it has another name")
}

fn expect(is_so: bool, otherwise: &str) -> Result<(), String> {
    if is_so { Ok(()) } else { Err(otherwise.to_owned()) }
}

#[test]
fn an_alert_fires_once_across_a_jump_from_1970_to_today() {
    for seed in 1..=15 {
        for step_ms in [0, 500, 90 * SECOND as i64, 3 * HOUR as i64, -3 * HOUR as i64] {
            let fault = fires_once(plan(seed), seed * 17 * SECOND, step_ms);
            fault.unwrap_or_else(|fault| panic!("seed {seed}, step of {step_ms} ms: {fault}"));
        }
    }
}

#[test]
fn elapsed_time_by_the_wall_would_be_noticed() {
    for seed in 1..=15 {
        let wrong = Plan { mono_from_wall: true, ..plan(seed) };
        let fault = fires_once(wrong, seed * 17 * SECOND, 3 * HOUR as i64);
        assert!(fault.is_err(), "seed {seed}: nothing was noticed");
    }
}

#[test]
fn the_present_state_is_told_when_the_receiver_is_back() {
    let mut world = World::new(plan(3));
    (world.receiver.is_up, world.temperature) = (false, 90.0);
    world.set_clock();
    world.run(3 * HOUR);
    assert!(world.receiver.missed > 10 && world.receiver.notices.is_empty());
    world.receiver.is_up = true;
    world.run(2 * MINUTE);
    assert_eq!((world.receiver.times("firing").len(), world.receiver.times("resolved").len()), (1, 0));
}

/// A clock that is an hour ahead is set back during an outage: what the upstream was handed keeps its dates, here as
/// there, and what waited gets the date it should have had.
#[test]
fn what_was_sent_keeps_its_date_and_what_waited_gets_the_right_one() {
    for seed in 1..=5 {
        let mut world = World::new(Plan { seed, has_upstream: true, ..Plan::default() });
        world.step_clock(TODAY + HOUR as i64);
        world.run(10 * MINUTE);
        world.net.is_up = false;
        world.run(10 * MINUTE);
        world.set_clock();
        world.run(10 * MINUTE);
        world.net.is_up = true;
        world.run(10 * MINUTE);
        let (mut ahead, mut right) = (0, 0);
        for (at, seq) in world.stored() {
            let times = world.net.seqs.get(&seq).cloned().unwrap_or_default();
            assert!(times.is_empty() || times == [at], "seed {seed}: stored at {at}, received at {times:?}");
            let is_ahead = at - TODAY >= HOUR as i64;
            let delay = world.time as i64 - (at - TODAY) + if is_ahead { HOUR as i64 } else { 0 };
            assert!((0..=40 * MINUTE as i64).contains(&delay), "seed {seed}: {at}");
            (ahead, right) = if is_ahead { (ahead + 1, right) } else { (ahead, right + 1) };
            // What came ten minutes before the step was sent, but for the frame that the outage held.
            assert!(is_ahead || delay <= 31 * MINUTE as i64, "seed {seed}: {at} has another date than was sent");
        }
        assert!(ahead > 20 && right > 100, "seed {seed}: {ahead} ahead, {right} right");
        let known = world.core.store.stats().sent_ahead;
        assert!(known > ahead, "seed {seed}: {known} rows known to have been sent ahead of time");
    }
}

#[test]
fn undated_rows_wait_and_go_once_with_their_true_date() {
    let mut world = World::new(Plan { seed: 5, has_upstream: true, ..Plan::default() });
    world.run(2 * HOUR);
    let uplink = world.net.uplink.as_ref().expect("there is one");
    assert_eq!(uplink.stats().waiting.as_str(), "waiting for the clock");
    assert_eq!((world.net.frames, uplink.stats().sent_rows), (0, 0));
    assert!(
        world.stored().iter().all(|(at, _)| (BUILD + 1..=BUILD + 1 + 2 * HOUR as i64).contains(at)),
        "provisional dates"
    );
    world.set_clock();
    world.run(10 * MINUTE);
    let uplink = world.net.uplink.as_ref().expect("there is one");
    assert_eq!(uplink.stats().overwritten_rows + uplink.stats().left_out_rows, 0);
    assert!(world.net.received.values().all(|frames| *frames == 1), "a row went twice");
    let settled = world.collected.iter().filter(|collected| collected.at + MINUTE < world.time);
    for collected in settled {
        let wanted = vec![TODAY + collected.at as i64];
        assert_eq!(world.net.seqs.get(&collected.seq), Some(&wanted), "collection {}", collected.seq);
    }
    assert!(world.net.seqs.len() > 500);
}

/// Restarts are no news: who was told that it fires is not told again, and not that it is over.
#[test]
fn an_alert_that_fires_outlives_kills_and_power_cuts() {
    for seed in 1..=12 {
        let mut world = World::new(plan(seed));
        world.set_clock();
        world.run(2 * MINUTE);
        world.temperature = 90.0;
        world.run(3 * MINUTE);
        // Killed while it is pending: how long it has been so is kept.
        world.kill(seed * SECOND);
        world.run(4 * MINUTE);
        assert_eq!(world.receiver.times("firing").len(), 1, "seed {seed}: {:?}", world.receiver.times("firing"));
        for _ in 0..3 {
            let away_ms = world.between(SECOND, 3 * MINUTE);
            world.kill(away_ms);
            world.run(7 * MINUTE);
            let away_ms = world.between(SECOND, 2 * HOUR);
            world.cut(away_ms);
            world.run(7 * MINUTE);
            world.set_clock();
            world.run(7 * MINUTE);
        }
        let told = (world.receiver.times("firing").len(), world.receiver.times("resolved").len());
        assert_eq!(told, (1, 0), "seed {seed}: {:?}", world.receiver.notices);
        world.temperature = 20.0;
        world.run(10 * MINUTE);
        assert_eq!(world.receiver.times("resolved").len(), 1, "seed {seed}");
    }
}
