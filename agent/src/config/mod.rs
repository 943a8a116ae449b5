//! The configuration: `prometheus.yml`'s keys where they exist, ours where they do not, believed once it is read.
//!
//! Two steps. *Raw*: a file becomes typed values that remember where they stood; unknown keys and wrong types are
//! noted. *Believed*: ranges, references and contradictions are checked, defaults filled in. All errors of all files
//! (the configuration, rule files, the notification file) come out at once; a [`Config`] exists only when there are
//! none. Every key with its default and the reason is in `configs/narthex.yml`, and a test holds file and code
//! together. What [`Outside`] offers is all that is read here: tests need no disk.
//!
//! Not here: what the keys mean to the parts that use them, and the command line's flags, which win over the file.

mod load;
mod outside;

mod clock;
mod collect;
mod discovery;
mod global;
mod gpio;
mod http;
mod http_client;
mod mqtt;
mod peer_sections;
mod remote_write;
mod rule_files;
mod scrape;
mod shown;
mod storage;
mod tls;
mod web;

mod raw;

#[cfg(test)]
mod tests;

pub use clock::ClockFloor;
pub use collect::{Collect, Paths};
pub use discovery::{Discovery, DnsSd, FileSd, HttpSd, MdnsSd, Record};
pub use global::Global;
pub use gpio::GpioLine;
pub use http::{Auth, HttpUrl, SecretSource};
pub use http_client::{HttpClient, Proxy};
pub use load::{Loaded, load, load_default, load_text};
pub use mqtt::{Broker, Mqtt, Selector};
pub use outside::Outside;
pub use remote_write::{Queue, RemoteWrite};
pub use rule_files::RuleFile;
pub(crate) use rule_files::matches;
pub use scrape::{Scrape, ScrapeDefaults};
pub use storage::{Storage, Tail};
pub use tls::Tls;
pub use web::{ListenAddress, Query, Web, read_web_config};

/// What bounds a configuration; each is an error that names it. A file's own bounds are `yaml::limits`.
pub mod limits {
    /// The most remote-write upstreams.
    pub const REMOTE_WRITES_MAX: usize = 8;

    /// The most MQTT upstreams.
    pub const MQTT_MAX: usize = 8;

    /// The most GPIO lines.
    pub const GPIO_LINES_MAX: usize = 64;

    /// The most rule files, after patterns are expanded.
    pub const RULE_FILES_MAX: usize = 64;

    /// The most scrape jobs.
    pub const JOBS_MAX: usize = 256;

    /// The most entries of one kind of discovery of one job.
    pub const DISCOVERIES_MAX: usize = 64;

    /// The most URL parameters of one job.
    pub const PARAMS_MAX: usize = 64;

    /// The most selectors of one upstream.
    pub const SELECTORS_MAX: usize = 64;

    /// The most users of the web.
    pub const USERS_MAX: usize = 64;

    /// The most headers of one upstream.
    pub const HEADERS_MAX: usize = 32;

    /// The shortest interval at which anything is collected or evaluated, in milliseconds.
    pub const INTERVAL_MS_MIN: u64 = 100;

    /// The longest interval, in milliseconds.
    pub const INTERVAL_MS_MAX: u64 = 24 * 3_600_000;
}

/// What the agent is told, rules and receivers aside, which [`Loaded`] carries. Only valid values; secrets print as
/// `<secret>`. The default is what an empty file means, and what `configs/narthex.yml` says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Config {
    /// Intervals and labels for everything.
    pub global: Global,
    /// The ring and its medium.
    pub storage: Storage,
    /// What is read from this board.
    pub collect: Collect,
    /// The lines that are watched.
    pub gpio: Vec<GpioLine>,
    /// Whom else to read.
    pub scrape: Vec<Scrape>,
    /// What becomes of an alert before receivers are told.
    pub alert_relabel: Vec<relabel::Rule>,
    /// Where samples are sent by remote write.
    pub remote_write: Vec<RemoteWrite>,
    /// Where samples are sent by MQTT.
    pub mqtt: Vec<Mqtt>,
    /// The one port.
    pub web: Web,
    /// What a query may cost.
    pub query: Query,
    /// When the wall clock is believed.
    pub clock: ClockFloor,
}
