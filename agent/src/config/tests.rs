//! The configuration seen from outside: files in a world of closures, a believed configuration or exact messages out.
//!
//! `World` is the one fake: files by name, no disk. The reference file is held against the code both ways here;
//! Prometheus's own test files are read in `peers`.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use super::load::load_noting;
use super::*;

const COLLECTORS: [&str; 3] = ["cpu", "filesystem", "textfile"];
const FLAGS: [&str; 2] = ["collector.filesystem.fs-types-exclude", "collector.textfile.directory"];

const RULES: &str = "groups:\n- name: g\n  rules:\n  - record: a:b\n    expr: up\n";

/// Files by path.
struct World(BTreeMap<PathBuf, String>);

impl World {
    fn new(files: &[(&str, &str)]) -> World {
        World(files.iter().map(|(path, text)| (PathBuf::from(path), (*text).to_owned())).collect())
    }

    fn load_noting(&self, text: &str, errors: yaml::Errors) -> Loaded {
        let read = |path: &Path| self.0.get(path).cloned().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound));
        let list = |directory: &Path| {
            let inside = self.0.keys().filter(|path| path.parent() == Some(directory));
            let names: Vec<String> =
                inside.filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect();
            if names.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(names) }
        };
        let env = |name: &str| (name == "HOSTNAME").then(|| "pi".to_owned());
        let outside = Outside {
            read: &read,
            list: &list,
            env: &env,
            collectors: &COLLECTORS,
            collector_flags: &FLAGS,
            features: promql::Features::default(),
        };
        load_noting("/etc/n.yml", text, Path::new("/etc"), &outside, errors)
    }

    fn load(&self, text: &str) -> Loaded {
        self.load_noting(text, yaml::Errors::new())
    }
}

fn good(text: &str) -> Config {
    let loaded = World::new(&[]).load(text);
    assert_eq!(loaded.errors.to_string(), "");
    loaded.config.expect("there are no errors")
}

#[test]
fn an_empty_file_is_the_default_with_the_rules_that_come_with_it() {
    let loaded = World::new(&[]).load("");
    assert_eq!((loaded.errors.to_string(), loaded.warnings.to_string()), (String::new(), String::new()));
    assert_eq!(loaded.config, Some(Config::default()));
    assert_eq!(loaded.rules.len(), 1);
    assert!(loaded.notify.is_none());
    assert!(World::new(&[]).load("rule_files: []\n").rules.is_empty());
}

#[test]
fn a_file_that_says_much_is_believed() {
    let config = good(
        "global: {scrape_interval: 5s, external_labels: {site: barn, board: '${HOSTNAME}', no: 5}}
storage: {path: data, size: 1GB, sync_interval: 2m, memory: 8MB, series_max: 500, tail: none}
collect: {interval: 1s, job: n, instance: i, defaults: no, enable: [cpu], disable: [filesystem], textfile_directories: [t], flags: {--collector.filesystem.fs-types-exclude: x, collector.textfile.directory: [/a, b]}, paths: {procfs: /host/proc}}
gpio: [{chip: /dev/gpiochip0, line: 17, name: door, edges: rising, bias: pull_up, active_low: yes, debounce: 10ms}]
remote_write: [{url: 'http://u:hunter2@h/w', headers: {X-A: hunter2}, basic_auth: {username: u, password: hunter2}, queue_config: {max_backoff: 5m}}, {name: b, url: http://h/w, authorization: {credentials_file: t}}]
mqtt: [{broker: '[::1]', topic: a/b, username: u, password: hunter2, match: ['{a=\"b\"}']}]
web: {listen_address: 127.0.0.1:80, external_url: http://h/}
query: {lookback_delta: 1m, timeout: 10s}
clock: {trusted_after: 2026-01-01}
",
    );
    assert_eq!(config.global.scrape_interval_ms, 5_000);
    assert_eq!(config.global.external_labels.to_string(), r#"{board="pi", no="5", site="barn"}"#);
    assert_eq!(config.storage.path.as_deref(), Some(Path::new("/etc/data")));
    assert_eq!((config.storage.size_bytes, config.storage.sync_interval_ms), (1 << 30, 120_000));
    assert_eq!((config.storage.memory_bytes, config.storage.series_max), (8 << 20, 500));
    assert_eq!(config.storage.tail, Tail::Nowhere);
    assert_eq!((config.collect.interval_ms, config.collect.defaults), (Some(1_000), false));
    assert_eq!((config.collect.job.as_str(), config.collect.instance.as_deref()), ("n", Some("i")));
    assert_eq!(
        (&config.collect.enable[..], &config.collect.disable[..]),
        (&["cpu".to_owned()][..], &["filesystem".to_owned()][..])
    );
    let flags: Vec<String> = config.collect.flags.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let directories = ["/a", "b", "/etc/t"].map(|directory| format!("collector.textfile.directory={directory}"));
    assert_eq!(flags[0], "collector.filesystem.fs-types-exclude=x");
    assert_eq!(flags[1..], directories);
    assert_eq!(config.collect.paths.procfs, Path::new("/host/proc"));
    assert_eq!(config.collect.paths.sysfs, Path::new("/sys"));
    let line = &config.gpio[0];
    assert_eq!((line.chip.as_str(), line.line, line.name.as_str()), ("gpiochip0", 17, "door"));
    assert_eq!(
        (line.edges, line.bias, line.active_low, line.debounce_ms),
        (exporters::gpio::Edges::Rising, exporters::gpio::Bias::PullUp, true, 10)
    );
    let [first, second] = &config.remote_write[..] else { panic!("there are two") };
    assert_eq!((first.name.as_str(), first.url.reveal()), ("http://<secret>@h/w", "http://u:hunter2@h/w"));
    assert_eq!((first.timeout_ms, first.queue.backoff_ms_max, first.queue.samples_max), (30_000, 300_000, 2_000));
    assert!(
        matches!(&first.auth, Auth::Basic { username, password: SecretSource::Text(p) } if username == "u" && p.reveal() == "hunter2")
    );
    assert!(
        matches!(&second.auth, Auth::Header { scheme, credentials: SecretSource::File(f) } if scheme == "Bearer" && f == Path::new("/etc/t"))
    );
    assert_eq!((config.mqtt[0].broker.host.as_str(), config.mqtt[0].broker.port), ("::1", 1883));
    assert_eq!((config.mqtt[0].name.as_str(), config.mqtt[0].select.len()), ("::1:1883/a/b", 1));
    assert_eq!(config.web.listen_address, ListenAddress { host: "127.0.0.1".to_owned(), port: 80 });
    assert_eq!((config.query.lookback_ms, config.query.timeout_ms), (60_000, 10_000));
    assert_eq!(config.clock.trusted_after.map(|at| at.to_string()).as_deref(), Some("2026-01-01T00:00:00Z"));
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn wrong_files_get_exact_messages() {
    for (text, expected) in [
        ("glboal: {}\n", "1:1: glboal: unknown key, expected global"),
        ("collect: {ineterval: 5s}\n", "1:11: collect.ineterval: unknown key, expected interval"),
        ("global: 5\n", "1:9: global: a single value, expected a map (key: value)"),
        (
            "global: {scrape_interval: 5}\n",
            "1:27: global.scrape_interval: \"5\", expected a duration such as 15s or 1h30m",
        ),
        ("global: {scrape_interval: 1ms}\n", "1:27: global.scrape_interval: 1ms, expected 100ms to 1d"),
        (
            "global: {external_labels: [a]}\n",
            "1:27: global.external_labels: this is no map, expected a map (name: value)",
        ),
        (
            "global: {external_labels: {__name__: a}}\n",
            "1:38: global.external_labels.__name__: this label cannot be added, expected a name, not empty and not __name__, at most 64 of them",
        ),
        (
            "storage: {size: 1MB, sync_interval: 2h, memory: 1KB, series_max: 0, path: ''}\n",
            "1:17: storage.size: 1MB, expected 4MB to 1TB\n1:37: storage.sync_interval: 2h, expected 1s to 1h\n1:49: storage.memory: 1KB, expected 1MB to 1GB\n1:66: storage.series_max: 0, expected 1 to 1000000\n1:75: storage.path: an empty text, expected a path",
        ),
        (
            "collect: {enable: [cpuu, cpu], disable: [cpu], flags: {collector.x: 1}}\n",
            "1:20: collect.enable[0]: there is no collector cpuu in this build, expected cpu\n1:42: collect.disable[0]: the collector cpu is both enabled and disabled\n1:69: collect.flags.collector.x: there is no flag collector.x in this build",
        ),
        (
            "collect: {flags: {collector.textfile.directory: [a, {b: c}]}}\n",
            "1:53: collect.flags.collector.textfile.directory[1]: a map, expected a text",
        ),
        ("gpio: [{chip: gpiochip0}]\n", "1:8: gpio[0]: line is missing\n1:8: gpio[0]: name is missing"),
        (
            "gpio: [{chip: a/b, line: 1, name: x, edges: up}, {chip: c, line: 1, name: x}, {chip: c, line: 1, name: y}]\n",
            "1:15: gpio[0].chip: \"a/b\" is no chip, expected a device such as gpiochip0\n1:45: gpio[0].edges: \"up\" is not known, expected one of both, rising, falling, none\n1:50: gpio[1]: the name x is given twice\n1:79: gpio[2]: line 1 of c is given twice",
        ),
        ("remote_write: [{}]\n", "1:16: remote_write[0]: url for remote_write is empty"),
        (
            "remote_write: [{url: hunter2}]\n",
            "1:22: remote_write[0].url: this is no URL, expected http://host:port/path",
        ),
        (
            "remote_write: [{url: http://h, name: a}, {url: http://i, name: a}]\n",
            "1:42: remote_write[1]: found multiple remote write configs with job name \"a\", expected a name of its own for each",
        ),
        (
            "remote_write: [{url: http://h, basic_auth: {}, bearer_token: x}]\n",
            "1:62: remote_write[0].bearer_token: at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured",
        ),
        (
            "remote_write: [{url: http://h, authorization: {type: Basic, credentials: a, credentials_file: b}}]\n",
            "1:54: remote_write[0].authorization.type: authorization type cannot be set to \"basic\", expected basic_auth instead\n1:95: remote_write[0].authorization.credentials_file: at most one of authorization credentials & credentials_file must be configured",
        ),
        (
            "remote_write: [{url: http://h, headers: {Authorization: a, 'a b': c, d: \"e\\nf\"}}]\n",
            "1:57: remote_write[0].headers.Authorization: authorization header must be changed via the basic_auth, authorization, oauth2, sigv4, azuread or google_iam parameter\n1:67: remote_write[0].headers.a b: this is no header's name, expected letters, digits and dashes\n1:73: remote_write[0].headers.d: this header's value has control characters, expected one line",
        ),
        (
            "remote_write: [{url: http://h, queue_config: {max_samples_per_send: 0, min_backoff: 1m, max_backoff: 1s}}]\n",
            "1:69: remote_write[0].queue_config.max_samples_per_send: remote write queue max_samples_per_send must be positive\n1:102: remote_write[0].queue_config.max_backoff: 1s, expected 1m to 1h",
        ),
        (
            "mqtt: [{broker: 'h:x', topic: a/#, qos: 2}]\n",
            "1:17: mqtt[0].broker: this is no broker, expected host:port\n1:41: mqtt[0].qos: quality of service 2, expected 1, the only one there is here",
        ),
        (
            "mqtt: [{broker: h, topic: a/#}]\n",
            "1:27: mqtt[0].topic: this is no topic to publish to, expected a text without # and +",
        ),
        (
            "mqtt: [{broker: h, topic: t, match: ['{a=\"é\", b=}', 'rate(up[5m])', up]}]\n",
            "1:49: mqtt[0].match[0]: no selector: unexpected \"}\" in label matching, expected string\n1:54: mqtt[0].match[1]: no selector: expected a series selector",
        ),
        ("web: {listen_address: 9090}\n", "1:23: web.listen_address: \"9090\", expected an address such as :9090"),
        (
            "clock: {trusted_after: 2026-02-30}\n",
            "1:24: clock.trusted_after: \"2026-02-30\", expected a date such as 2026-01-31 or 2026-01-31T12:00:00Z",
        ),
        (
            "rule_files: [no.yml, 'a*/b.yml', builtin:bord]\n",
            "1:14: rule_files[0]: reading /etc/no.yml: entity not found, expected a file that can be read\n1:22: rule_files[1]: invalid rule file path \"a*/b.yml\", expected a path with * only in its last part\n1:34: rule_files[2]: there is no built-in rule set bord, expected board",
        ),
        (
            "notify: {}\nalertmanager_config_file: am.yml\n",
            "2:27: alertmanager_config_file: notify is there too, expected either notify or alertmanager_config_file\n2:27: alertmanager_config_file: reading /etc/am.yml: entity not found, expected a file that can be read",
        ),
        ("a: [\n", "1:4: unclosed bracket '['"),
    ] {
        let loaded = World::new(&[]).load(text);
        let expected: Vec<String> = expected.lines().map(|line| format!("/etc/n.yml:{line}")).collect();
        assert_eq!(loaded.errors.to_string().lines().collect::<Vec<_>>(), expected, "{text}");
        assert!(loaded.config.is_none());
    }
}

#[test]
fn errors_of_all_files_come_at_once_and_in_order() {
    let world =
        World::new(&[("/etc/r/a.yml", RULES), ("/etc/r/b.yml", "groups: 5\nx: 1\n"), ("/etc/am.yml", "a: b: c\n")]);
    let loaded = world.load("glboal: {}\nrule_files: [r/*.yml, none/*.yml]\nalertmanager_config_file: am.yml\n");
    let places: Vec<String> =
        loaded.errors.iter().map(|error| format!("{}:{}:{}", error.file, error.line, error.column)).collect();
    assert_eq!(places, ["/etc/am.yml:1:5", "/etc/n.yml:1:1", "/etc/r/b.yml:1:9", "/etc/r/b.yml:2:1"]);
    assert_eq!(loaded.warnings.to_string(), "/etc/n.yml:2:23: rule_files[1]: no file matches none/*.yml");
}

#[test]
fn files_that_are_named_are_read() {
    let receivers = "route: {receiver: a}\nreceivers: [{name: a, webhook_configs: [{url: http://h}]}]\n";
    let (first, second) = (RULES, RULES.replace("name: g", "name: h"));
    let world = World::new(&[
        ("/etc/am.yml", receivers),
        ("/etc/r/b.yml", &second),
        ("/etc/r/a.yml", first),
        ("/abs/c.yml", first),
    ]);
    let loaded = world.load("rule_files: [r/b.yml, r/*.yml, /abs/c.yml]\nalertmanager_config_file: am.yml\n");
    assert_eq!((loaded.errors.to_string(), loaded.warnings.to_string()), (String::new(), String::new()));
    // A file that two patterns name is read once, where it was named first.
    assert_eq!(loaded.rules.len(), 3);
    assert_eq!(loaded.notify.expect("it names a receiver").receivers[0].name, "a");
}

#[test]
fn an_unreadable_file_is_an_error() {
    let read = |_: &Path| Err(io::Error::other("not UTF-8"));
    let list = |_: &Path| Ok(Vec::new());
    let features = promql::Features::default();
    let outside = Outside { read: &read, list: &list, env: &|_| None, collectors: &[], collector_flags: &[], features };
    let loaded = load(Path::new("/n.yml"), &outside);
    assert_eq!(loaded.errors.to_string(), "/n.yml: reading: not UTF-8, expected a file that can be read");
    assert!(load_default(&outside).config.is_some());
}

/// Turns the examples of the reference file into keys: a `#` that no blank follows, or two of them, is one.
fn with_examples(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let example = line
            .strip_prefix('#')
            .filter(|rest| !rest.is_empty() && (!rest.starts_with(' ') || rest.starts_with("  ")));
        // A value that says "none" gives way to the example below it.
        if let Some(example) = example {
            let indent = example.len() - example.trim_start().len();
            let last = out.lines().rev().find(|line| !line.trim_start().starts_with('#') && !line.trim().is_empty());
            let owner = last.filter(|last| last.ends_with(" []") || last.ends_with(" {}")).map(str::to_owned);
            if let Some(owner) = owner.filter(|owner| owner.len() - owner.trim_start().len() < indent) {
                let bare = owner[..owner.len() - 3].to_owned();
                out = out.replace(&owner, &bare);
            }
            // So does the same key without a value, just above it.
            let bare = [example.split(':').next().unwrap_or(""), ":\n"].concat();
            let code = |line: &&str| !line.trim_start().starts_with('#') && !line.trim().is_empty();
            let last = out.lines().rev().find(code).map(|line| [line, "\n"].concat());
            if let Some(at) = last.filter(|last| *last == bare).and_then(|last| out.rfind(&last)) {
                out.replace_range(at..at + bare.len(), "");
            }
            out.push_str(example);
        } else {
            out.push_str(line);
        }
        out.push('\n');
    }
    out
}

/// Notes every key of a file, with `[]` for a place in a list.
fn keys(node: &yaml::Node, path: &str, out: &mut BTreeSet<String>) {
    for child in node.children() {
        let way = match child.name() {
            Some(name) if path.is_empty() => name.to_owned(),
            Some(name) => format!("{path}.{name}"),
            None => format!("{path}[]"),
        };
        // What a person names is no key of ours.
        let free = [
            "global.external_labels.",
            "remote_write[].headers.",
            "collect.flags.",
            "scrape_configs[].params.",
            "scrape_configs[].http_headers.",
            "scrape_configs[].static_configs[].labels.",
        ];
        if free.iter().any(|prefix| way.starts_with(prefix)) {
            continue;
        }
        if child.name().is_some() {
            out.insert(way.clone());
        }
        keys(&child, &way, out);
    }
}

#[test]
fn the_reference_file_says_what_no_file_says() {
    let text = include_str!("../../../configs/narthex.yml");
    let loaded = World::new(&[]).load(text);
    assert_eq!((loaded.errors.to_string(), loaded.warnings.to_string()), (String::new(), String::new()));
    assert_eq!(loaded.config, Some(Config::default()));
    assert_eq!(loaded.rules.len(), World::new(&[]).load("").rules.len());
}

#[test]
fn the_reference_file_has_every_key_and_no_other() {
    let text = with_examples(include_str!("../../../configs/narthex.yml"));
    let world = World::new(&[("/etc/rules/a.yml", RULES), ("/etc/scrape/a.yml", "")]);
    let loaded = world.load_noting(&text, yaml::Errors::noting_keys());
    assert_eq!((loaded.errors.to_string(), loaded.warnings.to_string()), (String::new(), String::new()), "{text}");
    let config = loaded.config.expect("there are no errors");
    assert_eq!((config.gpio.len(), config.remote_write.len(), config.mqtt.len()), (1, 2, 1));
    assert_eq!(config.scrape.len(), 2);
    assert!(loaded.notify.is_some());

    // A route below a route has the keys of the route above it; whoever fetches something, those of a job.
    let flat = |key: &str| {
        let key = key.replace("notify.route.routes[]", "notify.route");
        let key = key.replace("remote_write[].write_relabel_configs", "scrape_configs[].relabel_configs");
        let key = key.replace("alerting.alert_relabel_configs", "scrape_configs[].relabel_configs");
        let key = key.replace("metric_relabel_configs", "relabel_configs");
        let key = key.replace("remote_write[].tls_config", "scrape_configs[].tls_config");
        let client = [
            "basic_auth",
            "authorization",
            "bearer_token",
            "proxy_url",
            "no_proxy",
            "tls_config",
            "follow_redirects",
            "http_headers",
        ];
        match key.strip_prefix("scrape_configs[].http_sd_configs[].") {
            Some(rest) if client.iter().any(|known| rest.starts_with(known)) => ["scrape_configs[].", rest].concat(),
            _ => key,
        }
    };
    // Below a name that a person gave are keys of ours that the file shows once, under that name.
    let named = |key: &&str| !key.starts_with("scrape_configs[].http_headers.");
    let known: BTreeSet<String> = loaded.errors.keys_noted().filter(named).map(flat).collect();
    let mut shown = BTreeSet::new();
    keys(&yaml::parse("f", &text).expect("it was loaded"), "", &mut shown);
    let shown: BTreeSet<String> =
        shown.iter().filter(|key| **key != "web.basic_auth_users.barn").map(|key| flat(key)).collect();
    // Other spellings of what is shown: a secret in a file is the better example; match and bearer_token are old words.
    let spellings = [
        "notify.route.match",
        "notify.route.match_re",
        "notify.receivers[].webhook_configs[].url_file",
        "mqtt[].password",
        "remote_write[].authorization.credentials",
        "remote_write[].basic_auth.password",
        "remote_write[].bearer_token",
        "remote_write[].bearer_token_file",
        "scrape_configs[].authorization.credentials",
        "scrape_configs[].basic_auth.password",
        "scrape_configs[].bearer_token",
        "scrape_configs[].bearer_token_file",
        "scrape_configs[].tls_config.ca",
        "scrape_configs[].tls_config.cert",
        "scrape_configs[].tls_config.key",
        "web.bearer_token",
    ];
    let missing: Vec<&String> = known.difference(&shown).filter(|key| !spellings.contains(&key.as_str())).collect();
    assert!(missing.is_empty(), "the file lacks {missing:?}");
    let unknown: Vec<&String> = shown.difference(&known).collect();
    assert!(unknown.is_empty(), "the code does not know {unknown:?}");
}

/// What an example says is the default is the default.
#[test]
fn the_examples_show_the_defaults_of_optional_sections() {
    let text = with_examples(include_str!("../../../configs/narthex.yml"));
    let world = World::new(&[("/etc/rules/a.yml", RULES)]);
    let config = world.load(&text).config.expect("it is valid");
    let (gpio, write, mqtt) = (&config.gpio[0], &config.remote_write[0], &config.mqtt[0]);
    let bare =
        good("gpio: [{chip: c, line: 1, name: n}]\nremote_write: [{url: http://h}]\nmqtt: [{broker: h, topic: t}]\n");
    let (bare_gpio, bare_write, bare_mqtt) = (&bare.gpio[0], &bare.remote_write[0], &bare.mqtt[0]);
    assert_eq!(
        (gpio.edges, gpio.bias, gpio.active_low, gpio.debounce_ms),
        (bare_gpio.edges, bare_gpio.bias, bare_gpio.active_low, bare_gpio.debounce_ms)
    );
    assert_eq!((write.timeout_ms, &write.queue), (bare_write.timeout_ms, &bare_write.queue));
    let bare = good("scrape_configs: [{job_name: plc}]\n");
    let (shown, bare) = (config.scrape[0].job.clone(), bare.scrape[0].job.clone());
    let (fallback, params, relabel) = (shown.fallback, shown.params.clone(), shown.relabel.clone());
    let metric_relabel = shown.metric_relabel.clone();
    assert_eq!(shown, targets::Job { fallback, params, relabel, metric_relabel, ..bare });
    assert_eq!(mqtt.keep_alive_ms, bare_mqtt.keep_alive_ms);
}

#[test]
fn the_minimal_file_is_valid() {
    let loaded = World::new(&[]).load(include_str!("../../../configs/minimal.yml"));
    assert_eq!((loaded.errors.to_string(), loaded.warnings.to_string()), (String::new(), String::new()));
    assert!(loaded.notify.is_some() && !loaded.rules.is_empty());
}

mod peers;

/// The project's sibling with data that is not ours, or `None`, said loudly.
fn shared(path: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the workspace");
    let base = std::env::var_os("NARTHEX_SHARED").map_or_else(|| root.join("../shared"), PathBuf::from);
    let found = Some(base.join(path)).filter(|path| path.exists());
    if found.is_none() {
        eprintln!("LEFT OUT: {path} is not in {}", base.display());
    }
    found
}

/// The reference file, damaged at every few bytes: an error or a configuration, never a panic.
#[test]
fn damaged_files_do_no_harm() {
    let text = with_examples(include_str!("../../../configs/narthex.yml"));
    let world = World::new(&[("/etc/rules/a.yml", RULES)]);
    let harm = ["\u{0}", "é", "\n", ": ", "- ", "{", "[", "\"", "*a", "~", "-1", "99999999999999999999"];
    for (count, (at, _)) in text.char_indices().step_by(11).enumerate() {
        let loaded = world.load(&[&text[..at], harm[count % harm.len()], &text[at..]].concat());
        assert_eq!(loaded.config.is_some(), loaded.errors.is_empty());
        if count % 7 == 0 {
            world.load(&text[..at]);
        }
    }
}
