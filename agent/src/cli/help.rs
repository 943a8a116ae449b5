//! What `--help` says, command by command, each with examples.
//!
//! Plain constants, so that they can be read here as a user sees them. A pipe that closes early (`| head`) is no
//! fault.

use std::io::Write;

use super::Failure;

/// `narthex --help`.
pub const GENERAL: &str = "\
Narthex: metrics, storage, rules and forwarding for an embedded Linux board, in one process.

Usage: narthex [run] [flags]             collect, keep, judge, notify, forward, serve
       narthex collect [flags]           print one collection and exit
       narthex check config|rules FILE.. find every error in a file, without running it
       narthex test promql FILE..        run scripts in Prometheus's test language
       narthex test rules FILE..         run promtool's unit tests for rules
       narthex query instant|range|series|labels
                                         ask a running agent, or a data file without one
       narthex tsdb import|dump|stats|verify|snapshot
                                         what is in the data file: in, out, what it costs, whether it is whole
       narthex COMMAND --help            more about one command

Examples:
  narthex                                run with the built-in configuration, serve on :9090
  narthex --config.file=narthex.yml      run with a configuration
  narthex collect | grep temp            look at this machine's sensors
";

/// `narthex run --help`.
pub const RUN: &str = "\
Collects this machine, keeps it in one bounded file, evaluates rules, notifies, forwards, and serves HTTP.

Usage: narthex [run] [flags]

  --config.file=FILE             the configuration; without it the built-in one
  --storage.path=FOLDER          where the data file lies; default: the platform's state folder
  --web.listen-address=ADDRESS   where to serve, for example :9090 or 127.0.0.1:9090; default :9090
  --web.config.file=FILE         the peers' web configuration: basic_auth_users with bcrypt hashes
  --web.enable-admin-api         let PUT /api/v1/admin/wipe remove all pushed metrics
  --push.enable-utf8-names       take escaped UTF-8 label names in the paths of pushes
  --web.cors.origin=PATTERN      which origins a browser may hand answers to; default .*
  --query.timeout=DURATION       how long a query may take; wins over the file
  --query.lookback-delta=DURATION
                                 how long a sample counts as the present value; wins over the file
  --query.max-samples=N          how many samples a query may hold; default 2000000
  --query.max-concurrency=N      how many queries are computed at a time; default 2
  --enable-feature=NAMES         Prometheus's feature flags, for example promql-experimental-functions
  --log.level=LEVEL              error, warn, info or debug; default info
  --log.format=FORMAT            logfmt or json; default logfmt

Signals: SIGHUP reads the configuration again (all of it or nothing), SIGTERM flushes and ends.

Examples:
  narthex run
  narthex run --config.file=/etc/narthex/narthex.yml --storage.path=/var/lib/narthex
  narthex run --web.listen-address=127.0.0.1:9091
";

/// `narthex collect --help`.
pub const COLLECT: &str = "\
Collects once, prints the metrics and exits. Takes node_exporter's flags.

Usage: narthex collect [flags]

  --collector.NAME, --no-collector.NAME   switch a collector on or off
  --collector.disable-defaults            start with none
  --path.procfs=, --path.sysfs=, --path.rootfs=, --path.udev.data=
  --web.disable-exporter-metrics          accepted, changes nothing: a single collection has none

Examples:
  narthex collect
  narthex collect --collector.disable-defaults --collector.thermal_zone
  narthex collect --path.procfs=/host/proc --path.sysfs=/host/sys --path.rootfs=/host

Collectors and their flags:
";

/// `narthex check --help`.
pub const CHECK: &str = "\
Finds every error in a file without running it; each is printed as file:line:column: what, and what was expected.

Usage: narthex check config FILE..    a configuration, with the rule files it names
       narthex check rules [FILE..]   rule files, standard input without one; output and lint as promtool's

  --enable-feature=NAMES            Prometheus's feature flags, for example promql-experimental-functions
Of check rules:
  --lint=all|duplicate-rules|none   what odd things to look for; default duplicate-rules
  --lint-fatal                      make them exit status 3
  --ignore-unknown-fields           accept unknown keys

Examples:
  narthex check config /etc/narthex/narthex.yml
  narthex check rules rules/*.yml
";

/// `narthex test --help`.
pub const TEST: &str = "\
Runs scripts in Prometheus's test language against the query engine, or unit tests for rules as promtool runs them.

Usage: narthex test promql FILE..   scripts; the last line is `N passed, M failed`
       narthex test rules FILE..    unit tests for rules: series in, alerts and samples expected

Of test rules:
  --run=PATTERN                 only tests whose names this matches; may be given several times
  --diff                        show of alerts what differs, in colour
  --ignore-unknown-fields       accept unknown keys in rule files
  --enable-feature=NAMES        Prometheus's feature flags, for example promql-experimental-functions

Examples:
  narthex test promql my-queries.test
  narthex test rules rules/*.test.yml
";

/// `narthex query --help`.
pub const QUERY: &str = "\
Asks a running agent, any server with Prometheus's API, or a data file without an agent.

Usage: narthex query instant EXPR        the values of an expression at one time
       narthex query range EXPR          its course; on a terminal with a curve
       narthex query series SELECTOR..   label sets
       narthex query labels [NAME]       names of labels, or the values of one

  --server=URL            whom to ask; default http://localhost:9090
  --storage.path=FOLDER   ask the data file in this folder; no agent may run on it
  -o table|json|csv       how it is printed; default table
  --time=TIME             instant: when; default now
  --start=TIME, --end=TIME, --step=DURATION
                          range: default the last 5 minutes in about 250 steps
  --match=SELECTOR        labels: only of these series; may be given several times
  --limit=N               no more series than these
  --enable-feature=NAMES  with --storage.path: Prometheus's feature flags

TIME is seconds since 1970, RFC 3339, now, or -6h for six hours before now.

Examples:
  narthex query instant node_load1
  narthex query range 'rate(node_cpu_seconds_total[5m])' --start=-6h --step=1m
  narthex query labels instance --match=up -o csv
";

/// `narthex tsdb --help`.
pub const TSDB: &str = "\
Works on the data file while no agent runs on it; snapshot also while one does.

Usage: narthex tsdb import FILE..|-      OpenMetrics or Prometheus text with timestamps into the file
       narthex tsdb dump                 everything as OpenMetrics text
       narthex tsdb stats                what it holds, what a sample and each metric cost, how many days fit
       narthex tsdb verify               read every page and decode every sample
       narthex tsdb snapshot FOLDER      a copy of the data file in another folder, while the agent goes on

  --storage.path=FOLDER   where the data file lies; default: the platform's state folder
  --storage.size=SIZE     how large a file that is made becomes, for example 1GB
  --config.file=FILE      take both from this configuration
  --match=SELECTOR        dump: only these series; may be given several times
  --min-time=MS, --max-time=MS   dump: only from or to this time, in milliseconds since 1970
  -o json                 stats: as JSON

Examples:
  narthex tsdb import --storage.path=/tmp/try history.om
  narthex tsdb stats --storage.path=/var/lib/narthex -o json
  narthex tsdb dump --storage.path=/var/lib/narthex --match='{__name__=\"up\"}'
  narthex tsdb snapshot --storage.path=/var/lib/narthex /media/stick/today
";

/// Prints a text on standard output. A reader that went away is no fault.
///
/// # Errors
/// None; the type fits the commands.
pub fn print(text: &str) -> Result<(), Failure> {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
    Ok(())
}
