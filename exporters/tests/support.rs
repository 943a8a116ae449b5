//! What every test here needs: a lane over a tree, expositions taken apart by family, folders made and removed.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use exporters::netlink::Netlink;
use exporters::system::Ethtool;
use exporters::{COLLECTORS, Host, Lane, Settings, Space, System, Timex, Uname};

/// Returns the folder of shared data, or says loudly what is left out without it.
pub fn shared(what: &str) -> Option<PathBuf> {
    let default = workspace().join("../shared");
    let folder = std::env::var_os("NARTHEX_SHARED").map_or(default, PathBuf::from).join("exporters");
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("LEFT OUT: {what}: no {} (set NARTHEX_SHARED)", folder.display());
    None
}

fn workspace() -> PathBuf {
    let mut folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    while !folder.join("Cargo.lock").is_file() {
        assert!(folder.pop(), "the workspace has a Cargo.lock");
    }
    folder
}

/// System calls answered from a table, at one instant.
pub struct Table {
    /// Path, block size, blocks, free, available, files, free files.
    pub spaces: Vec<(PathBuf, Space)>,
}

impl System for Table {
    fn statfs(&self, path: &Path) -> io::Result<Space> {
        let found = self.spaces.iter().find(|(known, _)| known == path);
        found.map(|(_, space)| *space).ok_or_else(|| io::Error::from_raw_os_error(2))
    }

    fn uname(&self, visit: &mut dyn FnMut(Uname<'_>)) {
        visit(Uname {
            sysname: "Linux",
            release: "6.6.31",
            version: "#1 SMP PREEMPT",
            machine: "armv6l",
            nodename: "board",
            domainname: "(none)",
        });
    }

    fn wall(&self) -> Duration {
        Duration::from_millis(1_795_249_204_020)
    }

    fn netlink(&self, netlink: Netlink, request: &[u8], visit: &mut dyn FnMut(u16, &[u8])) -> io::Result<()> {
        crate::netlink::answer(netlink, request, visit)
    }

    fn system_bus(&self) -> io::Result<std::os::unix::net::UnixStream> {
        crate::systemd::connect(|_| ())
    }

    fn ethtool(&self, device: &str, question: Ethtool, answer: &mut Vec<u8>) -> io::Result<()> {
        crate::netlink::ethtool(device, question, answer)
    }

    fn timex(&self) -> io::Result<Timex> {
        Ok(Timex { status: 0x2001, offset: -1_500, tick: 10_000, error_max: 35_500, ..Timex::default() })
    }
}

/// Returns a space of 4 KiB blocks.
pub fn space(blocks: u64, available: u64, files: u64, files_free: u64) -> Space {
    let (blocks_free, blocks_available) = (available, available);
    Space { block_bytes: 4_096, blocks, blocks_free, blocks_available, files, files_free, is_read_only: None }
}

/// Returns settings from flags as on a command line, without their dashes.
pub fn settings(flags: &[&str]) -> Settings {
    let mut settings = Settings::new();
    for flag in flags {
        let (name, value) = flag.split_once('=').map_or((*flag, None), |(name, value)| (name, Some(value)));
        settings.set(name, value).unwrap_or_else(|error| panic!("{error}"));
    }
    settings
}

/// Returns a lane over a tree with folders `proc`, `sys` and `udev/data`.
pub fn lane_over(tree: &Path, flags: &[&str], system: Box<dyn System>) -> Lane {
    let settings = settings(flags);
    let host = Host {
        procfs: tree.join("proc"),
        sysfs: tree.join("sys"),
        rootfs: settings.value("path.rootfs").map_or_else(|| "/".into(), PathBuf::from),
        udev: tree.join("udev/data"),
        dev: tree.join("dev"),
        system,
        waiting: exporters::Waiting::default(),
        links: Default::default(),
        shared: Default::default(),
    };
    let collectors = COLLECTORS
        .iter()
        .filter(|info| settings.is_on(info).expect("a switch"))
        .map(|info| (info.make)(&settings).unwrap_or_else(|error| panic!("{error}")))
        .collect();
    Lane::new(host, collectors)
}

/// Runs a lane and prints what it says. The clock is the same at every run.
pub fn printed(lane: &mut Lane) -> String {
    printed_some(lane, &|_| true)
}

/// Runs the collectors of a lane that are wanted, and prints what they say.
pub fn printed_some(lane: &mut Lane, wanted: &dyn Fn(&str) -> bool) -> String {
    let mut ns = 0;
    let batch = lane.collect_some(wanted, &mut || {
        ns += 1_000_000;
        ns
    });
    let mut text = String::new();
    exposition::write_text(batch, &mut text);
    text
}

/// Takes an exposition apart: the text of each family by its name.
pub fn families(text: &str) -> BTreeMap<&str, String> {
    let mut families: BTreeMap<&str, String> = BTreeMap::new();
    let mut name = "";
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            name = rest.split(' ').next().unwrap_or("");
        }
        let family = families.entry(name).or_default();
        family.push_str(line);
        family.push('\n');
    }
    families
}

/// Compares expositions family by family; prints every difference before it fails.
pub fn check(case: &str, ours: &str, theirs: &str, is_left_out: &dyn Fn(&str) -> bool) -> usize {
    let (ours, theirs) = (families(ours), families(theirs));
    let (mut compared, mut wrong) = (0, 0);
    for name in ours.keys().chain(theirs.keys().filter(|name| !ours.contains_key(*name))) {
        if is_left_out(name) {
            continue;
        }
        compared += 1;
        let empty = String::new();
        let (ours, theirs) = (ours.get(name).unwrap_or(&empty), theirs.get(name).unwrap_or(&empty));
        if ours != theirs {
            wrong += 1;
            eprintln!("{case}: {name}\n--- ours\n{ours}--- the peer's\n{theirs}");
        }
    }
    assert_eq!(wrong, 0, "{case}: {wrong} of {compared} families differ");
    assert!(compared > 0, "{case}: nothing was compared");
    compared
}

/// A folder that is removed when it is dropped.
pub struct Folder(pub PathBuf);

impl Folder {
    /// Makes an empty folder.
    pub fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("narthex-exporters-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a temporary folder can be made");
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Copies a tree, links as links. Where the shared data was unpacked without links, a link is a file that holds
/// nothing but a way to something that is there.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder can be made");
    for entry in fs::read_dir(from).expect("a readable folder") {
        let entry = entry.expect("a readable entry");
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().expect("a known kind");
        if kind.is_dir() {
            copy(&source, &target);
            continue;
        }
        let _ = fs::remove_file(&target);
        if kind.is_symlink() {
            let link = fs::read_link(&source).expect("a readable link");
            std::os::unix::fs::symlink(link, &target).expect("a link can be made");
        } else {
            let bytes = fs::read(&source).expect("a readable file");
            match std::str::from_utf8(&bytes).ok().filter(|text| text.starts_with("../") && !text.contains('\n')) {
                Some(link) if from.join(link).exists() => std::os::unix::fs::symlink(link, &target),
                _ => fs::write(&target, bytes),
            }
            .expect("a file can be written");
        }
    }
}

/// Sets when a file was changed last, in seconds since 1970.
pub fn set_modified(path: &Path, seconds: u64) {
    let file = fs::File::options().write(true).open(path).expect("a writable file");
    file.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(seconds)).expect("times can be set");
}
