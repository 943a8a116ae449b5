//! A mount that does not answer: the lane that asks it hangs, and one beside it tells the other mounts.
//!
//! The thread and the patience are the agent's (`agent/src/collect/door.rs`, where the other collectors are tried);
//! here is what the collector does in the lane that takes over.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use exporters::{Host, Lane, Space, System, Uname, Waiting, lane_beside};

use crate::support::{Folder, printed, settings, space};

/// A machine with a mount that answers when it is told to.
struct Lost {
    path: PathBuf,
    begins: SyncSender<()>,
    answer: Mutex<Receiver<()>>,
}

impl System for Lost {
    fn statfs(&self, path: &Path) -> io::Result<Space> {
        if path == self.path {
            let _ = self.begins.send(());
            let _ = self.answer.lock().expect("nobody panics").recv();
        }
        Ok(space(10, 5, 4, 3))
    }

    fn uname(&self, _: &mut dyn FnMut(Uname<'_>)) {}

    fn wall(&self) -> Duration {
        Duration::ZERO
    }
}

fn rows(lane: &mut Lane) -> Vec<String> {
    let text = printed(lane);
    let is_row = |line: &&str| line.starts_with("node_filesystem_device_error") || line.contains("_size_bytes{");
    text.lines().filter(is_row).map(str::to_owned).collect()
}

#[test]
fn a_mount_that_hangs_is_left_out_alone_until_it_answers() {
    let folder = Folder::new("hanging");
    let mounts = "1 1 8:1 / / rw - ext4 /dev/sda rw\n2 1 0:9 / /lost rw - nfs4 nas:/ rw\n";
    std::fs::create_dir_all(folder.0.join("proc/1")).expect("a folder");
    std::fs::write(folder.0.join("proc/1/mountinfo"), mounts).expect("a file");
    let procfs = format!("path.procfs={}", folder.0.join("proc").display());
    let settings = settings(&["collector.disable-defaults", "collector.filesystem", &procfs]);
    let (begins, begun) = sync_channel(8);
    let waiting = Waiting::default();
    let lane = || {
        let (answers, answer) = sync_channel(8);
        let system = Lost { path: "/lost".into(), begins: begins.clone(), answer: Mutex::new(answer) };
        let host = Host { system: Box::new(system), waiting: waiting.clone(), ..settings.host() };
        let info = exporters::COLLECTORS.iter().find(|info| info.name == "filesystem").expect("listed");
        (Lane::new(host, vec![(info.make)(&settings).expect("good settings")]), answers)
    };
    let ((mut first, answers), (mut other, others_answers)) = (lane(), lane());
    let hanging = std::thread::spawn(move || rows(&mut first));
    begun.recv().expect("it asks");
    assert_eq!(waiting.count(), 1);
    assert_eq!(
        rows(&mut other),
        [
            "node_filesystem_device_error{device=\"/dev/sda\",device_error=\"\",fstype=\"ext4\",mountpoint=\"/\"} 0",
            "node_filesystem_device_error{device=\"nas:/\",device_error=\"mountpoint timeout\",fstype=\"nfs4\",mountpoint=\"/lost\"} 1",
            "node_filesystem_size_bytes{device=\"/dev/sda\",device_error=\"\",fstype=\"ext4\",mountpoint=\"/\"} 40960",
        ]
    );
    assert!(other.failures().is_empty(), "a metric says it, as with the peer");
    answers.send(()).expect("it waits");
    assert_eq!(hanging.join().expect("no panic").len(), 4);
    others_answers.send(()).expect("it will ask");
    assert_eq!(rows(&mut other).len(), 4, "it is asked again");
}

#[test]
fn a_lane_beside_one_that_hangs_reports_it() {
    let settings = settings(&["collector.disable-defaults", "collector.loadavg", "collector.uname"]);
    let mut lane = lane_beside(&settings, &Waiting::default(), &["uname", "hwmon"]).expect("good settings");
    let text = printed(&mut lane);
    assert!(text.contains("node_scrape_collector_success{collector=\"loadavg\"} 1\n"));
    assert!(text.contains("node_scrape_collector_success{collector=\"uname\"} 0\n"));
    assert!(!text.contains("hwmon"), "it is not asked for");
    let said: Vec<String> = lane.failures().iter().map(|failure| failure.error.to_string()).collect();
    assert_eq!(said, ["does not answer and is left out until it does"]);
}
