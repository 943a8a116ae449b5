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
    let flags = ["collector.disable-defaults", &on, &directory, "no-collector.netdev.netlink"];
    let spaces = vec![("/".into(), space(1, 1, 1, 1)), ("/data".into(), space(2, 2, 2, 2))];
    let mut lane = lane_over(&folder.0, &flags, Box::new(Table { spaces }));
    let text = printed(&mut lane);
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
