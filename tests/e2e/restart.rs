//! Kill -9 between two frames: the receiver lacks nothing, the frame in doubt comes again byte for byte, and the
//! agent itself has lost no sample, though no sync ever made one certain.
//!
//! The receiver takes part in two ways: it hangs and never had the frame, or it has the frame and its answer is
//! lost. The agent cannot tell the two apart; the repetition is what makes both harmless.

use support::agent::Agent;
use support::receiver::{Mood, Receiver, Request};

use crate::held::{LONG, QUICK, Samples, assert_none, collections, count, held, missing};
use crate::held::{newest, received, until_nothing_is_missing};

const ALL: &str = "{__name__=~\".+\"}";

fn agent_of(receiver: &Receiver) -> Agent {
    let upstream = format!(
        "remote_write: [{{url: '{}', remote_timeout: 5m, queue_config: {{batch_send_deadline: 10ms, min_backoff: 30ms, \
         max_backoff: 100ms}}}}]",
        receiver.url("/write")
    );
    Agent::new(&format!("{QUICK}{upstream}\n")).started()
}

fn hold(agent: &Agent) -> Samples {
    held(agent.address(), ALL, newest(agent).expect("it has collected"))
}

/// Kills the agent while a frame is in doubt, starts it again, and returns that frame and the next request.
fn kill_in_doubt(receiver: &Receiver, agent: &mut Agent, taken: bool) -> (Request, Request) {
    let before = receiver.count();
    receiver.next(usize::from(taken), &Mood::TakeAndDrop);
    receiver.set(Mood::Hang);
    receiver.until(LONG, "a frame without an answer", |requests| {
        requests[before..].iter().find(|request| !request.taken).map(|_| ())
    });
    // It goes on collecting meanwhile.
    collections(agent, 1);
    agent.kill();
    let requests = receiver.requests();
    let [.., earlier, doubtful] = &requests[..] else { panic!("{} requests", requests.len()) };
    assert!(!taken || (earlier.taken && earlier.body == doubtful.body), "what was taken is sent again as it was");
    receiver.set(Mood::status(200));
    agent.start();
    let next = receiver.until(LONG, "a frame after the start", |now| now.get(requests.len()).cloned());
    (doubtful.clone(), next)
}

#[test]
fn a_kill_between_two_frames_loses_nothing_and_repeats_the_frame_in_doubt() {
    let receiver = Receiver::start();
    let mut agent = agent_of(&receiver);
    collections(&mut agent, 2);
    for taken in [false, true, false] {
        let (doubtful, next) = kill_in_doubt(&receiver, &mut agent, taken);
        let (was, is) = (doubtful.samples().len(), next.samples().len());
        assert!(doubtful.body == next.body, "taken {taken}: {was} samples in doubt, then {is} in other bytes");
    }
    let last = collections(&mut agent, 2);
    let ours = held(agent.address(), ALL, last);
    until_nothing_is_missing("the receiver", &ours, || received(&receiver.samples()));
    println!("three kills: the receiver has all {} samples of {} series", count(&ours), ours.len());
}

#[test]
fn a_kill_of_the_agent_loses_no_sample() {
    let mut agent = Agent::new(QUICK).started();
    let mut total = 0;
    for _ in 0..3 {
        collections(&mut agent, 2);
        let before = hold(&agent);
        agent.kill();
        agent.start();
        let until = before.values().flat_map(|points| points.keys()).max().expect("samples");
        let after = held(agent.address(), ALL, *until);
        assert_none("lost", &missing(&before, &after));
        assert_none("made up", &missing(&after, &before));
        assert!(count(&before) > total, "nothing new in {} samples", count(&before));
        total = count(&before);
    }
    println!("three kills: all {total} samples are there, none of them was ever synced");
}
