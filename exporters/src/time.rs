//! `node_time_seconds`, `node_time_zone_offset_seconds`, `node_time_clocksource_*_info`.
//!
//! ```text
//! clocksource0/available_clocksource  arch_sys_counter timer    <- /sys/devices/system/clocksource, Raspberry Pi 4
//! clocksource0/current_clocksource    arch_sys_counter
//! ```
//!
//! The time told is the wall clock's reading, trusted or not: what is measured is never rewritten. The zone comes
//! from `$TZ` or `/etc/localtime` and is read in `zone`.

mod zone;

use model::{Batch, MetricKind};

use crate::collector::{Collector, CollectorInfo};
use crate::error::{CollectError, Troubles};
use crate::folder::{Desk, Folder, place_of};
use crate::host::{Host, Names};

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "time",
    default_on: true,
    make: |_| Ok(Box::new(Time::default())),
    flags: &[],
    doc: "The wall clock, its zone's offset, and the kernel's clock sources.",
};

const DIR: &str = "devices/system/clocksource";

/// Reads the clock and its sources.
#[derive(Default)]
struct Time {
    names: Names,
    sources: Sources,
    zone: zone::Zone,
}

/// Reads the files of clock sources, which stay open.
#[derive(Default)]
struct Sources {
    desk: Desk,
    folders: Vec<(String, Folder)>,
}

impl Sources {
    fn text(&mut self, host: &Host, device: &str, file: (usize, &str)) -> Result<&str, CollectError> {
        let at = place_of(&mut self.folders, device, &[DIR, "/", device]);
        let Sources { desk, folders } = self;
        let folder = &mut folders[at].1;
        desk.text(&host.sysfs, folder, file)?.ok_or_else(|| CollectError::Io {
            path: host.sysfs.join(DIR).join(device).join(file.1),
            source: std::io::ErrorKind::NotFound.into(),
        })
    }
}

impl Collector for Time {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        let now = host.system.wall();
        out.family("node_time_seconds", "System time in seconds since epoch (1970).", MetricKind::Gauge);
        out.add(&[], now.as_nanos() as f64 / 1e9);
        let help = "System time zone offset in seconds.";
        out.family("node_time_zone_offset_seconds", help, MetricKind::Gauge);
        let (zone, offset) = self.zone.at(host, now.as_secs() as i64);
        out.add(&[("time_zone", zone)], f64::from(offset));
        if !self.names.list_if_there(&host.sysfs, &[DIR])? {
            return Ok(());
        }
        let mut troubles = Troubles::default();
        for (file, name, help) in [
            (
                (0, "available_clocksource"),
                "node_time_clocksource_available_info",
                "Available clocksources read from '/sys/devices/system/clocksource'.",
            ),
            (
                (1, "current_clocksource"),
                "node_time_clocksource_current_info",
                "Current clocksource read from '/sys/devices/system/clocksource'.",
            ),
        ] {
            out.family(name, help, MetricKind::Gauge);
            for device in self.names.iter() {
                let Some(number) = device.strip_prefix("clocksource") else { continue };
                let text = self.sources.text(host, device, file);
                for source in troubles.note(text).unwrap_or("").split_ascii_whitespace() {
                    out.add(&[("clocksource", source), ("device", number)], 1.0);
                }
            }
        }
        troubles.finish()
    }
}
