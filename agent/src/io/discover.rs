//! Where targets come from while we run: files, other programs, name servers, neighbours. One task each, which tells what it found.
//!
//! A file is looked at every few seconds (its time and length) and read when it looks changed, and in any case at the
//! refresh interval; the system's notifications are not used, for they miss files that another machine changes. What
//! cannot be read, half a file above all, changes nothing: what was found before stays, the failure is counted.
//! Found anew, a list is told only when it differs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use targets::Group;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;

use super::dns;
use super::fetch::{Budget, Request, fetch};
use super::mdns;
use super::scrape::{Manner, Reach};
use crate::config::{self, FileSd, HttpSd};
use crate::os::clock::boottime;
use crate::target_lists;
use crate::trouble::Trouble;

/// How often files are looked at, in milliseconds, unless they are to be read more often.
const LOOK_MS: u64 = 5_000;
/// The longest list, in bytes.
const LIST_BYTES_MAX: usize = 1 << 20;
/// The most files of one entry.
const FILES_MAX: usize = 256;
/// How long another program may take to answer, in milliseconds.
const HTTP_MS_MAX: u64 = 30_000;

/// What one provider found.
pub(super) struct Finding {
    /// For which job.
    pub job: String,
    /// Which of its providers.
    pub provider: u32,
    /// All targets that it knows of; or what kind of list failed, and then nothing changes.
    pub groups: Result<Vec<Group>, Kind>,
}

/// Kinds of lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A file.
    File,
    /// Another program's answer.
    Http,
    /// Name servers' answers.
    Dns,
    /// Neighbours' answers.
    Mdns,
}

/// Tells the scraping thread what one provider found, when it is news.
struct Teller {
    findings: UnboundedSender<Finding>,
    job: String,
    provider: u32,
    told: Option<Vec<Group>>,
    trouble: Trouble,
}

impl Teller {
    fn found(&mut self, groups: Vec<Group>) {
        if self.trouble.heals() {
            log::info!("job {}: targets are found again", self.job);
        }
        if self.told.as_ref() != Some(&groups) {
            self.told = Some(groups.clone());
            self.say(Ok(groups));
        }
    }

    fn failed(&mut self, kind: Kind, what: &str) {
        let job = &self.job;
        self.trouble.fails(boottime(), what, || log::warn!("job {job}: {what}; its targets stay as they were"));
        self.say(Err(kind));
    }

    fn say(&self, groups: Result<Vec<Group>, Kind>) {
        // Once nobody listens this task is about to end too.
        let _ = self.findings.send(Finding { job: self.job.clone(), provider: self.provider, groups });
    }
}

/// Starts what looks for a job's targets; provider 0 is the job's own list.
pub(super) fn start(reach: &Reach, findings: &UnboundedSender<Finding>, budget: &Budget) -> Vec<JoinHandle<()>> {
    let discovery = &reach.scrape.discovery;
    let mut provider = 0;
    let mut teller = || {
        provider += 1;
        let job = reach.scrape.job.name.clone();
        Teller { findings: findings.clone(), job, provider, told: None, trouble: Trouble::default() }
    };
    let mut tasks = Vec::new();
    for list in &discovery.files {
        tasks.push(tokio::spawn(watch_files(list.clone(), teller())));
    }
    for (list, manner) in discovery.https.iter().zip(&reach.list_manners) {
        tasks.push(tokio::spawn(ask_http(list.clone(), manner.clone(), teller(), budget.clone())));
    }
    for list in &discovery.names {
        tasks.push(tokio::spawn(ask_dns(list.clone(), teller())));
    }
    for list in &discovery.neighbours {
        tasks.push(tokio::spawn(ask_neighbours(list.clone(), teller())));
    }
    tasks
}

/// A file as it was read last.
#[derive(Default)]
struct Known {
    looks: Option<(SystemTime, u64)>,
    groups: Vec<Group>,
}

async fn watch_files(list: FileSd, mut teller: Teller) {
    let mut known: BTreeMap<PathBuf, Known> = BTreeMap::new();
    let mut read_at = boottime();
    loop {
        let is_due = boottime() >= read_at;
        if is_due {
            read_at = boottime().plus_ms(list.refresh_ms);
        }
        let patterns = list.files.clone();
        let looked = tokio::task::spawn_blocking(move || {
            let faults = look(&patterns, &mut known, is_due);
            (known, faults)
        });
        // A panic ends the whole program; nothing else ends the task that was awaited.
        let Ok((seen, faults)) = looked.await else { return };
        known = seen;
        match faults.is_empty() {
            true => teller.found(known.values().flat_map(|file| file.groups.iter().cloned()).collect()),
            false => {
                // What is good is told, what is not counts.
                let groups = known.values().flat_map(|file| file.groups.iter().cloned()).collect();
                if teller.told.as_ref() != Some(&groups) {
                    teller.told = Some(groups.clone());
                    teller.say(Ok(groups));
                }
                faults.iter().for_each(|what| teller.failed(Kind::File, what));
            }
        }
        tokio::time::sleep(Duration::from_millis(LOOK_MS.min(list.refresh_ms))).await;
    }
}

/// Looks at all files, reads those that look changed (or all, when it is time), and returns what went wrong.
fn look(patterns: &[PathBuf], known: &mut BTreeMap<PathBuf, Known>, is_due: bool) -> Vec<String> {
    let paths = files_of(patterns);
    known.retain(|path, _| paths.contains(path));
    let mut faults = Vec::new();
    for path in paths {
        let file = known.entry(path.clone()).or_default();
        let looks = std::fs::metadata(&path).and_then(|data| Ok((data.modified()?, data.len()))).ok();
        if !is_due && looks.is_some() && file.looks == looks {
            continue;
        }
        match read_file(&path) {
            Ok(groups) => *file = Known { looks, groups },
            // Looked at again soon: whoever writes may not be done.
            Err(what) => {
                file.looks = None;
                faults.push(what);
            }
        }
    }
    faults
}

fn files_of(patterns: &[PathBuf]) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for pattern in patterns {
        let name = pattern.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if !name.contains('*') {
            paths.extend(pattern.exists().then(|| pattern.clone()));
            continue;
        }
        let folder = pattern.parent().unwrap_or(Path::new("."));
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        paths.extend(names.filter(|found| config::matches(&name, found)).map(|found| folder.join(found)));
    }
    paths.sort();
    paths.dedup();
    paths.truncate(FILES_MAX);
    paths
}

fn read_file(path: &Path) -> Result<Vec<Group>, String> {
    let name = path.to_string_lossy();
    let size = std::fs::metadata(path).map(|data| data.len()).unwrap_or(0);
    if size > LIST_BYTES_MAX as u64 {
        return Err(format!("{name}: {size} bytes, at most {LIST_BYTES_MAX} are read"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| format!("reading {name}: {error}"))?;
    target_lists::read(&name, &text, ("__meta_filepath", &name))
}

async fn ask_http(list: HttpSd, manner: Manner, mut teller: Teller, budget: Budget) {
    loop {
        match ask_once(&list, &manner, &budget).await {
            Ok(groups) => teller.found(groups),
            Err(what) => teller.failed(Kind::Http, &what),
        }
        tokio::time::sleep(Duration::from_millis(list.refresh_ms)).await;
    }
}

async fn ask_once(list: &HttpSd, manner: &Manner, budget: &Budget) -> Result<Vec<Group>, String> {
    let shown = list.url.to_string();
    let mut headers = (manner.headers)().map_err(|what| format!("{shown}: {what}"))?;
    headers.push(("Accept".to_owned(), "application/json".to_owned()));
    let seconds = list.refresh_ms as f64 / 1_000.0;
    headers.push(("X-Prometheus-Refresh-Interval-Seconds".to_owned(), seconds.to_string()));
    let request = Request {
        url: list.url.reveal().to_owned(),
        headers,
        proxy: manner.proxy.clone(),
        tls: manner.tls.clone(),
        follow_redirects: manner.follow_redirects,
        timeout: Duration::from_millis(HTTP_MS_MAX.min(list.refresh_ms)),
        body_bytes_max: LIST_BYTES_MAX,
    };
    let (response, _) = fetch(&request, None, budget).await.map_err(|failure| failure.what)?;
    if response.content_type.split(';').next().is_none_or(|kind| kind.trim() != "application/json") {
        return Err(format!("{shown}: unsupported content type {:?}", response.content_type));
    }
    let text = String::from_utf8(response.body).map_err(|_| format!("{shown}: the list is not UTF-8"))?;
    target_lists::read(&shown, &text, ("__meta_url", &shown))
}

async fn ask_dns(list: config::DnsSd, mut teller: Teller) {
    let mut known: BTreeMap<String, Group> = BTreeMap::new();
    loop {
        let mut faults = Vec::new();
        for name in &list.names {
            match dns::resolve(name, list.record).await {
                Ok(records) => drop(known.insert(name.clone(), group_of(name, &records, list.port))),
                Err(what) => faults.push(format!("looking up {name}: {what}")),
            }
        }
        let groups: Vec<Group> = known.values().cloned().collect();
        if faults.is_empty() {
            teller.found(groups);
        } else {
            if !groups.is_empty() && teller.told.as_ref() != Some(&groups) {
                teller.told = Some(groups.clone());
                teller.say(Ok(groups));
            }
            faults.iter().for_each(|what| teller.failed(Kind::Dns, what));
        }
        tokio::time::sleep(Duration::from_millis(list.refresh_ms)).await;
    }
}

/// A neighbour is forgotten when it was not heard so many times: packets get lost.
const UNHEARD_MAX: u32 = 3;

async fn ask_neighbours(list: config::MdnsSd, mut teller: Teller) {
    // How many times each has not been heard since it was.
    let mut known: BTreeMap<model::Labels, u32> = BTreeMap::new();
    loop {
        match mdns::browse(&list.service, list.interface).await {
            Ok(group) => {
                known.values_mut().for_each(|unheard| *unheard += 1);
                known.extend(group.targets.into_iter().map(|target| (target, 0)));
                known.retain(|_, unheard| *unheard < UNHEARD_MAX);
                teller.found(vec![Group {
                    source: group.source,
                    targets: known.keys().cloned().collect(),
                    ..Group::default()
                }]);
            }
            Err(what) => teller.failed(Kind::Mdns, &what),
        }
        tokio::time::sleep(Duration::from_millis(list.refresh_ms)).await;
    }
}

/// Returns the targets that records stand for, with the labels that the peer gives them.
fn group_of(name: &str, records: &[dns::Answer], port: Option<u16>) -> Group {
    let mut group = Group { source: name.to_owned(), ..Group::default() };
    for record in records {
        let host = record.host.trim_end_matches('.');
        let port = record.port.or(port).unwrap_or(0);
        let address = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let target = record.port.map(|port| port.to_string()).unwrap_or_default();
        let (srv, mx, ns) = match record.kind {
            config::Record::Srv => (record.host.as_str(), "", ""),
            config::Record::Mx => ("", record.host.as_str(), ""),
            config::Record::Ns => ("", "", record.host.as_str()),
            _ => ("", "", ""),
        };
        group.targets.push(model::Labels::from_pairs([
            ("__address__", address.as_str()),
            ("__meta_dns_name", name),
            ("__meta_dns_srv_record_target", srv),
            ("__meta_dns_srv_record_port", if srv.is_empty() { "" } else { &target }),
            ("__meta_dns_mx_record_target", mx),
            ("__meta_dns_ns_record_target", ns),
        ]));
    }
    group
}
