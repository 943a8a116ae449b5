//! Questions to a data file without an agent: the same API as over HTTP, answered here.
//!
//! There is no house behind it: no rules, no targets, nothing that writes. The file is locked while it is asked.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, RwLock};

use exporters::Selection;
use model::{Batch, Labels, UnixMs};
use promql::Engine;

use crate::cli::Failure;
use crate::cli::tsdb::{Offline, open_to_read};
use crate::core::pushes;
use crate::exemplars::Exemplars;
use crate::os::clock::SystemClock;
use crate::web::counts::Counts;
use crate::web::{House, MetricsReply, Request, SelectedReply, Settings, Status, Web, push};

/// A data file that can be asked.
pub struct File {
    web: Web,
    // Holds the lock.
    file: Offline,
}

impl File {
    /// Opens the data file in a folder.
    ///
    /// # Errors
    /// When there is none, or an agent has it.
    pub fn open(folder: PathBuf, features: Settings) -> Result<File, Failure> {
        let file = open_to_read(folder)?;
        let web = Web {
            house: Box::new(Nobody),
            reader: Arc::new(RwLock::new(file.reader())),
            engine: Engine { delayed_name_removal: features.delayed_name_removal, ..Engine::default() },
            clock: Arc::new(SystemClock { trusted_after: None }),
            settings: features,
            guard: RwLock::new(Arc::new(crate::web::Guard::new(Vec::new(), None))),
            external_labels: RwLock::new(Labels::empty()),
            push: push::Options::default(),
            exemplars: Arc::new(Mutex::new(Exemplars::new(0))),
            queries: Counts::default(),
            config: RwLock::new(String::new()),
        };
        Ok(File { web, file })
    }

    /// Returns the time of the newest sample, which is what now is in a file.
    pub fn newest(&self) -> Option<UnixMs> {
        self.file.reader().stats().newest
    }

    /// Answers a request as an agent would.
    pub fn ask(&self, path: &str, form: &str) -> (u16, String) {
        let answer = self.web.answer(&Request::new("GET", &format!("{path}?{form}")));
        (answer.status, String::from_utf8_lossy(&answer.body).into_owned())
    }
}

/// The rest of the house, when there is none.
struct Nobody;

const NOBODY: &str = "no agent runs";

impl House for Nobody {
    fn fresh_metrics(&self, _: bool, reply: MetricsReply) {
        reply(Arc::default(), None);
    }

    fn selected_metrics(&self, _: Selection, reply: SelectedReply) {
        reply(Err(NOBODY.to_owned()));
    }

    fn status(&self) -> Option<Status> {
        None
    }

    fn rules(&self) -> Option<Vec<rules::GroupView>> {
        None
    }

    fn is_ready(&self) -> bool {
        false
    }

    fn push(&self, _: pushes::Ask) -> Option<pushes::Told> {
        None
    }

    fn write(&self, _: Vec<Batch>) -> Option<Vec<tsdb::Refused>> {
        None
    }

    fn reload(&self) -> Result<(), String> {
        Err(NOBODY.to_owned())
    }
}
