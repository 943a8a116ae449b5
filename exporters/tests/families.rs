//! What a fuzzer calls: a function for each family of readers, which takes any bytes and must come back.
//!
//! `proc`, `net`, `sys`, `etc` and `textfile` are files of our own board: the first two bytes of the input choose
//! which one, the rest is what it holds from now on. The collectors that notice that file are run; which ones they are
//! is found by damaging each file once. `netlink`, `ethtool` and `bus` are what the kernel and the system bus
//! answer. `flags` is the value of every flag that takes one.
//!
//! Each function panics when a collector does, when more rows come out than [`ROWS_MAX`], or when what is told does not
//! parse. Used by `fuzz` (seeded, in every test run) and by the project's `fuzz` folder (with coverage); it names nothing of the
//! other tests, so that both can have it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use exporters::netlink::{self, Netlink};
use exporters::system::Ethtool;
use exporters::{COLLECTORS, Lane, Settings, Space, System, Uname, Waiting};

/// A family and what tries it.
pub struct Family {
    /// Its name.
    pub name: &'static str,
    /// Has its readers read these bytes.
    pub run: fn(&[u8]),
}

/// Every family.
pub const FAMILIES: [Family; 9] = [
    Family { name: "proc", run: proc },
    Family { name: "net", run: net },
    Family { name: "sys", run: sys },
    Family { name: "etc", run: etc },
    Family { name: "textfile", run: textfile },
    Family { name: "netlink", run: netlink },
    Family { name: "ethtool", run: ethtool },
    Family { name: "bus", run: bus },
    Family { name: "flags", run: flags },
];

/// More rows than any input of a fuzzer's size can ask for.
const ROWS_MAX: usize = 20_000;

/// The longest input that a fuzzer makes, in bytes.
pub const INPUT_BYTES_MAX: usize = 16_384;

/// Files below `/proc` but `/proc/net`.
pub fn proc(input: &[u8]) {
    thread_local!(static BENCH: RefCell<Option<Bench>> = const { RefCell::new(None) });
    BENCH.with_borrow_mut(|bench| bench.get_or_insert_with(|| Bench::of_files(&is_proc)).read_file(input));
}

/// Files below `/proc/net`.
pub fn net(input: &[u8]) {
    thread_local!(static BENCH: RefCell<Option<Bench>> = const { RefCell::new(None) });
    BENCH.with_borrow_mut(|bench| bench.get_or_insert_with(|| Bench::of_files(&is_net)).read_file(input));
}

/// Files below `/sys`.
pub fn sys(input: &[u8]) {
    thread_local!(static BENCH: RefCell<Option<Bench>> = const { RefCell::new(None) });
    BENCH.with_borrow_mut(|bench| bench.get_or_insert_with(|| Bench::of_files(&is_sys)).read_file(input));
}

/// `os-release` and what udev keeps.
pub fn etc(input: &[u8]) {
    thread_local!(static BENCH: RefCell<Option<Bench>> = const { RefCell::new(None) });
    BENCH.with_borrow_mut(|bench| bench.get_or_insert_with(|| Bench::of_files(&is_etc)).read_file(input));
}

/// Text files of metrics.
pub fn textfile(input: &[u8]) {
    thread_local!(static BENCH: RefCell<Option<Bench>> = const { RefCell::new(None) });
    BENCH.with_borrow_mut(|bench| bench.get_or_insert_with(|| Bench::of_files(&is_textfile)).read_file(input));
}

/// Datagrams of netlink.
pub fn netlink(input: &[u8]) {
    thread_local!(static BENCH: RefCell<Option<Bench>> = const { RefCell::new(None) });
    let asking = ["netdev", "network_route", "qdisc", "tcpstat", "wifi"];
    BENCH.with_borrow_mut(|bench| bench.get_or_insert_with(|| Bench::of_answers(&asking)).answer(input));
}

/// What a driver of a network device answers: up to where the first two bytes say names, settings and itself, then
/// counters.
pub fn ethtool(input: &[u8]) {
    thread_local!(static BENCH: RefCell<Option<Bench>> = const { RefCell::new(None) });
    BENCH.with_borrow_mut(|bench| bench.get_or_insert_with(|| Bench::of_answers(&["ethtool"])).answer(input));
}

/// What the system bus says.
pub fn bus(input: &[u8]) {
    thread_local!(static BENCH: RefCell<Option<Bench>> = const { RefCell::new(None) });
    BENCH.with_borrow_mut(|bench| bench.get_or_insert_with(|| Bench::of_answers(&["systemd"])).answer(input));
}

/// Values of flags: the first byte chooses the flag.
pub fn flags(input: &[u8]) {
    let flags: Vec<&str> =
        COLLECTORS.iter().flat_map(|info| info.flags).filter(|flag| !flag.is_switch()).map(|flag| flag.name).collect();
    let Some((chosen, Ok(value))) = input.split_first().map(|(first, rest)| (*first, std::str::from_utf8(rest))) else {
        return;
    };
    let mut settings = Settings::new();
    settings.set(flags[chosen as usize % flags.len()], Some(value)).expect("a flag that takes a value");
    if let Ok(mut lane) = exporters::lane(&settings) {
        // Directories of text files may be patterns; all of the machine's folders must not be walked.
        let is_wanted = |name: &str| ["netdev", "netstat", "vmstat", "diskstats"].contains(&name);
        lane.collect_some(&is_wanted, &mut || 0);
    }
}

fn is_proc(path: &str) -> bool {
    path.starts_with("proc/") && !is_net(path)
}

fn is_net(path: &str) -> bool {
    path.starts_with("proc/net/") || path.starts_with("proc/self/net/")
}

fn is_sys(path: &str) -> bool {
    path.starts_with("sys/")
}

fn is_etc(path: &str) -> bool {
    path.starts_with("etc/") || path.starts_with("udev/")
}

fn is_textfile(path: &str) -> bool {
    path.starts_with("textfile/")
}

/// Returns the files of a family by their place in its inputs, with what they hold.
pub fn files_of(family: &str) -> Vec<(String, Vec<u8>)> {
    let is_of: &dyn Fn(&str) -> bool = match family {
        "proc" => &is_proc,
        "net" => &is_net,
        "sys" => &is_sys,
        "etc" => &is_etc,
        "textfile" => &is_textfile,
        _ => return Vec::new(),
    };
    let bench = Bench::of_files(is_of);
    bench.files.iter().map(|file| (file.name.clone(), file.good.clone())).collect()
}

/// One reader or several, over a copy of our own board or over what is answered.
struct Bench {
    folder: PathBuf,
    lane: Lane,
    files: Vec<File>,
    /// Which file is damaged.
    damaged: Option<usize>,
    answer: Arc<Mutex<Vec<u8>>>,
    writer: exposition::TextWriter,
    text: String,
}

/// A file of the board.
struct File {
    name: String,
    path: PathBuf,
    good: Vec<u8>,
    /// The collectors that notice when it is another.
    readers: Vec<&'static str>,
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Bench {
    fn new() -> Bench {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("narthex-families-{}-{count}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        copy(&board(), &folder);
        let answer = Arc::default();
        let lane = lane(&folder, &answer);
        let (writer, text) = (exposition::TextWriter::new(), String::new());
        Bench { folder, lane, files: Vec::new(), damaged: None, answer, writer, text }
    }

    fn of_files(is_of: &dyn Fn(&str) -> bool) -> Bench {
        let mut bench = Bench::new();
        let mut paths = Vec::new();
        list(&bench.folder, &mut paths);
        let whole = bench.told();
        for path in paths {
            let name = path.strip_prefix(&bench.folder).expect("below the folder").to_string_lossy().into_owned();
            if !is_of(&name) {
                continue;
            }
            let good = fs::read(&path).expect("a readable file");
            fs::write(&path, b"\xff odd").expect("a writable file");
            let told = bench.told();
            fs::write(&path, &good).expect("a writable file");
            let readers: Vec<&str> =
                whole.iter().filter(|(name, said)| told.get(*name) != Some(said)).map(|(name, _)| *name).collect();
            if !readers.is_empty() {
                bench.files.push(File { name, path, good, readers });
            }
        }
        assert!(!bench.files.is_empty(), "no file of this family");
        bench
    }

    fn of_answers(collectors: &[&'static str]) -> Bench {
        let mut bench = Bench::new();
        let settings = settings(&bench.folder, |name| collectors.contains(&name));
        bench.lane = lane_of(&bench.folder, &bench.answer, &settings);
        bench
    }

    /// Returns what each collector tells, alone.
    fn told(&mut self) -> BTreeMap<&'static str, String> {
        let names: Vec<&'static str> = self.lane.names().collect();
        let mut told = BTreeMap::new();
        for name in names {
            self.run(&|wanted| wanted == name);
            let failed: Vec<String> = self.lane.failures().iter().map(|failure| failure.error.to_string()).collect();
            told.insert(name, [self.text.as_str(), &failed.join("\n")].concat());
        }
        told
    }

    fn read_file(&mut self, input: &[u8]) {
        let Some((chosen, content)) = input.split_at_checked(2) else { return };
        let chosen = u16::from_le_bytes([chosen[0], chosen[1]]) as usize % self.files.len();
        if let Some(damaged) = self.damaged.filter(|damaged| *damaged != chosen) {
            fs::write(&self.files[damaged].path, &self.files[damaged].good).expect("a writable file");
        }
        self.damaged = Some(chosen);
        fs::write(&self.files[chosen].path, content).expect("a writable file");
        let readers = self.files[chosen].readers.clone();
        self.run(&|name| readers.contains(&name));
    }

    fn answer(&mut self, input: &[u8]) {
        *self.answer.lock().expect("nobody panics with it") = input.to_vec();
        self.run(&|_| true);
    }

    fn run(&mut self, wanted: &dyn Fn(&str) -> bool) {
        let batch = self.lane.collect_some(wanted, &mut || 0);
        assert!(batch.rows().len() < ROWS_MAX, "{} rows", batch.rows().len());
        self.text.clear();
        self.writer.write(batch, &mut self.text);
        let mut parsed = model::Batch::new();
        if let Err(error) = exposition::parse_text(self.text.as_bytes(), &mut parsed) {
            panic!("what is told does not parse: {error}\n{}", self.text);
        }
    }
}

fn board() -> PathBuf {
    // The crate of the fuzzer lies beside ours.
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/board");
    if own.is_dir() { own } else { Path::new(env!("CARGO_MANIFEST_DIR")).join("../exporters/fixtures/board") }
}

fn lane(folder: &Path, answer: &Arc<Mutex<Vec<u8>>>) -> Lane {
    // `processes` and `time` read the machine's own as well.
    lane_of(folder, answer, &settings(folder, |name| !["systemd", "wifi", "qdisc", "ethtool"].contains(&name)))
}

fn settings(folder: &Path, is_on: impl Fn(&str) -> bool) -> Settings {
    let mut settings = Settings::new();
    for (name, path) in [
        ("path.procfs", "proc"),
        ("path.sysfs", "sys"),
        ("path.udev.data", "udev/data"),
        ("path.rootfs", ""),
        ("collector.textfile.directory", "textfile"),
    ] {
        settings.set(name, folder.join(path).to_str()).expect("a path");
    }
    settings.set("collector.disable-defaults", None).expect("a switch");
    for flag in [
        "collector.cpu.info",
        "collector.stat.softirq",
        "collector.netdev.address-info",
        "collector.netdev.label-ifalias",
        "collector.bcache.priorityStats",
    ] {
        settings.set(flag, None).expect("a switch");
    }
    for flag in ["enable-task-metrics", "enable-restarts-metrics", "enable-start-time-metrics"] {
        settings.set(&format!("collector.systemd.{flag}"), None).expect("a switch");
    }
    settings.set("collector.netstat.fields", Some(".*")).expect("a pattern");
    settings.set("collector.vmstat.fields", Some(".*")).expect("a pattern");
    for info in COLLECTORS.iter().filter(|info| is_on(info.name)) {
        settings.set(&format!("collector.{}", info.name), None).expect("a switch");
    }
    settings
}

fn lane_of(folder: &Path, answer: &Arc<Mutex<Vec<u8>>>, settings: &Settings) -> Lane {
    let collectors = COLLECTORS
        .iter()
        .filter(|info| settings.is_on(info).expect("a switch"))
        .map(|info| (info.make)(settings).expect("good settings"))
        .collect();
    let system = Box::new(Fake { answer: answer.clone(), bus: Mutex::default() });
    let host = exporters::Host { system, dev: folder.join("dev"), waiting: Waiting::default(), ..settings.host() };
    Lane::new(host, collectors)
}

/// Answers with the input.
struct Fake {
    answer: Arc<Mutex<Vec<u8>>>,
    bus: Mutex<Option<UnixStream>>,
}

impl Fake {
    fn answer(&self) -> Vec<u8> {
        self.answer.lock().expect("nobody panics with it").clone()
    }
}

impl System for Fake {
    fn statfs(&self, _: &Path) -> io::Result<Space> {
        Ok(Space { block_bytes: 4_096, blocks: 9, ..Space::default() })
    }

    fn uname(&self, _: &mut dyn FnMut(Uname<'_>)) {}

    fn wall(&self) -> Duration {
        Duration::from_secs(1_795_249_204)
    }

    fn netlink(&self, _: Netlink, _: &[u8], visit: &mut dyn FnMut(u16, &[u8])) -> io::Result<()> {
        match self.answer() {
            empty if empty.is_empty() => Err(io::ErrorKind::Unsupported.into()),
            answer => netlink::read_messages(&answer, visit).map(drop),
        }
    }

    fn system_bus(&self) -> io::Result<UnixStream> {
        let (ours, mut theirs) = UnixStream::pair()?;
        theirs.write_all(&self.answer())?;
        theirs.shutdown(Shutdown::Write)?;
        // What is asked goes nowhere, and must not be an error before the answer is read.
        *self.bus.lock().expect("nobody panics with it") = Some(theirs);
        Ok(ours)
    }

    fn ethtool(&self, _: &str, question: Ethtool, answer: &mut Vec<u8>) -> io::Result<()> {
        let whole = self.answer();
        let (split, rest) = whole.split_at_checked(2).ok_or(io::ErrorKind::Unsupported)?;
        let (names, counters) = rest.split_at(u16::from_le_bytes([split[0], split[1]]) as usize % (rest.len() + 1));
        *answer = match question {
            Ethtool::Counters => counters.to_vec(),
            _ => names.to_vec(),
        };
        Ok(())
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder can be made");
    for entry in fs::read_dir(from).expect("a readable folder") {
        let entry = entry.expect("a readable entry");
        let target = to.join(entry.file_name());
        let kind = entry.file_type().expect("a known kind");
        if kind.is_dir() {
            copy(&entry.path(), &target);
        } else if kind.is_symlink() {
            let link = fs::read_link(entry.path()).expect("a readable link");
            std::os::unix::fs::symlink(link, &target).expect("a link can be made");
        } else {
            fs::copy(entry.path(), &target).map(drop).expect("a file can be written");
        }
    }
}

fn list(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).expect("a readable folder").map(|entry| entry.expect("an entry").path()).collect();
    entries.sort();
    for path in entries.into_iter().filter(|path| !path.is_symlink()) {
        if path.is_dir() { list(&path, found) } else { found.push(path) }
    }
}
