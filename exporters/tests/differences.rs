//! What is in `DIFFERENCES.md`: where the peer drops everything or errs, and we keep the good part.
//!
//! One case is some files, a collector, the rows we tell of one family, and whether the collector succeeded.

use std::fs;

use crate::support::{Folder, Table, lane_over, printed, space};

/// Writes files below a fresh folder, runs one collector, and compares a family's rows.
fn check(collector: &str, files: &[(&str, &str)], family: &str, rows: &[&str], is_success: bool) {
    static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let folder = Folder::new(&format!("differences-{count}"));
    for (path, text) in files {
        let path = folder.0.join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder can be made");
        fs::write(path, text).expect("a file can be written");
    }
    let on = format!("collector.{collector}");
    let directory = format!("collector.textfile.directory={}", folder.0.join("textfile").display());
    let root = format!("path.rootfs={}", folder.0.display());
    let no_netlink = ["no-collector.netdev.netlink", "no-collector.arp.netlink"];
    let flags = ["collector.disable-defaults", &on, &directory, no_netlink[0], no_netlink[1], &root];
    let spaces = vec![(folder.0.clone(), space(1, 1, 1, 1)), (folder.0.join("data"), space(2, 2, 2, 2))];
    let mut lane = lane_over(&folder.0, &flags, Box::new(Table { spaces }));
    let text = printed(&mut lane).replace(&folder.0.display().to_string(), "");
    let found: Vec<&str> = text.lines().filter(|line| line.starts_with(family)).collect();
    assert_eq!(found, rows, "{collector}: {files:?}");
    let success = format!("success{{collector=\"{collector}\"}} {}\n", u8::from(is_success));
    assert!(text.contains(&success), "{collector}: {files:?}");
    let failed = lane.failures().iter().filter(|failure| !failure.error.is_success()).count();
    assert_eq!(failed, usize::from(!is_success), "{:?}", lane.failures());
}

#[test]
fn good_lines_are_kept() {
    check("loadavg", &[("proc/loadavg", "1 x 3\n")], "node_load", &["node_load1 1", "node_load15 3"], false);
    let meminfo = "MemTotal: 1 kB\nTwo words: 1 kB\nMemFree: 1 kB\n";
    let rows = ["node_memory_MemFree_bytes 1024", "node_memory_MemTotal_bytes 1024"];
    check("meminfo", &[("proc/meminfo", meminfo)], "node_memory", &rows, false);
    let stat = "cpu0 100\ncpu1 x\nintr 5\nctxt y\n";
    let row = "node_cpu_seconds_total{cpu=\"0\",mode=\"user\"} 1";
    check("cpu", &[("proc/stat", stat)], "node_cpu_seconds_total{cpu=\"0\",mode=\"user\"}", &[row], false);
    check("stat", &[("proc/stat", stat)], "node_intr_total", &["node_intr_total 5"], false);
    check("stat", &[("proc/stat", stat)], "node_context", &[], false);
    let diskstats = "8 0 sda 7 2 3 4 5 6 7 8 9 10 11\n8 1 x 1 y\n";
    let row = "node_disk_reads_completed_total{device=\"sda\"} 7";
    check("diskstats", &[("proc/diskstats", diskstats)], "node_disk_reads_completed", &[row], false);
}

#[test]
fn the_good_files_and_lines_of_a_collector_are_kept() {
    check(
        "entropy",
        &[("proc/sys/kernel/random/poolsize", "256\n")],
        "node_entropy",
        &["node_entropy_pool_size_bits 256"],
        false,
    );
    check(
        "filefd",
        &[("proc/sys/fs/file-nr", "5 0 9\n")],
        "node_filefd",
        &["node_filefd_allocated 5", "node_filefd_maximum 9"],
        true,
    );
    let softnet = "1 2 3\na 1 2 3 4 5 6 7 8\n";
    check(
        "softnet",
        &[("proc/net/softnet_stat", softnet)],
        "node_softnet_processed",
        &["node_softnet_processed_total{cpu=\"1\"} 10"],
        false,
    );
    let schedstat = "cpu0 1 2\ncpu1 1 2 3 4 5 6 7 8 9\n";
    check(
        "schedstat",
        &[("proc/schedstat", schedstat)],
        "node_schedstat_times",
        &["node_schedstat_timeslices_total{cpu=\"1\"} 9"],
        false,
    );
    let good = "some avg10=0.00 total=2000000\nfull avg10=0.00 total=1000000\n";
    let pressure = [("proc/pressure/cpu", "x\n"), ("proc/pressure/io", "\n"), ("proc/pressure/memory", good)];
    let rows = ["node_pressure_memory_stalled_seconds_total 1", "node_pressure_memory_waiting_seconds_total 2"];
    check("pressure", &pressure, "node_pressure", &rows, false);
    let netstat = "TcpExt: SyncookiesSent\nTcpExt: 1 2\nIpExt: InOctets OutOctets\nIpExt: x 4\n";
    let snmp = "Udp: InErrors\nUdp: 7\n";
    let rows = ["node_netstat_IpExt_OutOctets 4", "node_netstat_Udp_InErrors 7"];
    check("netstat", &[("proc/net/netstat", netstat), ("proc/net/snmp", snmp)], "node_netstat", &rows, false);
    let sockstat = "sockets: used 3\nTCP: inuse\nRAW: inuse 2\n";
    let rows = ["node_sockstat_RAW_inuse 2", "node_sockstat_sockets_used 3"];
    check("sockstat", &[("proc/net/sockstat", sockstat)], "node_sockstat", &rows, false);
    let vmstat = "pgpgin abc\npgfault 12\n";
    check("vmstat", &[("proc/vmstat", vmstat)], "node_vmstat", &["node_vmstat_pgfault 12"], false);
    let arp = "IP address\n10.0.0.1 0x1\n10.0.0.2 0x1 0x2 02:00:00:00:00:01 * eth0\n";
    check("arp", &[("proc/net/arp", arp)], "node_arp", &["node_arp_entries{device=\"eth0\"} 1"], false);
    let socket = " 0: 00000000:0016 00000000:0000 0A 00000015:0000000a 00:00000000\n";
    let udp = ["head\n x\n", socket].concat();
    let rows = ["node_udp_queues{ip=\"v4\",queue=\"rx\"} 10", "node_udp_queues{ip=\"v4\",queue=\"tx\"} 21"];
    check("udp_queues", &[("proc/net/udp", &udp)], "node_udp", &rows, false);
    let conntrack = [
        ("proc/sys/net/netfilter/nf_conntrack_count", "1\n"),
        ("proc/sys/net/netfilter/nf_conntrack_max", "2\n"),
        ("proc/net/stat/nf_conntrack", "head\n1 2 3\n1 2 3 4 5 6 7 8 9 a b c d e f 10 11\n"),
    ];
    check("conntrack", &conntrack, "node_nf_conntrack_stat_drop", &["node_nf_conntrack_stat_drop 11"], false);
    let release = "NAME=\"x\nID=y\nVERSION_ID=3\n";
    check(
        "os",
        &[("etc/os-release", release)],
        "node_os_version",
        &["node_os_version{id=\"y\",id_like=\"\",name=\"\"} 3"],
        false,
    );
}

#[test]
fn devices_keep_their_good_files() {
    let net = [
        ("sys/class/net/a/mtu", "wide\n"),
        ("sys/class/net/a/flags", "0x1003\n"),
        ("sys/class/net/a/carrier", "\n"),
        ("sys/class/net/b/mtu", "1500\n"),
    ];
    check("netclass", &net, "node_network_mtu", &["node_network_mtu_bytes{device=\"b\"} 1500"], false);
    check("netclass", &net[1..], "node_network_carrier", &["node_network_carrier{device=\"a\"} 0"], true);
    let cpu = |file: &str| format!("sys/devices/system/cpu/cpu0/cpufreq/{file}");
    let (now, least, most) = (cpu("scaling_cur_freq"), cpu("scaling_min_freq"), cpu("scaling_max_freq"));
    let row = "node_cpu_scaling_frequency_hertz{cpu=\"0\"} 5000";
    check("cpufreq", &[(&now, "5\n"), (&least, "1\n")], "node_cpu_scaling_frequency_hertz", &[row], true);
    check("cpufreq", &[(&now, "5\n"), (&most, "fast\n")], "node_cpu_scaling_frequency", &[row], false);
    let hwmon = [
        ("sys/class/hwmon/hwmon0/name", "chip\n"),
        ("sys/class/hwmon/hwmon0/temp1_input", "hot\n"),
        ("sys/class/hwmon/hwmon0/temp2_input", "5000\n"),
    ];
    let row = "node_hwmon_temp_celsius{chip=\"chip\",sensor=\"temp2\"} 5";
    check("hwmon", &hwmon, "node_hwmon_temp", &[row], true);
}

#[test]
fn odd_network_lines_end_nothing() {
    let short = "\n\n a: 1 2 3\n b: 7 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n";
    let row = "node_network_receive_bytes_total{device=\"b\"} 7";
    check("netdev", &[("proc/net/dev", short)], "node_network_receive_bytes", &[row], false);
    let long = "\n\n b: 7 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n";
    check("netdev", &[("proc/net/dev", long)], "node_network_receive_bytes", &[row], true);
}

#[test]
fn mounts_say_what_the_kernel_says() {
    let line = "24 1 8:1 / / ro,noatime shared:1 - ext4 /dev/root ro,errors=remount-ro\n";
    let row = "node_filesystem_readonly{device=\"/dev/root\",device_error=\"\",fstype=\"ext4\",mountpoint=\"/\"} 1";
    check("filesystem", &[("proc/1/mountinfo", line)], "node_filesystem_readonly", &[row], true);
    let odd = format!("{line}25 24 bad\n");
    check("filesystem", &[("proc/1/mountinfo", &odd)], "node_filesystem_readonly", &[row], false);
    let later = format!("24 1 8:1 / / rw - ext4 /dev/root rw\n{line}");
    check("filesystem", &[("proc/1/mountinfo", &later)], "node_filesystem_readonly", &[row], true);
}

#[test]
fn a_disk_rotates_when_its_own_file_says_so() {
    let files = [("proc/diskstats", "8 0 sda 1 2 3 4 5 6 7 8 9 10 11\n"), ("sys/block/sda/queue/rotational", "1\n")];
    let row = "node_disk_info{device=\"sda\",major=\"8\",minor=\"0\",model=\"\",path=\"\",revision=\"\",rotational=\"1\",\
               serial=\"\",wwn=\"\"} 1";
    check("diskstats", &files, "node_disk_info", &[row], true);
}

#[test]
fn heat_that_is_no_number_is_left_out() {
    let zone = [
        ("sys/class/thermal/thermal_zone0/temp", "hot\n"),
        ("sys/class/thermal/thermal_zone1/temp", "5000\n"),
        ("sys/class/thermal/thermal_zone1/type", "cpu\n"),
    ];
    check("thermal_zone", &zone, "node_thermal", &["node_thermal_zone_temp{type=\"cpu\",zone=\"1\"} 5"], false);
    let cooling = [
        ("sys/class/thermal/cooling_device0/cur_state", "x\n"),
        ("sys/class/thermal/cooling_device0/max_state", "3\n"),
        ("sys/class/thermal/cooling_device1/cur_state", "1\n"),
        ("sys/class/thermal/cooling_device1/max_state", "3\n"),
        ("sys/class/thermal/cooling_device1/type", "fan\n"),
    ];
    let row = "node_cooling_device_cur_state{name=\"1\",type=\"fan\"} 1";
    check("thermal_zone", &cooling, "node_cooling_device_cur", &[row], false);
}

#[test]
fn empty_labels_make_no_series_of_their_own() {
    let files = [("textfile/a.prom", "m{x=\"1\"} 1\n"), ("textfile/b.prom", "m{x=\"1\",y=\"\"} 2\nm{y=\"2\"} 3\n")];
    check("textfile", &files, "m{", &["m{x=\"1\"} 1", "m{x=\"\",y=\"2\"} 3"], true);
}

/// As the peer's registry has it (tried with 1.11.1): the first file counts. Found by fuzzing: what we told did not parse.
#[test]
fn a_histogram_and_its_rows_are_not_told_twice() {
    let histogram = "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 2\nh_sum 1\nh_count 2\n";
    let twins = "h_count 7\nh_sum 8\nh_bucket{le=\"3\"} 9\nh_other 1\n";
    let files = [("textfile/a.prom", histogram), ("textfile/b.prom", twins)];
    check("textfile", &files, "h_", &["h_bucket{le=\"+Inf\"} 2", "h_sum 1", "h_count 2", "h_other 1"], true);
    let files = [("textfile/a.prom", twins), ("textfile/b.prom", histogram)];
    check("textfile", &files, "h_", &["h_bucket{le=\"3\"} 9", "h_count 7", "h_other 1", "h_sum 8"], true);
    let summary = "# TYPE h summary\nh_sum 1\nh_count 2\n";
    let files = [("textfile/a.prom", summary), ("textfile/b.prom", twins)];
    check("textfile", &files, "h_", &["h_sum 1", "h_count 2", "h_bucket{le=\"3\"} 9", "h_other 1"], true);
}

#[test]
fn one_bad_file_or_line_hides_no_other() {
    let watchdog = [("sys/class/watchdog/watchdog0/timeout", "x\n"), ("sys/class/watchdog/watchdog1/timeout", "60\n")];
    let row = "node_watchdog_timeout_seconds{name=\"watchdog1\"} 60";
    check("watchdog", &watchdog, "node_watchdog_timeout", &[row], false);
    let supplies = [("sys/class/power_supply/a/online", "x\n"), ("sys/class/power_supply/b/online", "1\n")];
    let row = "node_power_supply_online{power_supply=\"b\"} 1";
    check("powersupplyclass", &supplies, "node_power_supply_online", &[row], false);
    let swaps = "Filename Type Size Used Priority\n/dev/a partition 1 2\n/dev/b partition 4 2 -1\n";
    let row = "node_swap_size_bytes{device=\"/dev/b\",swap_type=\"partition\"} 4096";
    check("swap", &[("proc/swaps", swaps)], "node_swap_size", &[row], false);
    let row = "node_cgroups_cgroups{subsys_name=\"pids\"} 7";
    check("cgroups", &[("proc/cgroups", "cpu 1\npids 1 7 1\n")], "node_cgroups_cgroups", &[row], false);
    let interrupts = "  CPU0 CPU1\n 1: x 5 chip device\n";
    let row = "node_interrupts_total{cpu=\"1\",devices=\"device\",info=\"chip\",type=\"1\"} 5";
    check("interrupts", &[("proc/interrupts", interrupts)], "node_interrupts", &[row], false);
    let mdstat = "md0 : active raid1 a[0]\n  odd\nmd1 : active raid1 a[0] b[1]\n  9 blocks [2/2] [UU]\n";
    check("mdadm", &[("proc/mdstat", mdstat)], "node_md_blocks{", &["node_md_blocks{device=\"md1\"} 9"], false);
    let bonds = [
        ("sys/class/net/bonding_masters", "bond0 bond1\n"),
        ("sys/class/net/bond1/bonding/slaves", "eth0\n"),
        ("sys/class/net/bond1/lower_eth0/bonding_slave/mii_status", "up\n"),
    ];
    check("bonding", &bonds, "node_bonding_active", &["node_bonding_active{master=\"bond1\"} 1"], false);
    let slabs = "slabinfo - version: 2.1\na 1 2\nb 1 2 3 4 5\n";
    let row = "node_slabinfo_objects{slab=\"b\"} 2";
    check("slabinfo", &[("proc/slabinfo", slabs)], "node_slabinfo_objects{", &[row], false);
    let rapl = [
        ("sys/class/powercap/a/name", "core\n"),
        ("sys/class/powercap/a/energy_uj", "x\n"),
        ("sys/class/powercap/b/name", "dram\n"),
        ("sys/class/powercap/b/energy_uj", "5000000\n"),
    ];
    let row = "node_rapl_dram_joules_total{index=\"0\",path=\"/sys/class/powercap/b\"} 5";
    check("rapl", &rapl, "node_rapl", &[row], false);
    let nfs = "net 1 x 3 4\nrpc 5 6 7\n";
    check("nfs", &[("proc/net/rpc/nfs", nfs)], "node_nfs_rpcs_total", &["node_nfs_rpcs_total 5"], false);
    let xfs = [("sys/fs/xfs/a/stats/stats", "rw x 1\n"), ("sys/fs/xfs/b/stats/stats", "rw 7 1\n")];
    check("xfs", &xfs, "node_xfs_write_calls", &["node_xfs_write_calls_total{device=\"b\"} 7"], false);
    let zones = "Node 0, zone A\n  nr_dirty x\n  min 3\n";
    let row = "node_zoneinfo_min_pages{node=\"0\",zone=\"A\"} 3";
    check("zoneinfo", &[("proc/zoneinfo", zones)], "node_zoneinfo", &[row], false);
    let ipvs = "TCP C0A80016:0CEA wlc\n  -> C0A85216:0CEA Tunnel 100 248\n  -> C0A85217:0CEA Tunnel 100 248 2\n";
    let stats = "\n\n 1 2 3 4 5\n";
    let row = "node_ipvs_backend_weight{local_address=\"192.168.0.22\",local_mark=\"\",local_port=\"3306\",proto=\"TCP\",\
               remote_address=\"192.168.82.23\",remote_port=\"3306\"} 100";
    let files = [("proc/net/ip_vs", ipvs), ("proc/net/ip_vs_stats", stats)];
    check("ipvs", &files, "node_ipvs_backend_weight", &[row], false);
}

#[test]
fn paths_count_for_selinux() {
    let on = [("sys/fs/selinux/enforce", "1"), ("proc/self/attr/current", "system_u:system_r:init_t:s0\0")];
    check("selinux", &on, "node_selinux_enabled", &["node_selinux_enabled 1"], true);
    let early = [("sys/fs/selinux/enforce", "1"), ("proc/self/attr/current", "kernel\0")];
    check("selinux", &early, "node_selinux_enabled", &["node_selinux_enabled 0"], true);
}

/// The peer's netlink does not list what this machine answers for; its file does.
#[test]
fn neighbours_are_those_that_netlink_lists() {
    let arp = "IP address\n1.1.1.1 0x1 0xc 00:00:00:00:00:00 * d0\n1.1.1.2 0x1 0x6 02:00:00:00:00:02 * d0\n";
    let folder = Folder::new("differences-arp");
    fs::create_dir_all(folder.0.join("proc/net")).expect("a folder can be made");
    fs::write(folder.0.join("proc/net/arp"), arp).expect("a file can be written");
    for (flag, count) in [("collector.arp.netlink", 1), ("no-collector.arp.netlink", 2)] {
        let flags = ["collector.disable-defaults", "collector.arp", flag];
        let text = printed(&mut lane_over(&folder.0, &flags, Box::new(Table { spaces: Vec::new() })));
        assert!(text.contains(&format!("node_arp_entries{{device=\"d0\"}} {count}\n")), "{flag}: {text}");
    }
}

#[test]
fn every_kind_of_line_or_file_that_is_odd_hides_no_other() {
    // The kernel says no such number; a damaged file did, and the sum overflowed.
    let stat = |threads: &str| format!("1 (a) S 0 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 {threads} 0 4\n");
    let (many, some) = (stat("18446744073709551615"), stat("2"));
    let row = "node_processes_threads 1.8446744073709552e+19";
    check("processes", &[("proc/1/stat", &many), ("proc/2/stat", &some)], "node_processes_threads ", &[row], true);
    let edac = [
        ("sys/devices/system/edac/mc/mc0/ce_count", "x\n"),
        ("sys/devices/system/edac/mc/mc0/ue_count", "5\n"),
        ("sys/devices/system/edac/mc/mc1/ce_count", "2\n"),
    ];
    let row = "node_edac_correctable_errors_total{controller=\"1\"} 2";
    check("edac", &edac, "node_edac_correctable", &[row], false);
    check("edac", &edac, "node_edac_uncorr", &["node_edac_uncorrectable_errors_total{controller=\"0\"} 5"], false);
    let softirqs = "CPU0 CPU1\nHI: 1 x\nTIMER: 3 4\n";
    let rows = [
        "node_softirqs_functions_total{cpu=\"0\",type=\"HI\"} 1",
        "node_softirqs_functions_total{cpu=\"0\",type=\"TIMER\"} 3",
        "node_softirqs_functions_total{cpu=\"1\",type=\"TIMER\"} 4",
    ];
    check("softirqs", &[("proc/softirqs", softirqs)], "node_softirqs", &rows, false);
    let buddies = "Node 0, zone Low 1 x\nNode 0, zone High 7\n";
    let rows = [
        "node_buddyinfo_blocks{node=\"0\",size=\"0\",zone=\"High\"} 7",
        "node_buddyinfo_blocks{node=\"0\",size=\"0\",zone=\"Low\"} 1",
    ];
    check("buddyinfo", &[("proc/buddyinfo", buddies)], "node_buddyinfo", &rows, false);
    let nfsd = "rc 1 x 3\nth 8 0\nnet 4 5 6 7\n";
    check("nfsd", &[("proc/net/rpc/nfsd", nfsd)], "node_nfsd_server_threads", &["node_nfsd_server_threads 8"], false);
}

#[test]
fn files_that_older_kernels_lack_hide_no_other() {
    let nvme =
        [("sys/class/nvme/nvme0/model", "card\n"), ("sys/class/nvme/nvme0/nvme0n1/queue/logical_block_size", "512\n")];
    let row =
        "node_nvme_info{cntlid=\"\",device=\"nvme0\",firmware_revision=\"\",model=\"card\",serial=\"\",state=\"\"} 1";
    check("nvme", &nvme, "node_nvme_info", &[row], true);
    let rows = [
        "node_nvme_namespace_info{ana_state=\"unknown\",device=\"nvme0\",nsid=\"1\"} 1",
        "node_nvme_namespace_logical_block_size_bytes{device=\"nvme0\",nsid=\"1\"} 512",
    ];
    check("nvme", &nvme, "node_nvme_namespace", &rows, true);
    let btrfs = [("sys/fs/btrfs/a-b/label", "root\n"), ("sys/fs/btrfs/a-b/allocation/data/bytes_reserved", "7\n")];
    check("btrfs", &btrfs, "node_btrfs_info", &["node_btrfs_info{label=\"root\",uuid=\"a-b\"} 1"], true);
    let row = "node_btrfs_reserved_bytes{block_group_type=\"data\",uuid=\"a-b\"} 7";
    check("btrfs", &btrfs, "node_btrfs_reserved", &[row], true);
    let zone = [("sys/class/powercap/a/name", "core\n"), ("sys/class/powercap/a/energy_uj", "5000000\n")];
    check(
        "rapl",
        &zone,
        "node_rapl_core",
        &["node_rapl_core_joules_total{index=\"0\",path=\"/sys/class/powercap/a\"} 5"],
        true,
    );
    let card = [
        ("sys/class/drm/card0/device/uevent", "DRIVER=amdgpu\n"),
        ("sys/class/drm/card0/device/mem_info_vram_used", "7\n"),
    ];
    check("drm", &card, "node_drm_memory", &["node_drm_memory_vram_used_bytes{card=\"card0\"} 7"], true);
    let mounts = "device a:/ mounted on /m with fstype nfs statvers=1.1\n age: x\n bytes: 1 y\n xprt: tcp 1 2\n\n\
                  no device mounted on /n with fstype x\n\
                  device b:/ mounted on /o with fstype nfs4 statvers=1.1\n age: 5\n xprt: tcp 1 2 3 4 5 6 7 8 9 10\n";
    let stats = [
        ("proc/self/mountstats", mounts),
        ("proc/self/mountinfo", "1 1 0:1 / /m rw - nfs a:/ addr=A\n\n2 1 0:2 / /o rw - nfs4 b:/ rw,addr=B\n"),
    ];
    let row = "node_mountstats_nfs_age_seconds_total{export=\"b:/\",mountaddr=\"B\",protocol=\"tcp\"} 5";
    check("mountstats", &stats, "node_mountstats_nfs_age", &[row], false);
    let row = "node_mountstats_nfs_read_bytes_total{export=\"a:/\",mountaddr=\"A\",protocol=\"tcp\"} 1";
    check("mountstats", &stats, "node_mountstats_nfs_read_bytes", &[row], false);
    let row = "node_mountstats_nfs_transport_maximum_rpc_slots{export=\"b:/\",mountaddr=\"B\",protocol=\"tcp\",transport=\"0\"} 0";
    check("mountstats", &stats, "node_mountstats_nfs_transport_maximum_rpc_slots{export=\"b", &[row], false);
    let ksm = [("sys/kernel/mm/ksm/run", "1\n"), ("sys/kernel/mm/ksm/sleep_millisecs", "20\n")];
    check("ksmd", &ksm, "node_ksmd", &["node_ksmd_run 1", "node_ksmd_sleep_seconds 0.02"], true);
    // A part of the kernel that is not there, or has nothing, is no success with the peer either.
    check("ksmd", &[("sys/kernel/mm/x", "")], "node_ksmd", &[], false);
    check("bcachefs", &[("sys/fs/bcachefs/../x", "")], "node_bcachefs", &[], false);
    let container =
        [("proc/mdstat", ""), ("sys/block/md9/md/level", "container\n"), ("sys/block/md9/md/raid_disks", "0\n")];
    check("mdadm", &container, "node_md_", &["node_md_degraded{device=\"md9\"} 0"], true);
}

/// What is not tested here names the test that holds it.
#[test]
fn every_difference_has_its_test() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("DIFFERENCES.md");
    let text = fs::read_to_string(path).expect("the list of differences");
    let kept =
        text.split("## Keep the good part").nth(1).and_then(|rest| rest.split("\n## ").next()).expect("its table");
    let rows: Vec<&str> = kept.lines().filter(|line| line.starts_with("| ")).skip(2).collect();
    assert!(rows.len() > 30, "{rows:?}");
    for row in rows {
        let last = row.trim_end_matches('|').rsplit('|').next().unwrap_or_default().trim();
        assert!(last == "test" || last.starts_with("test: "), "no test: {row}");
    }
}

#[test]
fn storage_and_networks_of_larger_machines_keep_their_good_files() {
    let set = "sys/fs/bcache/a-b";
    let path = |file: &str| [set, "/", file].concat();
    let files = [
        (path("congested"), "5\n"),
        (path("internal/btree_read_average_duration_us"), "960163\n"),
        (path("tree_depth"), ""),
        (path("root_usage_percent"), "-7\n"),
        (path("bdev0/dirty_data"), "1.5k\n"),
        (path("bdev1/dirty_data"), "7\n"),
        (path("bdev0/writeback_rate_debug"), "rate: 5x/sec\nchange: -1.5k/sec\n"),
    ];
    let files = files.each_ref().map(|(path, text)| (path.as_str(), *text));
    let row = |name: &str, device: &str, value: &str| format!("node_bcache_{name}{{{device}uuid=\"a-b\"}} {value}");
    let told = |family: &str, rows: &[(&str, &str)]| {
        let rows: Vec<String> = rows.iter().map(|(device, value)| row(family, device, value)).collect();
        let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
        check("bcache", &files, &format!("node_bcache_{family}{{"), &rows, false);
    };
    let (first, second) = ("backing_device=\"bdev0\",", "backing_device=\"bdev1\",");
    told("btree_read_average_duration_seconds", &[("", "0.0009601630000000001")]);
    told("congested", &[("", "5")]);
    told("tree_depth", &[]);
    told("root_usage_percent", &[]);
    told("average_key_size_sectors", &[("", "0")]);
    told("dirty_data_bytes", &[(first, "1524"), (second, "7")]);
    told("cache_readaheads_total", &[]);
    told("dirty_target_bytes", &[(first, "0")]);
    told("writeback_rate", &[]);
    told("writeback_change", &[(first, "-1524")]);

    let files = [
        ("sys/fs/bcachefs/a/counters/fsync", "since mount: 1\nsince filesystem creation: 7\n"),
        ("sys/fs/bcachefs/a/counters/copygc", "since filesystem creation: x\n"),
        ("sys/fs/bcachefs/a/errors", "lru_entry_bad 2 1\nsubvol_missing x 1\n"),
        ("sys/fs/bcachefs/README", ""),
    ];
    let rows = [
        "node_bcachefs_btree_cache_size_bytes{uuid=\"a\"} 0",
        "node_bcachefs_errors_total{error_type=\"lru_entry_bad\",uuid=\"a\"} 2",
        "node_bcachefs_fsync_total{uuid=\"a\"} 7",
        "node_bcachefs_info{uuid=\"a\"} 1",
    ];
    check("bcachefs", &files, "node_bcachefs_", &rows, false);

    let files = [
        ("sys/class/fc_host/host0/speed", "8 Gbit\n"),
        ("sys/class/fc_host/host1/statistics/rx_words", "x\n"),
        ("sys/class/fc_host/host1/statistics/tx_words", "0x10\n"),
    ];
    let rows = ["node_fibrechannel_tx_words_total{fc_host=\"host1\"} 16"];
    check("fibrechannel", &files, "node_fibrechannel_tx", &rows, false);
    check("fibrechannel", &files, "node_fibrechannel_rx", &[], false);

    let files = [
        ("sys/class/infiniband/a/hca_type", "x\n"),
        ("sys/class/infiniband/a/ports/1/rate", "10\n"),
        ("sys/class/infiniband/a/ports/1/state", "4: ACTIVE\n"),
        ("sys/class/infiniband/a/ports/x/state", "4: ACTIVE\n"),
    ];
    let rows = [
        "node_infiniband_info{board_id=\"\",device=\"a\",firmware_version=\"\",hca_type=\"x\"} 1",
        "node_infiniband_state_id{device=\"a\",port=\"1\"} 4",
    ];
    check("infiniband", &files, "node_infiniband_", &rows, false);

    let files = [
        ("sys/class/scsi_tape/st0/stats/in_flight", "x\n"),
        ("sys/class/scsi_tape/st1/stats/in_flight", "2\n"),
        ("sys/class/scsi_tape/st2/power", "x\n"),
        ("sys/class/scsi_tape/nst1/stats/in_flight", "2\n"),
    ];
    check("tapestats", &files, "node_tape_io_now", &["node_tape_io_now{device=\"st1\"} 2"], false);
    // Multiplied, not divided: the last digit tells.
    let rows = ["node_tape_io_time_seconds_total{device=\"st0\"} 651.4405661420001"];
    check("tapestats", &[("sys/class/scsi_tape/st0/stats/io_ns", "651440566142\n")], "node_tape_io_time", &rows, true);

    let files = [
        ("proc/spl/kstat/zfs/fm", ""),
        ("proc/spl/kstat/zfs/zil", "1 2\nname type data\na 4 x\nb 4 7\n"),
        ("proc/spl/kstat/zfs/a/io", "nread b c d e f g h i j k l\n1 2\n"),
        ("proc/spl/kstat/zfs/a/objset-1", "name type data\ndataset_name 7 a\nreads 4 3\nwrites 4 x\n"),
    ];
    let rows = [
        "node_zfs_zil_b 7",
        "node_zfs_zpool_b{zpool=\"a\"} 2",
        "node_zfs_zpool_dataset_reads{dataset=\"a\",zpool=\"a\"} 3",
        "node_zfs_zpool_nread{zpool=\"a\"} 1",
    ];
    check("zfs", &files, "node_zfs_", &rows, false);
}
