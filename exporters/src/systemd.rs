//! `node_systemd_*`: the state of units, as systemd tells it over the system bus.
//!
//! ```text
//! UNIT          LOAD   ACTIVE SUB     DESCRIPTION           <- `systemctl list-units`, systemd 252
//! ssh.service   loaded active running OpenBSD Secure Shell server
//! ```
//!
//! `ListUnits` of the manager, then the properties of the wanted units, many calls at once. Where there is no bus,
//! `groups` tells which units run, and the collector counts as failed.

mod bus;
mod groups;
mod wire;

use model::Batch;

use crate::collector::{Collector, CollectorInfo, FlagInfo};
use crate::error::CollectError;
use crate::filter::Filter;
use crate::host::Host;
use crate::settings::{Settings, SettingsError};
use crate::sheet::{Head, Sheet, counter, gauge};

use bus::{Bus, CALLS_AT_ONCE};
use wire::{Call, Values};

/// The line in the list.
pub const INFO: CollectorInfo = CollectorInfo {
    name: "systemd",
    default_on: true,
    make: |settings| Ok(Box::new(Systemd::new(settings)?)),
    flags: &[INCLUDE, EXCLUDE, TASK_METRICS, RESTARTS, START_TIMES],
    doc: "The state of systemd's units over the system bus; without a bus, which units run, from control groups.",
};

const INCLUDE: FlagInfo = FlagInfo {
    name: "collector.systemd.unit-include",
    default: ".+",
    help: "Regexp of systemd units to include. Units must both match include and not match exclude to be included.",
};
const EXCLUDE: FlagInfo = FlagInfo {
    name: "collector.systemd.unit-exclude",
    default: ".+\\.(automount|device|mount|scope|slice|target)",
    help: "Regexp of systemd units to exclude. Units must both match include and not match exclude to be included.",
};
const TASK_METRICS: FlagInfo = FlagInfo {
    name: "collector.systemd.enable-task-metrics",
    default: "false",
    help: "Enables service unit tasks metrics unit_tasks_current and unit_tasks_max",
};
const RESTARTS: FlagInfo = FlagInfo {
    name: "collector.systemd.enable-restarts-metrics",
    default: "false",
    help: "Enables service unit metric service_restart_total",
};
const START_TIMES: FlagInfo = FlagInfo {
    name: "collector.systemd.enable-start-time-metrics",
    default: "false",
    help: "Enables service unit metric unit_start_time_seconds",
};

const NAME: &[&str] = &["name"];
static STATE: Head = gauge("node_systemd_unit_state", "Systemd unit", &["name", "state", "type"]);
static UNITS: Head = gauge("node_systemd_units", "Summary of systemd unit states", &["state"]);
static RUNNING: Head =
    gauge("node_systemd_system_running", "Whether the system is operational (see 'systemctl is-system-running')", &[]);
static VERSION: Head = gauge("node_systemd_version", "Detected systemd version", &["version"]);
static VIRTUALIZATION: Head =
    gauge("node_systemd_virtualization_info", "Detected virtualization technology", &["virtualization_type"]);
static START: Head =
    gauge("node_systemd_unit_start_time_seconds", "Start time of the unit since unix epoch in seconds.", NAME);
static TASKS: Head = gauge("node_systemd_unit_tasks_current", "Current number of tasks per Systemd unit", NAME);
static TASKS_MAX: Head = gauge("node_systemd_unit_tasks_max", "Maximum number of tasks per Systemd unit", NAME);
static RESTART: Head = counter("node_systemd_service_restart_total", "Service unit count of Restart triggers", NAME);
static TRIGGER: Head = gauge("node_systemd_timer_last_trigger_seconds", "Seconds since epoch of last trigger.", NAME);
static ACCEPTED: Head =
    counter("node_systemd_socket_accepted_connections_total", "Total number of accepted socket connections", NAME);
static CONNECTIONS: Head =
    gauge("node_systemd_socket_current_connections", "Current number of socket connections", NAME);
static REFUSED: Head =
    gauge("node_systemd_socket_refused_connections_total", "Total number of refused socket connections", NAME);

/// The states told of each unit, each 0 or 1.
const STATES: [&str; 5] = ["active", "activating", "deactivating", "inactive", "failed"];

/// All states, in the order of [`STATES`]; those after are counted where a unit is in them.
const ALL_STATES: [&str; 8] =
    [STATES[0], STATES[1], STATES[2], STATES[3], STATES[4], "maintenance", "refreshing", "reloading"];

const SYSTEMD: &str = "org.freedesktop.systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const MANAGER_PATH: &str = "/org/freedesktop/systemd1";
const UNIT: &str = "org.freedesktop.systemd1.Unit";
const SERVICE: &str = "org.freedesktop.systemd1.Service";
const TIMER: &str = "org.freedesktop.systemd1.Timer";
const SOCKET: &str = "org.freedesktop.systemd1.Socket";

const MICROSECONDS: f64 = 1e6;

/// The most units told; what is more is left out and blamed.
const UNITS_MAX: usize = 16_384;

/// A number that systemd does not know.
const UNKNOWN: u64 = u64::MAX;

/// A property of a unit: its interface, its name, its family, what one unit of it is worth, and for which units.
struct Property {
    interface: &'static str,
    name: &'static str,
    head: &'static Head,
    divisor: f64,
    end: &'static str,
}

static TIMES: [Property; 1] =
    [Property { interface: TIMER, name: "LastTriggerUSec", head: &TRIGGER, divisor: MICROSECONDS, end: ".timer" }];
static SOCKETS: [Property; 3] = [
    Property { interface: SOCKET, name: "NAccepted", head: &ACCEPTED, divisor: 1.0, end: ".socket" },
    Property { interface: SOCKET, name: "NConnections", head: &CONNECTIONS, divisor: 1.0, end: ".socket" },
    Property { interface: SOCKET, name: "NRefused", head: &REFUSED, divisor: 1.0, end: ".socket" },
];
static TASK_PROPERTIES: [Property; 2] = [
    Property { interface: SERVICE, name: "TasksCurrent", head: &TASKS, divisor: 1.0, end: ".service" },
    Property { interface: SERVICE, name: "TasksMax", head: &TASKS_MAX, divisor: 1.0, end: ".service" },
];
static RESTART_PROPERTIES: [Property; 1] =
    [Property { interface: SERVICE, name: "NRestarts", head: &RESTART, divisor: 1.0, end: ".service" }];
static START_PROPERTIES: [Property; 1] =
    [Property { interface: UNIT, name: "ActiveEnterTimestamp", head: &START, divisor: MICROSECONDS, end: "" }];

/// Asks systemd.
struct Systemd {
    filter: Filter,
    has_tasks: bool,
    has_restarts: bool,
    has_start_times: bool,
    bus: Option<Bus>,
    groups: groups::Groups,
    units: Units,
    calls: Vec<(u32, usize)>,
    sheet: Sheet,
}

/// The wanted units and how many units are in each state.
#[derive(Default)]
struct Units {
    text: String,
    list: Vec<Unit>,
    counts: [u64; ALL_STATES.len()],
}

/// A unit: its name and the path of its object as pieces of the text, and its state.
struct Unit {
    name: (usize, usize),
    path: (usize, usize),
    state: Option<usize>,
}

impl Units {
    fn name(&self, unit: &Unit) -> &str {
        &self.text[unit.name.0..unit.name.1]
    }

    fn path(&self, unit: &Unit) -> &str {
        &self.text[unit.path.0..unit.path.1]
    }

    /// Reads the answer to `ListUnits`: a list of name, description, load state, active state, sub state, followed
    /// unit, path, number of a job, its type, its path. Returns whether it is whole and within the limit.
    fn read(&mut self, body: &[u8], filter: &mut Filter) -> bool {
        self.text.clear();
        self.list.clear();
        self.counts = [0; ALL_STATES.len()];
        let mut values = Values::new(body);
        let Some(bytes) = values.number() else { return false };
        values.align(8);
        let end = values.position().saturating_add(bytes as usize);
        while values.position() < end {
            values.align(8);
            let Some([name, load, active, path]) = read_unit(&mut values) else { return false };
            let state = ALL_STATES.iter().position(|state| *state == active);
            if let Some(state) = state {
                self.counts[state] += 1;
            }
            if load != "loaded" || !filter.is_wanted(name) {
                continue;
            }
            if self.list.len() >= UNITS_MAX {
                return false;
            }
            let [name, path] = [name, path].map(|piece| {
                let start = self.text.len();
                self.text.push_str(piece);
                (start, self.text.len())
            });
            self.list.push(Unit { name, path, state });
        }
        true
    }
}

fn read_unit<'a>(values: &mut Values<'a>) -> Option<[&'a str; 4]> {
    let name = values.text()?;
    values.text()?;
    let load = values.text()?;
    let active = values.text()?;
    values.text()?;
    values.text()?;
    let path = values.text()?;
    values.number()?;
    values.text()?;
    values.text()?;
    Some([name, load, active, path])
}

impl Systemd {
    fn new(settings: &Settings) -> Result<Systemd, SettingsError> {
        Ok(Systemd {
            filter: Filter::whole(settings, (INCLUDE.name, INCLUDE.default), (EXCLUDE.name, EXCLUDE.default))?,
            has_tasks: settings.switch(TASK_METRICS.name, false)?,
            has_restarts: settings.switch(RESTARTS.name, false)?,
            has_start_times: settings.switch(START_TIMES.name, false)?,
            bus: None,
            groups: groups::Groups::default(),
            units: Units::default(),
            calls: Vec::new(),
            sheet: Sheet::default(),
        })
    }

    fn ask(&mut self, bus: &mut Bus) -> std::io::Result<bool> {
        let list = bus.call(&Call {
            destination: SYSTEMD,
            path: MANAGER_PATH,
            interface: MANAGER,
            member: "ListUnits",
            arguments: &[],
        });
        let facts = ["SystemState", "Version", "Virtualization"]
            .map(|property| bus.call(&get(MANAGER_PATH, &[MANAGER, property])));
        bus.send()?;
        let is_whole = bus.answer(list, |body| self.units.read(body, &mut self.filter))? == Some(true);
        for (serial, put) in facts.into_iter().zip([put_state, put_version, put_virtualization]) {
            bus.answer(serial, |body| {
                if let Some(text) = Values::new(body).text_variant() {
                    put(text, &mut self.sheet);
                }
            })?;
        }
        for (index, (state, count)) in ALL_STATES.iter().zip(self.units.counts).enumerate() {
            if count > 0 || index < STATES.len() {
                self.sheet.put(&UNITS, &[state], count as f64);
            }
        }
        self.ask_types(bus)?;
        self.ask_numbers(bus, &TIMES)?;
        self.ask_numbers(bus, &SOCKETS)?;
        if self.has_tasks {
            self.ask_numbers(bus, &TASK_PROPERTIES)?;
        }
        if self.has_restarts {
            self.ask_numbers(bus, &RESTART_PROPERTIES)?;
        }
        if self.has_start_times {
            self.ask_numbers(bus, &START_PROPERTIES)?;
        }
        Ok(is_whole)
    }

    /// Asks each service for its type, and tells the state of every unit.
    fn ask_types(&mut self, bus: &mut Bus) -> std::io::Result<()> {
        let Systemd { units, calls, sheet, .. } = self;
        let mut start = 0;
        while start < units.list.len() {
            let end = (start + CALLS_AT_ONCE).min(units.list.len());
            calls.clear();
            for unit in &units.list[start..end] {
                let is_service = units.name(unit).ends_with(".service");
                let serial = is_service.then(|| bus.call(&get(units.path(unit), &[SERVICE, "Type"])));
                calls.push((serial.unwrap_or(0), 0));
            }
            bus.send()?;
            for (unit, (serial, _)) in units.list[start..end].iter().zip(calls.iter()) {
                let mut put = |kind: &str| {
                    for (index, state) in STATES.iter().enumerate() {
                        let is_in = unit.state == Some(index);
                        sheet.put(&STATE, &[units.name(unit), state, kind], f64::from(u8::from(is_in)));
                    }
                };
                // What is no service has no type; a service that has just gone refuses to tell its own.
                let is_told = *serial != 0
                    && bus.answer(*serial, |body| put(Values::new(body).text_variant().unwrap_or("")))?.is_some();
                if !is_told {
                    put("");
                }
            }
            start = end;
        }
        Ok(())
    }

    /// Asks the units that have them for properties that are numbers.
    fn ask_numbers(&mut self, bus: &mut Bus, properties: &'static [Property]) -> std::io::Result<()> {
        let Systemd { units, calls, sheet, .. } = self;
        for property in properties {
            calls.clear();
            for (index, unit) in units.list.iter().enumerate() {
                let name = units.name(unit);
                if !name.ends_with(property.end) {
                    continue;
                }
                // Only what is active has a start.
                if std::ptr::eq(property.head, &START) && unit.state != Some(0) {
                    sheet.put(&START, &[name], 0.0);
                    continue;
                }
                calls.push((bus.call(&get(units.path(unit), &[property.interface, property.name])), index));
                if calls.len() >= CALLS_AT_ONCE {
                    read_numbers(bus, property, units, calls, sheet)?;
                }
            }
            read_numbers(bus, property, units, calls, sheet)?;
        }
        Ok(())
    }
}

/// Sends the calls and tells what is answered; a unit that has just gone refuses.
fn read_numbers(
    bus: &mut Bus,
    property: &'static Property,
    units: &Units,
    calls: &mut Vec<(u32, usize)>,
    sheet: &mut Sheet,
) -> std::io::Result<()> {
    bus.send()?;
    for (serial, index) in calls.drain(..) {
        let name = units.name(&units.list[index]);
        let value = bus.answer(serial, |body| Values::new(body).number_variant())?.flatten();
        let value = value.filter(|value| *value != UNKNOWN).map(|value| value as f64 / property.divisor);
        sheet.put_some(property.head, &[name], value);
    }
    Ok(())
}

/// Returns the call that asks for a property.
fn get<'a>(path: &'a str, arguments: &'a [&'a str]) -> Call<'a> {
    Call { destination: SYSTEMD, path, interface: "org.freedesktop.DBus.Properties", member: "Get", arguments }
}

fn put_state(state: &str, sheet: &mut Sheet) {
    sheet.put(&RUNNING, &[], f64::from(u8::from(state == "running")));
}

fn put_version(version: &str, sheet: &mut Sheet) {
    sheet.put_some(&VERSION, &[version], version_number(version));
}

fn put_virtualization(kind: &str, sheet: &mut Sheet) {
    sheet.put(&VIRTUALIZATION, &[if kind.is_empty() { "none" } else { kind }], 1.0);
}

/// Returns the first number of three digits or more, with a fraction: 252.38 of `252.38-1~deb12u1`.
fn version_number(text: &str) -> Option<f64> {
    let is_digit = |c: char| c.is_ascii_digit();
    let digits = text.split(|c| !is_digit(c)).find(|digits| digits.len() >= 3)?;
    let start = digits.as_ptr() as usize - text.as_ptr() as usize;
    let rest = &text[start + digits.len()..];
    let fraction = rest.strip_prefix('.').map_or("", |rest| &rest[..rest.find(|c| !is_digit(c)).unwrap_or(rest.len())]);
    let bytes = digits.len() + if fraction.is_empty() { 0 } else { 1 + fraction.len() };
    text[start..start + bytes].parse().ok()
}

impl Collector for Systemd {
    fn name(&self) -> &'static str {
        INFO.name
    }

    fn collect(&mut self, host: &Host, out: &mut Batch) -> Result<(), CollectError> {
        let bus = match self.bus.take() {
            Some(bus) => Ok(bus),
            None => host.system.system_bus().and_then(Bus::new),
        };
        let Ok(mut bus) = bus else {
            let told = self.groups.collect(host, &mut self.filter, self.has_tasks, &mut self.sheet);
            self.sheet.tell(out);
            return Err(match told? {
                true => CollectError::absent("the system bus (only units that run are told)"),
                false => CollectError::absent("systemd"),
            });
        };
        let asked = self.ask(&mut bus);
        self.sheet.tell(out);
        match asked {
            Ok(is_whole) => {
                self.bus = Some(bus);
                let expected = "a whole list of at most 16,384 units";
                if is_whole { Ok(()) } else { Err(CollectError::malformed("systemd".as_ref(), 0, expected)) }
            }
            Err(source) => Err(CollectError::Io { path: "systemd".into(), source }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_its_first_long_number() {
        for (text, expected) in [
            ("252.38-1~deb12u1", Some(252.38)),
            ("257", Some(257.0)),
            ("v239 (239-82.el8)", Some(239.0)),
            ("255.", Some(255.0)),
            ("12.3", None),
            ("", None),
        ] {
            assert_eq!(version_number(text), expected, "{text}");
        }
    }
}
