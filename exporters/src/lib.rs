//! The collectors: what a board tells about itself, under node_exporter's names.
//!
//! [`COLLECTORS`] is the list; each line is one file and one cargo feature. A collector reads a [`Host`] (a value,
//! so that a folder of fixtures is the fake) and fills a batch. [`lane`] makes the set that [`Settings`] ask for,
//! [`Lane::collect`] runs it. Names, labels, help, types, flags and values are those of node_exporter 1.11.1;
//! where we do better on purpose, `DIFFERENCES.md` says so and a test holds it.
//!
//! Nothing here has a thread or waits by a clock; what blocks on hardware is `gpio`, which has a lane of its own.

// What several collectors share stands partly idle on a board that leaves some of them out, and nowhere else.
#![cfg_attr(not(feature = "every"), allow(dead_code))]

pub mod collector;
pub mod error;
#[cfg(feature = "gpio")]
pub mod gpio;
pub mod host;
pub mod lane;
pub mod netlink;
pub mod selection;
pub mod settings;
pub mod system;
pub mod waiting;

mod columns;
mod fields;
mod filter;
mod folder;
mod humane;
mod links;
mod named;
mod number;
mod objects;
mod peer;
mod procedures;
mod sheet;
mod shelf;
mod single;

#[cfg(feature = "arp")]
mod arp;
#[cfg(feature = "bcache")]
mod bcache;
#[cfg(feature = "bcachefs")]
mod bcachefs;
#[cfg(feature = "bonding")]
mod bonding;
#[cfg(feature = "btrfs")]
mod btrfs;
#[cfg(feature = "buddyinfo")]
mod buddyinfo;
#[cfg(feature = "cgroups")]
mod cgroups;
#[cfg(feature = "conntrack")]
mod conntrack;
#[cfg(feature = "cpu")]
mod cpu;
#[cfg(feature = "cpu_vulnerabilities")]
mod cpu_vulnerabilities;
#[cfg(feature = "cpufreq")]
mod cpufreq;
#[cfg(feature = "diskstats")]
mod diskstats;
#[cfg(feature = "dmi")]
mod dmi;
#[cfg(feature = "drm")]
mod drm;
#[cfg(feature = "edac")]
mod edac;
#[cfg(feature = "entropy")]
mod entropy;
#[cfg(feature = "ethtool")]
mod ethtool;
#[cfg(feature = "fibrechannel")]
mod fibrechannel;
#[cfg(feature = "filefd")]
mod filefd;
#[cfg(feature = "filesystem")]
mod filesystem;
#[cfg(feature = "hwmon")]
mod hwmon;
#[cfg(feature = "infiniband")]
mod infiniband;
#[cfg(feature = "interrupts")]
mod interrupts;
#[cfg(feature = "ipvs")]
mod ipvs;
#[cfg(feature = "kernel_hung")]
mod kernel_hung;
#[cfg(feature = "ksmd")]
mod ksmd;
#[cfg(feature = "loadavg")]
mod loadavg;
#[cfg(feature = "mdadm")]
mod mdadm;
#[cfg(feature = "meminfo")]
mod meminfo;
#[cfg(feature = "meminfo_numa")]
mod meminfo_numa;
#[cfg(feature = "mountstats")]
mod mountstats;
#[cfg(feature = "netclass")]
mod netclass;
#[cfg(feature = "netdev")]
mod netdev;
#[cfg(feature = "netstat")]
mod netstat;
#[cfg(feature = "network_route")]
mod network_route;
#[cfg(feature = "nfs")]
mod nfs;
#[cfg(feature = "nfsd")]
mod nfsd;
#[cfg(feature = "nvme")]
mod nvme;
#[cfg(feature = "os")]
mod os;
#[cfg(feature = "powersupplyclass")]
mod powersupplyclass;
#[cfg(feature = "pressure")]
mod pressure;
#[cfg(feature = "processes")]
mod processes;
#[cfg(feature = "qdisc")]
mod qdisc;
#[cfg(feature = "rapl")]
mod rapl;
#[cfg(feature = "schedstat")]
mod schedstat;
#[cfg(feature = "selinux")]
mod selinux;
#[cfg(feature = "slabinfo")]
mod slabinfo;
#[cfg(feature = "sockstat")]
mod sockstat;
#[cfg(feature = "softirqs")]
mod softirqs;
#[cfg(feature = "softnet")]
mod softnet;
#[cfg(feature = "stat")]
mod stat;
#[cfg(feature = "swap")]
mod swap;
#[cfg(feature = "sysctl")]
mod sysctl;
#[cfg(feature = "systemd")]
mod systemd;
#[cfg(feature = "tapestats")]
mod tapestats;
#[cfg(feature = "tcpstat")]
mod tcpstat;
#[cfg(feature = "textfile")]
mod textfile;
#[cfg(feature = "thermal_zone")]
mod thermal_zone;
#[cfg(feature = "time")]
mod time;
#[cfg(feature = "timex")]
mod timex;
#[cfg(feature = "udp_queues")]
mod udp_queues;
#[cfg(feature = "uname")]
mod uname;
#[cfg(feature = "vmstat")]
mod vmstat;
#[cfg(feature = "watchdog")]
mod watchdog;
#[cfg(feature = "wifi")]
mod wifi;
#[cfg(feature = "xfs")]
mod xfs;
#[cfg(feature = "zfs")]
mod zfs;
#[cfg(feature = "zoneinfo")]
mod zoneinfo;

pub use collector::{Collector, CollectorInfo, FlagInfo};
pub use error::CollectError;
pub use host::Host;
pub use lane::{Failure, Lane, Progress};
pub use selection::Selection;
pub use settings::{FlagUse, Settings, SettingsError, SettingsErrors, flag_use, lane, lane_beside};
pub use system::{Space, System, Timex, Uname};
pub use waiting::Waiting;

/// Every collector, in the order in which they run. `textfile` runs last, because what it reads gives way to what
/// the others say under the same name.
pub const COLLECTORS: &[CollectorInfo] = &[
    #[cfg(feature = "arp")]
    arp::INFO,
    #[cfg(feature = "bcache")]
    bcache::INFO,
    #[cfg(feature = "bcachefs")]
    bcachefs::INFO,
    #[cfg(feature = "bonding")]
    bonding::INFO,
    #[cfg(feature = "btrfs")]
    btrfs::INFO,
    #[cfg(feature = "buddyinfo")]
    buddyinfo::INFO,
    #[cfg(feature = "cgroups")]
    cgroups::INFO,
    #[cfg(feature = "conntrack")]
    conntrack::INFO,
    #[cfg(feature = "cpu")]
    cpu::INFO,
    #[cfg(feature = "cpu_vulnerabilities")]
    cpu_vulnerabilities::INFO,
    #[cfg(feature = "cpufreq")]
    cpufreq::INFO,
    #[cfg(feature = "diskstats")]
    diskstats::INFO,
    #[cfg(feature = "dmi")]
    dmi::INFO,
    #[cfg(feature = "drm")]
    drm::INFO,
    #[cfg(feature = "edac")]
    edac::INFO,
    #[cfg(feature = "entropy")]
    entropy::INFO,
    #[cfg(feature = "ethtool")]
    ethtool::INFO,
    #[cfg(feature = "fibrechannel")]
    fibrechannel::INFO,
    #[cfg(feature = "filefd")]
    filefd::INFO,
    #[cfg(feature = "filesystem")]
    filesystem::INFO,
    #[cfg(feature = "hwmon")]
    hwmon::INFO,
    #[cfg(feature = "infiniband")]
    infiniband::INFO,
    #[cfg(feature = "interrupts")]
    interrupts::INFO,
    #[cfg(feature = "ipvs")]
    ipvs::INFO,
    #[cfg(feature = "kernel_hung")]
    kernel_hung::INFO,
    #[cfg(feature = "ksmd")]
    ksmd::INFO,
    #[cfg(feature = "loadavg")]
    loadavg::INFO,
    #[cfg(feature = "mdadm")]
    mdadm::INFO,
    #[cfg(feature = "meminfo")]
    meminfo::INFO,
    #[cfg(feature = "meminfo_numa")]
    meminfo_numa::INFO,
    #[cfg(feature = "mountstats")]
    mountstats::INFO,
    #[cfg(feature = "netclass")]
    netclass::INFO,
    #[cfg(feature = "netdev")]
    netdev::INFO,
    #[cfg(feature = "netstat")]
    netstat::INFO,
    #[cfg(feature = "network_route")]
    network_route::INFO,
    #[cfg(feature = "nfs")]
    nfs::INFO,
    #[cfg(feature = "nfsd")]
    nfsd::INFO,
    #[cfg(feature = "nvme")]
    nvme::INFO,
    #[cfg(feature = "os")]
    os::INFO,
    #[cfg(feature = "powersupplyclass")]
    powersupplyclass::INFO,
    #[cfg(feature = "pressure")]
    pressure::INFO,
    #[cfg(feature = "processes")]
    processes::INFO,
    #[cfg(feature = "qdisc")]
    qdisc::INFO,
    #[cfg(feature = "rapl")]
    rapl::INFO,
    #[cfg(feature = "schedstat")]
    schedstat::INFO,
    #[cfg(feature = "selinux")]
    selinux::INFO,
    #[cfg(feature = "slabinfo")]
    slabinfo::INFO,
    #[cfg(feature = "sockstat")]
    sockstat::INFO,
    #[cfg(feature = "softirqs")]
    softirqs::INFO,
    #[cfg(feature = "softnet")]
    softnet::INFO,
    #[cfg(feature = "stat")]
    stat::INFO,
    #[cfg(feature = "swap")]
    swap::INFO,
    #[cfg(feature = "sysctl")]
    sysctl::INFO,
    #[cfg(feature = "systemd")]
    systemd::INFO,
    #[cfg(feature = "tapestats")]
    tapestats::INFO,
    #[cfg(feature = "tcpstat")]
    tcpstat::INFO,
    #[cfg(feature = "thermal_zone")]
    thermal_zone::INFO,
    #[cfg(feature = "time")]
    time::INFO,
    #[cfg(feature = "timex")]
    timex::INFO,
    #[cfg(feature = "udp_queues")]
    udp_queues::INFO,
    #[cfg(feature = "uname")]
    uname::INFO,
    #[cfg(feature = "vmstat")]
    vmstat::INFO,
    #[cfg(feature = "watchdog")]
    watchdog::INFO,
    #[cfg(feature = "wifi")]
    wifi::INFO,
    #[cfg(feature = "xfs")]
    xfs::INFO,
    #[cfg(feature = "zfs")]
    zfs::INFO,
    #[cfg(feature = "zoneinfo")]
    zoneinfo::INFO,
    #[cfg(feature = "textfile")]
    textfile::INFO,
];
