//! What node_exporter 1.11.1 has a flag for and nothing here serves yet.
//!
//! A unit file written for the peer carries over: these flags are accepted, change nothing, and are told apart so
//! that the command line can warn. A collector that comes here takes its flags out of this list; a test holds that
//! no name is in both. A name that ends in `=` takes a value, the others are switches.

use crate::settings::FlagUse;

const NAMES: &str = "\
collector.drbd \
collector.filesystem.mount-timeout= collector.filesystem.stat-workers= \
collector.lnstat collector.logind collector.netclass_rtnl.with-stats \
collector.ntp collector.ntp.ip-ttl= collector.ntp.local-offset-tolerance= collector.ntp.max-distance= \
collector.ntp.protocol-version= collector.ntp.server= collector.ntp.server-is-local collector.ntp.server-port= \
collector.pcidevice collector.pcidevice.idsfile= collector.pcidevice.names collector.perf \
collector.perf.cache-profilers= collector.perf.cpus= collector.perf.disable-cache-profilers \
collector.perf.disable-hardware-profilers collector.perf.disable-software-profilers \
collector.perf.hardware-profilers= collector.perf.software-profilers= collector.perf.tracepoint= collector.runit \
collector.runit.servicedir= collector.supervisord collector.supervisord.url= \
collector.xfrm log.format= log.level= runtime.gomaxprocs= \
web.config.file= web.disable-exporter-metrics web.listen-address= web.max-requests= web.systemd-socket \
web.telemetry-path=";

/// Returns what a flag of the peer's needs.
pub fn flag_use(flag: &str) -> Option<FlagUse> {
    NAMES.split(' ').find_map(|entry| {
        let (name, takes_value) = entry.strip_suffix('=').map_or((entry, false), |name| (name, true));
        (name == flag).then_some(FlagUse { takes_value, is_served: false })
    })
}

/// Returns the names of all such flags.
pub fn names() -> impl Iterator<Item = &'static str> {
    NAMES.split(' ').map(|entry| entry.trim_end_matches('='))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::COLLECTORS;

    #[test]
    fn no_flag_is_served_and_unserved_at_once() {
        for info in COLLECTORS {
            let collector = format!("collector.{}", info.name);
            let own = info.flags.iter().map(|flag| flag.name).chain([collector.as_str()]);
            for flag in own {
                assert_eq!(flag_use(flag), None, "{flag} is in both lists");
            }
        }
    }

    #[test]
    fn names_are_sorted_and_whole() {
        let all: Vec<&str> = names().collect();
        assert!(all.is_sorted() && all.iter().all(|name| !name.is_empty()), "{all:?}");
    }
}
