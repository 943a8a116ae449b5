//! `narthex [run]`: starts the house.
//!
//! The order matters: the configuration is read whole, the port is opened and the data file locked before any
//! thread starts, so that whatever cannot work is said at once, with the flag that helps, and nothing is half
//! running.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use log::LevelFilter;
use model::Clock;
use promql::{Engine, Limits};

use super::args::{Arguments, Next, unknown};
use super::web_flags::{self, WebFlags};
use super::{Failure, VERSION, help};
use crate::believed::{self, Surroundings};
use crate::collect::{Around, Collect, Collection};
use crate::config::{Config, ListenAddress, Loaded};
use crate::core::{Core, Event};
use crate::disk::DiskThread;
use crate::exemplars::Exemplars;
use crate::house::{Line, Message, Reload, Running, StartUpstreams, WebHouse, days_guessed, days_held, days_in_words};
use crate::io::scrape::{News, Scrapes};
use crate::io::{self, signals::Signal};
use crate::logging::{self, Format};
use crate::medium::{self, Medium, retry::Retry};
use crate::os::clock::{SystemClock, boottime};
use crate::os::service::Service;
use crate::receivers::Receivers;
use crate::rules_thread::RulesThread;
use crate::upstream;
use crate::web::counts::Counts;
use crate::web::{Settings, Web, push};
use crate::{about, gpio, scraping};

const FLAGS: [&str; 9] = [
    "config.file",
    "storage.path",
    "web.listen-address",
    "web.config.file",
    "web.enable-admin-api",
    "push.enable-utf8-names",
    "log.level",
    "log.format",
    "help",
];

/// The most series a query may hold, for the reason of the most samples.
const QUERY_SERIES_MAX: u64 = 100_000;

/// How long a start waits for the first collection, to say how many days the data file will hold.
const FIRST_COLLECTION_PATIENCE: Duration = Duration::from_secs(1);

/// How many samples a collection is taken to have until one has come: a small board's.
const ROWS_GUESS: usize = 700;

/// What the command line says.
#[derive(Debug, Default)]
struct Flags {
    config_file: Option<PathBuf>,
    storage_path: Option<PathBuf>,
    listen_address: Option<ListenAddress>,
    web_config: Option<PathBuf>,
    push: push::Options,
    web: WebFlags,
    log_level: Option<LevelFilter>,
    log_format: Format,
    help: bool,
}

/// Runs the command.
///
/// # Errors
/// Wrong usage, or a fault that keeps the agent from running.
pub fn main(arguments: Arguments) -> Result<(), Failure> {
    let flags = read_flags(arguments)?;
    if flags.help {
        return help::print(help::RUN);
    }
    logging::start(flags.log_format, flags.log_level.unwrap_or(LevelFilter::Info));
    flags.web.say();
    let (mut config, loaded) = believed_config(believed::load(flags.config_file.as_deref(), flags.web.features()))?;
    flags.web.win_over(&mut config);
    start(flags, config, loaded)
}

fn read_flags(mut arguments: Arguments) -> Result<Flags, Failure> {
    let mut flags = Flags::default();
    while let Some(next) = arguments.next()? {
        let flag = match next {
            Next::Flag(flag) => flag,
            Next::Operand(word) => return Err(Failure::Usage(format!("run takes flags only, not '{word}'"))),
        };
        match flag.as_str() {
            "help" | "h" => flags.help = true,
            "config.file" => flags.config_file = Some(arguments.value()?.into()),
            "storage.path" => flags.storage_path = Some(arguments.value()?.into()),
            "web.listen-address" => {
                let text = arguments.value()?;
                let wrong =
                    || Failure::Usage(format!("--web.listen-address={text} is no address: :9090, 127.0.0.1:9090"));
                flags.listen_address = Some(ListenAddress::parse(&text).ok_or_else(wrong)?);
            }
            "web.config.file" => flags.web_config = Some(arguments.value()?.into()),
            "web.enable-admin-api" => flags.push.admin = true,
            "push.enable-utf8-names" => flags.push.utf8_names = true,
            "log.level" => {
                let text = arguments.value()?;
                let wrong = |_| Failure::Usage(format!("--log.level={text}: error, warn, info or debug"));
                flags.log_level = Some(text.parse().map_err(wrong)?);
            }
            "log.format" => {
                flags.log_format = match arguments.value()?.as_str() {
                    "logfmt" => Format::Logfmt,
                    "json" => Format::Json,
                    other => return Err(Failure::Usage(format!("--log.format={other}: logfmt or json"))),
                }
            }
            _ if flags.web.take(&flag, &mut arguments)? => {}
            _ => return Err(unknown(&flag, FLAGS.into_iter().chain(web_flags::NAMES))),
        }
    }
    Ok(flags)
}

/// Returns the configuration, or every error in it.
fn believed_config(mut loaded: Loaded) -> Result<(Config, Loaded), Failure> {
    for warning in loaded.warnings.iter() {
        log::warn!("{warning}");
    }
    match loaded.config.take() {
        Some(config) => Ok((config, loaded)),
        None => Err(Failure::Fault(super::check::listed(&loaded.errors))),
    }
}

fn start(flags: Flags, config: Config, loaded: Loaded) -> Result<(), Failure> {
    let fault = |text: String| Failure::Fault(text);
    let lanes = believed::lanes(&config).map_err(fault)?;
    let address = flags.listen_address.as_ref().unwrap_or(&config.web.listen_address);
    let listener = io::bind(&address.host, address.port).map_err(|error| fault(port_taken(address, &error)))?;
    let port = listener.local_addr().map_or(address.port, |address| address.port());

    let clock: Arc<dyn Clock + Send + Sync> = Arc::new(SystemClock { trusted_after: believed::clock_floor(&config) });
    let started = boottime();
    let Medium { store, file, tail, path, trouble, .. } =
        medium::open(&config.storage, flags.storage_path.as_deref(), clock.now()).map_err(fault)?;

    let (line, messages) = Line::new();
    let reader = Arc::new(RwLock::new(store.reader()));
    let limits = Limits { samples_max: flags.web.samples_max, series_max: QUERY_SERIES_MAX, ..Limits::default() };
    let settings = settings(&flags, &config, address);
    let engine = || Engine {
        limits,
        lookback_ms: config.query.lookback_ms as i64,
        delayed_name_removal: settings.delayed_name_removal,
        ..Engine::default()
    };
    let thread = |error: std::io::Error| fault(format!("starting a thread: {error}"));
    let disk = match file {
        Some(file) => {
            let line = line.clone();
            Some(
                DiskThread::start(Box::new(file), Box::new(move |done| line.event(Event::Disk(done))))
                    .map_err(thread)?,
            )
        }
        None => None,
    };
    let rules = {
        let line = line.clone();
        let tell = Box::new(move |job| line.event(Event::Evaluated(job)));
        RulesThread::start(reader.clone(), engine(), clock.clone(), tell).map_err(thread)?
    };
    let receivers = {
        let line = line.clone();
        Receivers::new(Arc::new(move |id, outcome| line.event(Event::Noticed(id, outcome))))
    };
    let watched = gpio::start(&config.gpio, &config.collect.paths.dev, believed::interval_ms(&config));
    let (first, counted) = sync_channel(1);
    let collect = {
        let line = line.clone();
        let tell = Arc::new(move |collection: Collection| {
            let _ = first.try_send(collection.batch.rows().len());
            line.event(Event::Collected(Box::new(collection)));
        });
        let around = Around { gpio: watched, clock: clock.clone(), tell };
        Collect::start(lanes, believed::interval_ms(&config), around).map_err(thread)?
    };
    // A sensor that hangs must not keep us from starting.
    let rows = counted.recv_timeout(FIRST_COLLECTION_PATIENCE).unwrap_or(ROWS_GUESS);
    let stats = store.stats();
    let guess = days_guessed(stats.file_bytes, rows, believed::interval_ms(&config));
    let days = days_held(&stats, guess);

    let mut scrapes = {
        let line = line.clone();
        let tell = Arc::new(move |news| {
            line.event(match news {
                News::Samples(delivery) => Event::Scraped(delivery),
                News::Ended(source) => Event::Ended(source),
            });
        });
        Scrapes::new(scraping::bounds(&config, &settings.feature_names), clock.clone(), tell)
    };
    scrapes.change(scraping::reaches(&config)).map_err(thread)?;

    let setup = believed::setup(&config, loaded.rules, loaded.notify, port);
    let new_upstreams = believed::upstreams(
        &config,
        &Surroundings {
            reader: reader.clone(),
            clock: clock.clone(),
            line: line.clone(),
            external_labels: setup.external_labels.clone(),
            instance: setup.instance.clone(),
            saved: &|cell| store.cell(cell),
        },
    )
    .map_err(fault)?;
    let mut upstreams = Vec::new();
    upstream::replace(&mut upstreams, new_upstreams);
    let web = Arc::new(Web {
        house: Box::new(WebHouse { line: line.clone(), collect: collect.clone(), scrapes: scrapes.view() }),
        reader: reader.clone(),
        engine: engine(),
        clock: clock.clone(),
        settings: settings.clone(),
        external_labels: RwLock::new(setup.external_labels.clone()),
        guard: RwLock::new(believed::guard(&config, flags.web_config.as_deref()).map_err(fault)?),
        push: flags.push,
        exemplars: Arc::new(Mutex::new(Exemplars::new(config.storage.exemplars_max))),
        queries: Counts::default(),
        config: RwLock::new(loaded.shown),
    });

    let mut about = about::this_board(&config.collect.paths);
    about.interval_ms = believed::interval_ms(&config);
    about.config_loaded = Some(reader.read().unwrap_or_else(|poisoned| poisoned.into_inner()).wall_of(clock.now()));
    about.ring.days = Some(guess);
    about.ring.path = path.as_deref().map_or(String::new(), |path| path.display().to_string());
    about.ring.trouble = trouble;
    let attempts = match path {
        Some(_) => None,
        None => {
            let line = line.clone();
            let retry = Retry {
                storage: config.storage.clone(),
                path: medium::data_file(&config.storage, flags.storage_path.as_deref()),
                reader: store.reader(),
                clock: clock.clone(),
                tell: Box::new(move |found| line.send(Message::Medium(found))),
            };
            Some(retry.start().map_err(thread)?)
        }
    };
    let core = Core::new(store, setup, clock.now());
    let service = Service::from_env();
    say_hello(&flags, path.as_deref(), port, days);

    let query_ms_max = Arc::new(AtomicU64::new(config.query.timeout_ms));
    let reload = reloader(&flags, port, web.clone(), query_ms_max.clone(), config.clone());
    let running = Running {
        core,
        clock,
        disk,
        tail,
        rules,
        receivers,
        upstreams,
        collect,
        scrapes,
        web,
        reader,
        service,
        line: line.clone(),
        about,
        started,
        tail_failed: false,
        attempts,
        start_upstreams: starter(config, port),
    };
    serve(listener, running.web.clone(), query_ms_max, &line).map_err(thread)?;
    line.set_ready();
    running.service.ready("serving");
    match running.run(&messages, reload) {
        true => Ok(()),
        false => Err(fault(
            "stopped before everything was on the medium: what is missing is in the tail, where there is one"
                .to_owned(),
        )),
    }
}

/// Returns what the web is told of the command line.
fn settings(flags: &Flags, config: &Config, address: &ListenAddress) -> Settings {
    let level = flags.log_level.unwrap_or(LevelFilter::Info).to_string().to_lowercase();
    let format = if matches!(flags.log_format, Format::Json) { "json" } else { "logfmt" };
    let storage = flags.storage_path.as_deref().or(config.storage.path.as_deref());
    let others = [
        ("config.file", web_flags::shown(flags.config_file.as_deref())),
        ("storage.path", web_flags::shown(storage)),
        ("web.listen-address", format!("{}:{}", address.host, address.port)),
        ("log.level", level),
        ("log.format", format.to_owned()),
    ];
    flags.web.settings(config, &others)
}

/// Serves on a thread of its own.
fn serve(
    listener: std::net::TcpListener,
    web: Arc<Web>,
    query_ms_max: Arc<AtomicU64>,
    line: &Line,
) -> std::io::Result<()> {
    let line = line.clone();
    let signal = Box::new(move |signal| match signal {
        Signal::Reload => line.send(Message::Reload(None)),
        Signal::Stop => line.send(Message::Stop),
    });
    // It computes answers too, those that are quick.
    std::thread::Builder::new().name("io".to_owned()).stack_size(io::COMPUTE_STACK_BYTES).spawn(move || {
        if let Err(error) = io::serve(listener, web, query_ms_max, signal) {
            log::error!("serving HTTP: {error}");
        }
    })?;
    Ok(())
}

/// Returns what reads the configuration again: all of it takes effect, or nothing.
///
/// What cannot change while we run is compared with what we run with, and said.
fn reloader(flags: &Flags, port: u16, web: Arc<Web>, query_ms_max: Arc<AtomicU64>, in_force: Config) -> Reload {
    let (file, web_config, web_flags) = (flags.config_file.clone(), flags.web_config.clone(), flags.web.clone());
    Box::new(move |running: &mut Running| {
        let mut loaded = believed::load(file.as_deref(), web_flags.features());
        for warning in loaded.warnings.iter() {
            log::warn!("{warning}");
        }
        let Some(mut config) = loaded.config.take() else { return Err(super::check::listed(&loaded.errors)) };
        web_flags.win_over(&mut config);
        let lanes = believed::lanes(&config)?;
        let guard = believed::guard(&config, web_config.as_deref())?;
        let setup = believed::setup(&config, loaded.rules, loaded.notify, port);
        let around = Surroundings {
            reader: running.reader.clone(),
            clock: running.clock.clone(),
            line: running.line.clone(),
            external_labels: setup.external_labels.clone(),
            instance: setup.instance.clone(),
            saved: &|cell| running.core.store.cell(cell),
        };
        // The last step that may fail: nothing has begun yet. The old ones end after the frame they are at, and the
        // new ones go on from there.
        let upstreams = believed::upstreams(&config, &around)?;
        upstream::replace(&mut running.upstreams, upstreams);
        query_ms_max.store(config.query.timeout_ms, Ordering::Relaxed);
        running.start_upstreams = starter(config.clone(), port);
        running.about.interval_ms = believed::interval_ms(&config);
        if let Err(error) = running.scrapes.change(scraping::reaches(&config)) {
            log::error!("starting the thread that scrapes: {error}; it is tried at the next reload");
        }
        running.collect.change(lanes, believed::interval_ms(&config));
        *web.guard.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = guard;
        *web.external_labels.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = setup.external_labels.clone();
        web.exemplars.lock().unwrap_or_else(PoisonError::into_inner).resize(config.storage.exemplars_max);
        *web.config.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = loaded.shown;
        running.line.event(Event::Changed(Box::new(setup)));
        for key in waiting_for_a_start(&in_force, &config) {
            log::warn!("{key} has changed: that takes effect at the next start");
        }
        Ok(())
    })
}

/// Returns the keys whose values differ and only count at a start.
fn waiting_for_a_start(old: &Config, new: &Config) -> Vec<&'static str> {
    [
        ("storage", old.storage != new.storage),
        ("gpio", old.gpio != new.gpio),
        ("clock", old.clock != new.clock),
        ("web.listen_address", old.web.listen_address != new.web.listen_address),
        ("query.lookback_delta", old.query.lookback_ms != new.query.lookback_ms),
    ]
    .into_iter()
    .filter_map(|(key, differs)| differs.then_some(key))
    .collect()
}

/// Returns what starts the upstreams of this configuration anew.
fn starter(config: Config, port: u16) -> StartUpstreams {
    Box::new(move |running: &Running| {
        let around = Surroundings {
            reader: running.reader.clone(),
            clock: running.clock.clone(),
            line: running.line.clone(),
            external_labels: config.global.external_labels.clone(),
            instance: believed::instance(&config, port),
            saved: &|cell| running.core.store.cell(cell),
        };
        believed::upstreams(&config, &around)
    })
}

fn port_taken(address: &ListenAddress, error: &std::io::Error) -> String {
    let shown = format!("{}:{}", address.host, address.port);
    match error.kind() {
        std::io::ErrorKind::AddrInUse => format!(
            "the address {shown} is taken by another program: give this one another, \
             for example --web.listen-address=:{}",
            address.port.wrapping_add(1).max(1024)
        ),
        std::io::ErrorKind::PermissionDenied => {
            format!("the address {shown} needs more rights than this user has: try --web.listen-address=:9090")
        }
        _ => format!("listening on {shown}: {error} (--web.listen-address says where to listen)"),
    }
}

/// What a newcomer sees first. Under a service manager the log says it.
fn say_hello(flags: &Flags, path: Option<&Path>, port: u16, days: f64) {
    let page = format!("http://localhost:{port}/");
    let file = path.map_or("memory only".to_owned(), |path| path.display().to_string());
    log::info!("narthex {VERSION} serves {page} and keeps its data in {file}, which holds {}", days_in_words(days));
    if !std::io::IsTerminal::is_terminal(&std::io::stdout()) {
        return;
    }
    let next = match &flags.config_file {
        Some(_) => "",
        None => "    a configuration of your own   start from configs/minimal.yml, run with --config.file=FILE\n",
    };
    let text = format!(
        "\n  Narthex {VERSION} is looking after this machine.\n\n    the page    {page}\n    the data    {file}, holds {days}\n\n  \
         Try next:\n    curl '{page}api/v1/query?query=node_load1'\n    curl {page}metrics\n{next}    \
         Ctrl-C stops it; nothing is lost.\n\n",
        days = days_in_words(days)
    );
    let _ = help::print(&text);
}
