//! The rules thread: evaluates the groups that are due, over what is stored, and sends the state back to core.
//!
//! It has its own thread so that a rule is judged on time however many heavy queries run, and so that reading flash
//! never holds up core. One job is on its way at a time; core keeps none of the state meanwhile.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, RwLock};

use model::Clock;
use promql::Engine;

use crate::core::RulesJob;
use crate::os::clock::monotonic_ns;

/// The stack of the rules thread, in bytes: as deep as a query may go.
const STACK_BYTES: usize = crate::io::COMPUTE_STACK_BYTES;

/// Takes jobs.
pub struct RulesThread {
    jobs: Sender<Box<RulesJob>>,
}

impl RulesThread {
    /// Starts the thread; `tell` is called with each job when it is done.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        reader: Arc<RwLock<tsdb::Reader>>,
        engine: Engine,
        clock: Arc<dyn Clock + Send + Sync>,
        tell: Box<dyn Fn(Box<RulesJob>) + Send>,
    ) -> std::io::Result<RulesThread> {
        let (jobs, taken): (_, Receiver<Box<RulesJob>>) = channel();
        std::thread::Builder::new().name("rules".to_owned()).stack_size(STACK_BYTES).spawn(move || {
            while let Ok(mut job) = taken.recv() {
                let reader = reader.read().unwrap_or_else(|poisoned| poisoned.into_inner()).clone();
                evaluate_timed(&mut job, &reader, &engine, &*clock, &monotonic_ns);
                tell(job);
            }
        })?;
        Ok(RulesThread { jobs })
    }

    /// Hands over a job.
    pub fn evaluate(&self, job: Box<RulesJob>) {
        // The thread ends only with the process, so the channel is open.
        let _ = self.jobs.send(job);
    }
}

/// Evaluates every group that is due; the simulator calls this too.
pub fn evaluate(job: &mut RulesJob, reader: &tsdb::Reader, engine: &Engine, clock: &dyn Clock) {
    evaluate_timed(job, reader, engine, clock, &|| 0);
}

fn evaluate_timed(
    job: &mut RulesJob,
    reader: &tsdb::Reader,
    engine: &Engine,
    clock: &dyn Clock,
    nanoseconds: &dyn Fn() -> u64,
) {
    let mut now = clock.now();
    now.wall = reader.wall_of(now);
    for group in job.manager.due(now) {
        let evaluation = job.manager.evaluate_until(group, now, reader, engine, &|| false, nanoseconds);
        job.evaluations.push(evaluation);
    }
}
