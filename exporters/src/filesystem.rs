//! `node_filesystem_*`: room and file nodes of each mounted file system, and whether it is read-only.
//!
//! ```text
//! 27 24 179:1 / /boot/firmware rw,relatime shared:4 - vfat /dev/mmcblk0p1 rw,fmask=0022    <- /proc/1/mountinfo
//! id parent major:minor root mountpoint options [tags] - type device super-options            Raspberry Pi 4
//! ```
//!
//! As with the peer, only `\040` and `\011` are undone, and only in the mount point, so a stick mounted under
//! another odd name cannot be found: then `device_error` says why and `node_filesystem_device_error` is 1.
//! The kernel takes as long to print the mounts as to answer for a dozen of them, so they are read anew when it says that
//! they are others, where one of them cannot be asked, and now and then; in between, `statfs` says who is read-only.
//! A file system that hangs (a lost NFS server) is told as `mountpoint timeout` while it is being asked by a lane
//! that was given up for it, see [`crate::waiting`].

use std::path::Path;

use model::{Batch, MetricKind};

use crate::collector::{Collector, CollectorInfo, FlagInfo};
use crate::error::{CollectError, Troubles};
use crate::filter::Filter;
use crate::host::{Host, Reader, set_path};
use crate::number::unsigned;
use crate::settings::{Settings, SettingsError};
use crate::system::Space;

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "filesystem",
    default_on: true,
    make: |settings| Ok(Box::new(Filesystem::new(settings)?)),
    flags: &[MOUNT_INCLUDE, MOUNT_EXCLUDE, TYPE_INCLUDE, TYPE_EXCLUDE, MOUNT_IGNORED, TYPE_IGNORED],
    doc: "Size, free room, file nodes and errors of each mounted file system, from `mountinfo` and `statfs`.",
};

const MOUNT_INCLUDE: FlagInfo = FlagInfo {
    name: "collector.filesystem.mount-points-include",
    default: "",
    help: "Regexp of mount points to include. (mutually exclusive to mount-points-exclude)",
};
const MOUNT_EXCLUDE: FlagInfo = FlagInfo {
    name: "collector.filesystem.mount-points-exclude",
    default: "^/(dev|proc|run|sys|mnt|media|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)",
    help: "Regexp of mount points to exclude. (mutually exclusive to mount-points-include)",
};
const TYPE_INCLUDE: FlagInfo = FlagInfo {
    name: "collector.filesystem.fs-types-include",
    default: "",
    help: "Regexp of filesystem types to include. (mutually exclusive to fs-types-exclude)",
};
const TYPE_EXCLUDE: FlagInfo = FlagInfo {
    name: "collector.filesystem.fs-types-exclude",
    default: "^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|iso9660|mqueue|\
              nsfs|overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|erofs|sysfs|tracefs)$",
    help: "Regexp of filesystem types to exclude. (mutually exclusive to fs-types-include)",
};
const MOUNT_IGNORED: FlagInfo = FlagInfo {
    name: "collector.filesystem.ignored-mount-points",
    default: "",
    help: "An older name of mount-points-exclude.",
};
const TYPE_IGNORED: FlagInfo =
    FlagInfo { name: "collector.filesystem.ignored-fs-types", default: "", help: "An older name of fs-types-exclude." };

/// The most file systems told; what is more is left out and blamed.
const MOUNTS_MAX: usize = 4_096;

/// How often mounts are asked before they are read anew, though the kernel said nothing: it does not when a folder above
/// a mount is renamed, or when a file system of many devices loses the one it is named after.
const ROUNDS_MAX: u32 = 10;

/// Reads the mounts and asks each for its room.
struct Filesystem {
    file: Reader,
    own: Reader,
    mount_points: Filter,
    types: Filter,
    path: std::path::PathBuf,
    text: String,
    mounts: Vec<Mount>,
    /// Where in the text the mounts end and what went wrong with them begins.
    named: usize,
    is_own: bool,
    /// How often the mounts may be asked before they are read anew.
    rounds: u32,
}

/// One mounted file system; its texts are ranges of the collector's.
struct Mount {
    device: (usize, usize),
    point: (usize, usize),
    kind: (usize, usize),
    number: (u64, u64),
    is_read_only: bool,
    space: Result<Space, (usize, usize)>,
}

impl Filesystem {
    fn new(settings: &Settings) -> Result<Filesystem, SettingsError> {
        let mount_exclude = (MOUNT_EXCLUDE.name, MOUNT_EXCLUDE.default);
        let type_exclude = (TYPE_EXCLUDE.name, TYPE_EXCLUDE.default);
        Ok(Filesystem {
            file: Reader::new(),
            own: Reader::new(),
            mount_points: Filter::new(settings, MOUNT_INCLUDE.name, mount_exclude, Some(MOUNT_IGNORED.name))?,
            types: Filter::new(settings, TYPE_INCLUDE.name, type_exclude, Some(TYPE_IGNORED.name))?,
            path: std::path::PathBuf::new(),
            text: String::new(),
            mounts: Vec::new(),
            named: 0,
            is_own: false,
            rounds: 0,
        })
    }

    /// Finds out about every mount, with as little work as is enough.
    fn settle(&mut self, host: &Host) -> Result<(), CollectError> {
        if self.is_still(host) {
            self.rounds -= 1;
            self.ask(host);
            for mount in &mut self.mounts {
                match mount.read_only() {
                    Some(is_so) => mount.is_read_only = is_so,
                    // Read anew the next time: to ask all again now could take as long as this did.
                    None => self.rounds = 0,
                }
            }
            return Ok(());
        }
        self.rounds = 0;
        let bad_line = self.read(host)?;
        self.ask(host);
        // From now on `statfs` says who is read-only, if it says now what the kernel prints.
        if bad_line.is_ok() && self.mounts.iter().all(|mount| mount.read_only() == Some(mount.is_read_only)) {
            self.rounds = ROUNDS_MAX;
        }
        bad_line
    }

    /// Returns whether the mounts are those that were read last, as far as the kernel says.
    fn is_still(&self, host: &Host) -> bool {
        let file = if self.is_own { &self.own } else { &self.file };
        self.rounds > 0 && host.procfs == Path::new("/proc") && file.is_unchanged()
    }

    /// Reads every wanted mount; returns an error that blames the first odd line.
    fn read(&mut self, host: &Host) -> Result<Result<(), CollectError>, CollectError> {
        self.text.clear();
        self.mounts.clear();
        // Without the right to read process 1, our own view of the mounts is what there is.
        self.is_own = self.file.kept_text(&host.procfs, "1/mountinfo").is_err();
        let text = match self.is_own {
            true => self.own.kept_text(&host.procfs, "self/mountinfo")?,
            false => self.file.last_text()?,
        };
        let mut bad = None;
        for (at, line) in text.lines().enumerate() {
            let Some(raw) = parse_line(line).filter(|_| self.mounts.len() < MOUNTS_MAX) else {
                bad.get_or_insert(at + 1);
                continue;
            };
            let point = keep_point(&mut self.text, raw.point, host);
            let wanted = self.mount_points.is_wanted(&self.text[point.0..point.1]) && self.types.is_wanted(raw.kind);
            if !wanted {
                self.text.truncate(point.0);
                continue;
            }
            let mut keep = |text: &str| {
                let start = self.text.len();
                self.text.push_str(text);
                (start, self.text.len())
            };
            let (device, kind) = (keep(raw.device), keep(raw.kind));
            let space = Ok(Space::default());
            let mount = Mount { device, point, kind, number: raw.number, is_read_only: raw.is_read_only, space };
            // A later mount of the same thing in the same place lies over the earlier one.
            let names = |m: &Mount| [m.device, m.point, m.kind].map(|(start, end)| &self.text[start..end]);
            match self.mounts.iter().position(|other| names(other) == names(&mount)) {
                Some(index) => self.mounts[index] = mount,
                None => self.mounts.push(mount),
            }
        }
        self.named = self.text.len();
        let expected = "`id parent major:minor root mountpoint options ... - type device options`";
        let file = if self.is_own { &self.own } else { &self.file };
        Ok(bad.map_or(Ok(()), |line| Err(file.malformed(line, expected))))
    }

    fn ask(&mut self, host: &Host) {
        self.text.truncate(self.named);
        for mount in &mut self.mounts {
            let point = &self.text[mount.point.0..mount.point.1];
            set_path(&mut self.path, &host.rootfs, &[point.trim_start_matches('/')]);
            mount.space = host.waiting.ask(&self.path, || host.system.statfs(&self.path)).map_err(|error| {
                let start = self.text.len();
                push_reason(&mut self.text, &error);
                (start, self.text.len())
            });
        }
    }

    fn tell(&self, name: &str, help: &str, value: impl Fn(&Mount) -> Option<f64>, out: &mut Batch) {
        out.family(name, help, MetricKind::Gauge);
        let piece = |(start, end): (usize, usize)| &self.text[start..end];
        for mount in &self.mounts {
            let Some(value) = value(mount) else { continue };
            let labels = [
                ("device", piece(mount.device)),
                ("device_error", mount.space.err().map_or("", piece)),
                ("fstype", piece(mount.kind)),
                ("mountpoint", piece(mount.point)),
            ];
            out.add(&labels, value);
        }
    }

    fn tell_numbers(&self, out: &mut Batch) {
        use crate::number::Decimal;
        out.family("node_filesystem_mount_info", "Filesystem mount information.", MetricKind::Gauge);
        let piece = |(start, end): (usize, usize)| &self.text[start..end];
        for mount in self.mounts.iter().filter(|mount| mount.space.is_ok()) {
            let (major, minor) = (Decimal::new(mount.number.0), Decimal::new(mount.number.1));
            let labels = [
                ("device", piece(mount.device)),
                ("major", major.as_str()),
                ("minor", minor.as_str()),
                ("mountpoint", piece(mount.point)),
            ];
            out.add(&labels, 1.0);
        }
    }
}

impl Collector for Filesystem {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        let mut troubles = Troubles::default();
        troubles.note(self.settle(host));
        let help = "Whether an error occurred while getting statistics for the given device.";
        let flag = |is_so: bool| Some(f64::from(u8::from(is_so)));
        self.tell("node_filesystem_device_error", help, |mount| flag(mount.space.is_err()), out);
        let help = "Filesystem read-only status.";
        self.tell("node_filesystem_readonly", help, |mount| flag(mount.is_read_only), out);
        type Part = fn(Space) -> f64;
        let parts: [(&str, &str, Part); 6] = [
            ("node_filesystem_size_bytes", "Filesystem size in bytes.", |s| s.blocks as f64 * s.block_bytes as f64),
            ("node_filesystem_free_bytes", "Filesystem free space in bytes.", |s| {
                s.blocks_free as f64 * s.block_bytes as f64
            }),
            ("node_filesystem_avail_bytes", "Filesystem space available to non-root users in bytes.", |s| {
                s.blocks_available as f64 * s.block_bytes as f64
            }),
            ("node_filesystem_files", "Filesystem total file nodes.", |s| s.files as f64),
            ("node_filesystem_files_free", "Filesystem total free file nodes.", |s| s.files_free as f64),
            (
                "node_filesystem_purgeable_bytes",
                "Filesystem space available including purgeable space (MacOS specific).",
                |_| 0.0,
            ),
        ];
        for (name, help, part) in parts {
            self.tell(name, help, |mount| mount.space.ok().map(part), out);
        }
        self.tell_numbers(out);
        troubles.finish()
    }
}

impl Mount {
    /// Returns what the answer for it says of being read-only.
    fn read_only(&self) -> Option<bool> {
        self.space.ok().and_then(|space| space.is_read_only)
    }
}

/// One line as it stands.
struct RawMount<'a> {
    number: (u64, u64),
    point: &'a str,
    kind: &'a str,
    device: &'a str,
    is_read_only: bool,
}

fn parse_line(line: &str) -> Option<RawMount<'_>> {
    let (head, tail) = line.split_once(" - ")?;
    let mut fields = head.split(' ').skip(2);
    let (major, minor) = fields.next()?.split_once(':')?;
    let number = (unsigned(major)?, unsigned(minor)?);
    let point = fields.nth(1)?;
    let options = fields.next()?;
    let mut fields = tail.split(' ');
    let (kind, device, super_options) = (fields.next()?, fields.next()?, fields.next()?);
    let is_read_only = options.split(',').chain(super_options.split(',')).any(|option| option == "ro");
    Some(RawMount { number, point, kind, device, is_read_only })
}

/// Keeps a mount point with blanks and tabs undone and the root folder's own path taken off.
fn keep_point(text: &mut String, point: &str, host: &Host) -> (usize, usize) {
    let start = text.len();
    let mut rest = point;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        let (undone, bytes) = match rest.get(at..at + 4) {
            Some("\\040") => (' ', 4),
            Some("\\011") => ('\t', 4),
            _ => ('\\', 1),
        };
        text.push(undone);
        rest = &rest[at + bytes..];
    }
    text.push_str(rest);
    if let Some(root) = host.rootfs.to_str().filter(|root| *root != "/")
        && text[start..].starts_with(root)
    {
        text.replace_range(start..start + root.len(), "");
        if text.len() == start {
            text.push('/');
        }
    }
    (start, text.len())
}

/// Appends a system call's error in the peer's words, which are not those of every C library.
fn push_reason(text: &mut String, error: &std::io::Error) {
    const WORDS: [(i32, &str); 18] = [
        (1, "operation not permitted"),
        (2, "no such file or directory"),
        (4, "interrupted system call"),
        (5, "input/output error"),
        (6, "no such device or address"),
        (12, "cannot allocate memory"),
        (13, "permission denied"),
        (19, "no such device"),
        (20, "not a directory"),
        (36, "file name too long"),
        (38, "function not implemented"),
        (40, "too many levels of symbolic links"),
        (75, "value too large for defined data type"),
        (107, "transport endpoint is not connected"),
        (110, "connection timed out"),
        (112, "host is down"),
        (116, "stale NFS file handle"),
        (121, "remote I/O error"),
    ];
    if error.raw_os_error().is_none() && error.kind() == std::io::ErrorKind::TimedOut {
        return text.push_str("mountpoint timeout");
    }
    let code = error.raw_os_error().unwrap_or(0);
    match WORDS.iter().find(|(known, _)| *known == code) {
        Some((_, words)) => text.push_str(words),
        None => text.extend(["errno ", crate::number::Decimal::new(code.unsigned_abs().into()).as_str()]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// This machine's mounts, but for what a test says of them.
    #[derive(Clone, Default)]
    struct Feigned(std::sync::Arc<std::sync::Mutex<(bool, bool)>>);

    impl crate::system::System for Feigned {
        fn statfs(&self, path: &Path) -> std::io::Result<Space> {
            let (is_turned, fails) = *self.0.lock().expect("nobody panics");
            let space = crate::system::Live::default().statfs(path)?;
            let is_read_only = space.is_read_only.map(|is_so| is_so != is_turned);
            if fails { Err(std::io::ErrorKind::NotFound.into()) } else { Ok(Space { is_read_only, ..space }) }
        }

        fn uname(&self, _: &mut dyn FnMut(crate::system::Uname<'_>)) {}

        fn wall(&self) -> std::time::Duration {
            std::time::Duration::ZERO
        }
    }

    /// What is read of the mounts is used as long as the kernel and every mount say that it is so, and no longer than
    /// [`ROUNDS_MAX`] times.
    #[test]
    fn mounts_are_read_anew_when_something_says_that_they_are_others() {
        let said = |turned, fails| {
            let feigned = Feigned::default();
            let host = Host { system: Box::new(feigned.clone()), ..Host::default() };
            let mut settings = Settings::default();
            settings.set("collector.filesystem.mount-points-include", Some("^/$")).expect("a flag");
            let mut collector = Filesystem::new(&settings).expect("good settings");
            let mut round = |turned: bool, fails: bool| {
                *feigned.0.lock().expect("nobody panics") = (turned, fails);
                collector.collect(&host, &mut Batch::new()).expect("mounts");
                (collector.rounds, collector.mounts.first().map(|mount| mount.is_read_only))
            };
            let first = round(false, false);
            let then = round(turned, fails);
            (first, then, (1..ROUNDS_MAX).map(|_| round(false, false).0).last(), round(false, false).0)
        };
        // Somebody may mount something just then, and another try is as good.
        let holds = |turned, fails, expected: fn(bool) -> (u32, bool, u32, u32)| {
            (0..50).any(|_| {
                let ((rounds, is_so), then, last, after) = said(turned, fails);
                let is_so = is_so.expect("a root");
                let (rounds_then, is_so_then, rounds_last, rounds_after) = expected(is_so);
                rounds == ROUNDS_MAX
                    && then == (rounds_then, Some(is_so_then))
                    && last == Some(rounds_last)
                    && after == rounds_after
            })
        };
        let still = |is_so| (ROUNDS_MAX - 1, is_so, 0, ROUNDS_MAX);
        assert!(holds(false, false, still), "they are used and then read anew");
        let turned = |is_so: bool| (ROUNDS_MAX - 1, !is_so, 0, ROUNDS_MAX);
        assert!(holds(true, false, turned), "what is read-only is told without the file");
        let failed = |is_so| (0, is_so, 2, 1);
        assert!(holds(false, true, failed), "where one cannot be asked, they are read anew, until it can");
    }

    #[test]
    fn a_line_has_optional_tags_before_the_dash() {
        for line in [
            "27 24 179:1 / /boot rw,relatime shared:4 master:1 - vfat /dev/mmcblk0p1 rw,fmask=0022",
            "27 24 179:1 / /boot rw,relatime - vfat /dev/mmcblk0p1 rw,errors=remount-ro",
        ] {
            let mount = parse_line(line).expect("a good line");
            assert_eq!((mount.number, mount.point, mount.kind), ((179, 1), "/boot", "vfat"));
            assert_eq!((mount.device, mount.is_read_only), ("/dev/mmcblk0p1", false));
        }
        for read_only in ["1 2 0:1 / / ro,nosuid - ext4 d rw", "1 2 0:1 / / rw - ext4 d rw,ro"] {
            assert!(parse_line(read_only).is_some_and(|mount| mount.is_read_only));
        }
        for bad in ["", "30 24 bad", "27 24 1791 / /boot rw - vfat d rw", "27 24 1:1 / /boot rw - vfat", "1 2 3 4 5 6"]
        {
            assert!(parse_line(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn mount_points_lose_escaped_blanks_and_the_root_folder() {
        let point = |rootfs: &str, raw: &str| {
            let host = Host { rootfs: rootfs.into(), ..Host::default() };
            let mut text = "before".to_owned();
            let (start, end) = keep_point(&mut text, raw, &host);
            text[start..end].to_owned()
        };
        assert_eq!(point("/", "/a\\040b\\011c\\134d"), "/a b\tc\\134d");
        assert_eq!(point("/host", "/host/data"), "/data");
        assert_eq!(point("/host", "/host"), "/");
        assert_eq!(point("/", "/é\\"), "/é\\");
    }

    #[test]
    fn errors_are_told_in_the_peers_words() {
        let reason = |code| {
            let mut text = String::new();
            push_reason(&mut text, &std::io::Error::from_raw_os_error(code));
            text
        };
        assert_eq!(
            [reason(2), reason(116), reason(99)],
            ["no such file or directory", "stale NFS file handle", "errno 99"]
        );
    }
}
