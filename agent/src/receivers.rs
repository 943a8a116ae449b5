//! Sends notices: one small thread for each receiver that has something to say, so that a receiver that hangs holds
//! up no other, and no notice ever waits behind samples.
//!
//! A thread is started when a receiver gets its first notice and stays. How many there may be is bounded by
//! `notify::limits`: a configuration with more receivers is refused when it is read.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use model::Outcome;
use notify::{Notice, NoticeId};

use crate::config::Tls;
use crate::io::post::Poster;
use crate::io::tls::TlsClient;
use crate::os::clock::boottime;
use crate::trouble::Trouble;
use crate::upstream::thread_name;

/// The stack of a receiver's thread, in bytes.
const STACK_BYTES: usize = 256 << 10;
/// How long one notice may take at most; a receiver may be given less.
const TIMEOUT: Duration = Duration::from_secs(10);

type Tell = Arc<dyn Fn(NoticeId, Outcome) + Send + Sync>;

/// The threads that send notices.
pub struct Receivers {
    tell: Tell,
    threads: BTreeMap<String, Sender<Notice>>,
}

impl Receivers {
    /// Returns no threads yet; `tell` is called with what became of each notice.
    pub fn new(tell: Tell) -> Receivers {
        Receivers { tell, threads: BTreeMap::new() }
    }

    /// Sends a notice on its receiver's thread.
    pub fn send(&mut self, notice: Notice) {
        let receiver = format!("{}/{}", notice.receiver, notice.integration);
        if !self.threads.contains_key(&receiver) {
            match self.start(&receiver) {
                Ok(thread) => drop(self.threads.insert(receiver.clone(), thread)),
                Err(error) => {
                    let reason = format!("starting a thread: {error}");
                    (self.tell)(notice.id, Outcome::Retry { reason, after_ms: None });
                    return;
                }
            }
        }
        if let Some(thread) = self.threads.get(&receiver) {
            // The thread ends only when its sender is dropped.
            let _ = thread.send(notice);
        }
    }

    fn start(&self, receiver: &str) -> std::io::Result<Sender<Notice>> {
        let (sender, notices): (_, Receiver<Notice>) = channel();
        let tell = self.tell.clone();
        let run = move || {
            let mut trouble = Trouble::default();
            while let Ok(notice) = notices.recv() {
                let outcome = post(&notice);
                match &outcome {
                    Outcome::Delivered if trouble.heals() => log::info!("receiver {}: works again", notice.receiver),
                    Outcome::Delivered => log::debug!("receiver {}: notice delivered", notice.receiver),
                    Outcome::Retry { reason, .. } => trouble.fails(boottime(), reason, || {
                        log::warn!("receiver {}: {reason}, it is tried again", notice.receiver);
                    }),
                    Outcome::Refused { reason } => {
                        log::error!("receiver {}: refused the notice: {reason}", notice.receiver)
                    }
                }
                tell(notice.id, outcome);
            }
        };
        std::thread::Builder::new().name(thread_name("to", receiver)).stack_size(STACK_BYTES).spawn(run)?;
        Ok(sender)
    }
}

/// A webhook takes a notice with 2xx; 4xx other than 408 and 429 will never take it, everything else may later.
fn post(notice: &Notice) -> Outcome {
    let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    let timeout = match notice.timeout_ms {
        0 => TIMEOUT,
        ms => TIMEOUT.min(Duration::from_millis(ms)),
    };
    // Nothing is read for it where the receiver is no https.
    let tls = Arc::new(TlsClient::new(Tls::default()));
    Poster::new(notice.url.clone(), headers, timeout, tls).post(&notice.body, |status, _, said| {
        let said: String = said.lines().next().unwrap_or("").chars().filter(|c| !c.is_control()).take(160).collect();
        let reason = format!("the receiver answered {status}: {said}");
        match status {
            200..=299 => Outcome::Delivered,
            408 | 429 => Outcome::Retry { reason, after_ms: None },
            400..=499 => Outcome::Refused { reason },
            _ => Outcome::Retry { reason, after_ms: None },
        }
    })
}
