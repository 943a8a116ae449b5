//! From the configuration to the parts it asks for: collectors, core's setup, upstreams.
//!
//! Everything here takes believed values and makes what the rest of the house runs. The same functions serve the
//! start and a reload, so that the two cannot differ.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use exporters::{COLLECTORS, Settings};
use forward::{BackoffLimits, Selection};
use model::Labels;

use crate::collect::Lanes;
use crate::config::{Auth, Config, Loaded, Mqtt, Outside, RemoteWrite, SecretSource};
use crate::core::{MQTT_CELLS, REMOTE_WRITE_CELLS, Setup};
use crate::house::{BUILD_DATE, Line, SharedReader};
use crate::io::mqtt::{Broker, Publisher};
use crate::io::post::Poster;
use crate::io::tls::TlsClient;
use crate::os::clock::boottime;
use crate::os::paths;
use crate::trouble::Trouble;
use crate::upstream::{Deliver, Make, Parts, Upstream};
use crate::web::Guard;
use crate::web::bcrypt::Hash;

type SharedClock = Arc<dyn model::Clock + Send + Sync>;

/// Loads a configuration file, or the built-in one, from the real world.
pub fn load(file: Option<&Path>, features: promql::Features) -> Loaded {
    let collectors: Vec<&'static str> = COLLECTORS.iter().map(|info| info.name).collect();
    let flags: Vec<&'static str> = COLLECTORS.iter().flat_map(|info| info.flags).map(|flag| flag.name).collect();
    let outside = Outside {
        read: &|path| std::fs::read_to_string(path),
        list: &|folder| {
            std::fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
        },
        env: &|name| std::env::var(name).ok(),
        collectors: &collectors,
        collector_flags: &flags,
        features,
    };
    match file {
        Some(file) => crate::config::load(file, &outside),
        None => crate::config::load_default(&outside),
    }
}

/// Returns what knows who is known: the configuration's users, or those of the peers' web configuration where one is
/// named.
///
/// # Errors
/// When that cannot be read or asks for what is not served, or a secret cannot be read.
pub fn guard(config: &Config, web_config: Option<&Path>) -> Result<Arc<Guard>, String> {
    let named = web_config.map(|path| {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| format!("reading {name}: {error}"))?;
        crate::config::read_web_config(&name, &text).map_err(|errors| errors.to_string())
    });
    let users = named.transpose()?.unwrap_or_else(|| config.web.users.clone());
    let users = users.iter().filter_map(|(name, hash)| Some((name.clone(), Hash::parse(hash.reveal())?)));
    let token = config.web.token.as_ref().map(secret).transpose()?;
    if token.as_ref().is_some_and(String::is_empty) {
        return Err("web.bearer_token is empty".to_owned());
    }
    Ok(Arc::new(Guard::new(users.collect(), token.as_deref())))
}

/// Returns the collectors that the configuration asks for.
///
/// # Errors
/// With every flag value that a collector does not take.
pub fn lanes(config: &Config) -> Result<Lanes, String> {
    let collect = &config.collect;
    let mut settings = Settings::new();
    let mut errors = Vec::new();
    let mut set = |flag: &str, value: Option<&str>| {
        if let Err(error) = settings.set(flag, value) {
            errors.push(error.to_string());
        }
    };
    if !collect.defaults {
        set("collector.disable-defaults", None);
    }
    for name in &collect.enable {
        set(&format!("collector.{name}"), None);
    }
    for name in &collect.disable {
        set(&format!("no-collector.{name}"), None);
    }
    let paths = &collect.paths;
    for (flag, path) in [
        ("path.procfs", &paths.procfs),
        ("path.sysfs", &paths.sysfs),
        ("path.rootfs", &paths.rootfs),
        ("path.udev.data", &paths.udev),
    ] {
        set(flag, Some(&path.to_string_lossy()));
    }
    for (flag, value) in &collect.flags {
        set(flag, Some(value));
    }
    if !errors.is_empty() {
        return Err(errors.join("\n"));
    }
    exporters::lane(&settings).map_err(|errors| errors.to_string())?;
    Ok(Arc::new(move |waiting, hanging| exporters::lane_beside(&settings, waiting, hanging).ok()))
}

/// Returns the date from which on the wall clock is believed without the kernel's word; `None`: never.
///
/// What is configured counts. Otherwise a machine that keeps its time while it is off (a PC, a virtual machine, a
/// board with a battery) is believed from the build date on; a board with a device tree and no hardware clock starts
/// in 1970 or at a time restored from its card, which may be hours old, and waits for the kernel's word.
pub fn clock_floor(config: &Config) -> Option<model::UnixMs> {
    let paths = &config.collect.paths;
    let has_device_tree = paths.procfs.join("device-tree").exists();
    let has_hardware_clock = paths.sysfs.join("class/rtc/rtc0").exists();
    let keeps_time = has_hardware_clock || !has_device_tree;
    config.clock.trusted_after.or(keeps_time.then_some(BUILD_DATE))
}

/// Returns how often this machine is read, in milliseconds.
pub fn interval_ms(config: &Config) -> u64 {
    config.collect.interval_ms.unwrap_or(config.global.scrape_interval_ms)
}

/// Returns what core needs. `port` is the one that is served, for the default instance.
pub fn setup(config: &Config, groups: Vec<rules::Group>, mut notify: Option<notify::Config>, port: u16) -> Setup {
    let host = paths::host_name();
    let external_url = match &config.web.external_url {
        Some(url) => url.to_string(),
        None => format!("http://{host}:{port}"),
    };
    if let Some(notify) = &mut notify {
        notify.external_url.clone_from(&external_url);
    }
    Setup {
        job: config.collect.job.clone(),
        instance: instance(config, port),
        interval_ms: interval_ms(config),
        groups: Arc::new(groups),
        evaluation_interval_ms: config.global.evaluation_interval_ms,
        external_labels: config.global.external_labels.clone(),
        external_url,
        alert_relabel: Arc::new(config.alert_relabel.clone()),
        notify,
    }
}

/// Returns the `instance` label: host name and port unless it is configured.
pub fn instance(config: &Config, port: u16) -> String {
    config.collect.instance.clone().unwrap_or_else(|| format!("{}:{port}", paths::host_name()))
}

/// What every upstream is given.
pub struct Surroundings<'a> {
    /// The store as queries see it.
    pub reader: SharedReader,
    /// The time.
    pub clock: SharedClock,
    /// To core.
    pub line: Line,
    /// Labels for what leaves the house.
    pub external_labels: Labels,
    /// The `instance` label, for names towards brokers.
    pub instance: String,
    /// Returns what was saved of an upstream.
    pub saved: &'a dyn Fn(&str) -> Option<Vec<u8>>,
}

/// Makes the upstreams that the configuration asks for; each stands by until it is told to go.
///
/// # Errors
/// When a secret cannot be read or the system gives no thread.
pub fn upstreams(config: &Config, around: &Surroundings<'_>) -> Result<Vec<Upstream>, String> {
    let mut started = Vec::new();
    for remote in &config.remote_write {
        started.push(start_remote_write(remote, around)?);
    }
    for mqtt in &config.mqtt {
        started.push(start_mqtt(mqtt, around)?);
    }
    Ok(started)
}

fn start_remote_write(remote: &RemoteWrite, around: &Surroundings<'_>) -> Result<Upstream, String> {
    let cell = format!("{REMOTE_WRITE_CELLS}{}", remote.name);
    let config = forward::remote_write::Config {
        external_labels: around.external_labels.clone(),
        relabel: remote.relabel.clone(),
        frame_rows_max: remote.queue.samples_max,
        linger_ms: remote.queue.linger_ms,
        backoff: BackoffLimits { first_ms: remote.queue.backoff_ms_min, ms_max: remote.queue.backoff_ms_max },
        seed: seed(&cell),
        ..forward::remote_write::Config::default()
    };
    let make: Make = Box::new(|saved| Box::new(forward::remote_write::uplink(config, saved)));
    let headers = remote_write_headers(remote)?;
    let tls = Arc::new(TlsClient::new(remote.tls.clone()));
    let poster = Poster::new(remote.url.reveal().to_owned(), headers, Duration::from_millis(remote.timeout_ms), tls);
    let clock = around.clock.clone();
    let mut log = OutcomeLog::new(&remote.name);
    let deliver = move |frame: &model::Frame| {
        let judge = |status, retry_after: Option<&str>, said: &str| {
            forward::remote_write::classify(status, retry_after, said, clock.now().wall)
        };
        log.tell(poster.post(&frame.body, judge))
    };
    start(&remote.name, "remote_write", cell, make, Box::new(deliver), around)
}

fn start_mqtt(mqtt: &Mqtt, around: &Surroundings<'_>) -> Result<Upstream, String> {
    let cell = format!("{MQTT_CELLS}{}", mqtt.name);
    let selectors: Vec<_> = mqtt.select.iter().map(|selector| selector.matchers.clone()).collect();
    let select = if selectors.is_empty() { Selection::all() } else { Selection::any_of(selectors) };
    let config = forward::mqtt::Config { select, seed: seed(&cell), ..forward::mqtt::Config::default() };
    let make: Make = Box::new(|saved| Box::new(forward::mqtt::uplink(config, saved)));
    let password = mqtt.password.as_ref().map(secret).transpose()?;
    let mut publisher = Publisher::new(Broker {
        host: mqtt.broker.host.clone(),
        port: mqtt.broker.port,
        client_id: mqtt.client_id.clone().unwrap_or_else(|| format!("narthex-{}", around.instance)),
        credentials: mqtt.username.clone().map(|user| (user, password.unwrap_or_default())),
        topic: mqtt.topic.clone(),
        keep_alive: Duration::from_millis(mqtt.keep_alive_ms),
    });
    let mut log = OutcomeLog::new(&mqtt.name);
    let deliver = move |frame: &model::Frame| log.tell(publisher.publish(&frame.body));
    start(&mqtt.name, "mqtt", cell, make, Box::new(deliver), around)
}

fn start(
    name: &str,
    kind: &'static str,
    cell: String,
    make: Make,
    deliver: Deliver,
    around: &Surroundings<'_>,
) -> Result<Upstream, String> {
    let (line, store) = (around.line.clone(), around.line.store());
    let parts = Parts {
        saved: (around.saved)(&cell),
        store,
        cell,
        reader: around.reader.clone(),
        clock: around.clock.clone(),
        save: Box::new(move |cell, bytes| line.keep(store, cell, bytes)),
        deliver,
    };
    Upstream::start(name, kind, make, parts).map_err(|error| format!("upstream {name}: starting a thread: {error}"))
}

/// Logs what is worth knowing of an upstream's outcomes: a trouble when it begins and when it ends.
struct OutcomeLog {
    name: String,
    trouble: Trouble,
}

impl OutcomeLog {
    fn new(name: &str) -> OutcomeLog {
        OutcomeLog { name: name.to_owned(), trouble: Trouble::default() }
    }

    fn tell(&mut self, outcome: model::Outcome) -> model::Outcome {
        let name = &self.name;
        match &outcome {
            model::Outcome::Delivered if self.trouble.heals() => log::info!("upstream {name}: works again"),
            model::Outcome::Delivered => {}
            model::Outcome::Retry { reason, .. } => self.trouble.fails(boottime(), reason, || {
                log::warn!("upstream {name}: {reason}, it is tried again");
            }),
            model::Outcome::Refused { reason } => self.trouble.fails(boottime(), reason, || {
                log::error!("upstream {name}: samples refused for good: {reason}");
            }),
        }
        outcome
    }
}

fn remote_write_headers(remote: &RemoteWrite) -> Result<Vec<(String, String)>, String> {
    let mut headers: Vec<(String, String)> = forward::remote_write::HEADERS
        .iter()
        .filter(|(name, _)| !name.eq_ignore_ascii_case("user-agent"))
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    headers.extend(remote.headers.iter().map(|(name, value)| (name.clone(), value.reveal().to_owned())));
    if let Some(value) =
        authorization(&remote.auth).map_err(|error| format!("remote_write {}: {error}", remote.name))?
    {
        headers.push(("Authorization".to_owned(), value));
    }
    Ok(headers)
}

/// Returns the `Authorization` header, if there is to be one.
///
/// # Errors
/// When a secret cannot be read.
pub(crate) fn authorization(auth: &Auth) -> Result<Option<String>, String> {
    Ok(match auth {
        Auth::None => None,
        Auth::Basic { username, password } => {
            let pair = format!("{username}:{}", secret(password)?);
            Some(format!("Basic {}", BASE64_STANDARD.encode(pair)))
        }
        Auth::Header { scheme, credentials } => Some(format!("{scheme} {}", secret(credentials)?)),
    })
}

/// Returns a secret.
///
/// # Errors
/// When its file cannot be read.
pub(crate) fn secret(source: &SecretSource) -> Result<String, String> {
    match source {
        SecretSource::Text(secret) => Ok(secret.reveal().to_owned()),
        SecretSource::File(path) => match std::fs::read_to_string(path) {
            Ok(text) => Ok(text.trim().to_owned()),
            Err(error) => Err(format!("reading secret {}: {error}", path.display())),
        },
    }
}

/// Different on every board and for every upstream, the same across restarts: spreads retries of a fleet.
fn seed(cell: &str) -> u64 {
    let id = std::fs::read("/etc/machine-id").unwrap_or_else(|_: io::Error| paths::host_name().into_bytes());
    paths::fnv1a(&[id.as_slice(), cell.as_bytes()].concat())
}
