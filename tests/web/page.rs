//! The page, looked at with headless Chromium: what it shows of a board with data, alerts and a dead upstream.
//!
//! Looks at the document that its script makes, not at pixels. Where there is no Chromium this is left out, loudly;
//! with `NARTHEX_SCREENSHOTS=FOLDER` pictures of what was looked at are put there, for a person.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use support::agent::Agent;
use support::folder::Folder;
use support::process::Process;
use support::wait::{self, SOON};

const PAGE_BYTES_MAX: usize = 20 << 10;
/// How long the page's script may take, in the browser's own time.
const BUDGET_MS: u32 = 3_000;

const CONFIG: &str = "
rule_files: ['{folder}/rules.yml']
collect: { interval: 1s }
remote_write: [{ name: central, url: 'http://127.0.0.1:1/write' }]
alertmanager_config_file: '{folder}/alertmanager.yml'
";

const RULES: &str = "
groups:
  - name: page
    interval: 1s
    rules:
      - alert: LoadIsThere
        expr: node_load1 >= 0
        annotations: { summary: 'a <b>load</b> & <script>document.title=1</script>' }
      - alert: NotYet
        expr: node_load1 >= 0
        for: 1h
";

const ALERTMANAGER: &str = "
receivers: [{ name: hook, webhook_configs: [{ url: 'http://127.0.0.1:1/' }] }]
route: { receiver: hook, group_wait: 0s }
";

/// Returns the browser, or `None` after saying what is left out.
///
/// # Panics
/// When it is missing and nothing may be left out.
fn chromium() -> Option<PathBuf> {
    let path = Path::new("/usr/bin/chromium");
    if path.exists() {
        return Some(path.to_owned());
    }
    let message = "LEFT OUT: the page in a browser: /usr/bin/chromium is not there";
    assert!(std::env::var_os("NARTHEX_NOTHING_LEFT_OUT").is_none(), "{message}");
    // Past the test runner's capture, so that it is seen when the test passes.
    let _ = std::io::stderr().write_all(format!("\n{message}\n").as_bytes());
    None
}

/// Runs the browser with a new profile and returns what it prints.
fn browse(browser: &Path, url: &str, args: &[String]) -> String {
    let profile = Folder::new("chromium");
    let mut command = Command::new(browser);
    for flag in [
        "headless",
        "no-sandbox",
        "disable-gpu",
        "disable-quic",
        "no-first-run",
        "disable-background-networking",
        "disable-component-update",
        "disable-sync",
        "disable-dev-shm-usage",
    ] {
        command.arg(format!("--{flag}"));
    }
    command.arg(format!("--user-data-dir={}", profile.path().display()));
    command.arg(format!("--virtual-time-budget={BUDGET_MS}")).args(args).arg(url);
    let mut process = Process::start("chromium", &mut command);
    let status = process.wait(Duration::from_secs(120));
    assert!(status.success(), "{status}\n{}", process.stderr());
    process.stdout()
}

/// Returns the document as the page's script has made it.
fn document(browser: &Path, agent: &Agent) -> String {
    let dom = browse(browser, &format!("http://{}/", agent.address()), &["--dump-dom".to_owned()]);
    let begin = dom.find("<header>").unwrap_or_else(|| panic!("no header:\n{dom}"));
    let end = dom.find("<script>").unwrap_or(dom.len());
    dom[begin..end].to_owned()
}

fn take_pictures(browser: &Path, agent: &Agent, name: &str) {
    let Some(folder) = std::env::var_os("NARTHEX_SCREENSHOTS").map(PathBuf::from) else { return };
    for (width, height) in [(1200, 900), (390, 1600)] {
        let path = folder.join(format!("{name}-{width}.png"));
        let args = [format!("--window-size={width},{height}"), format!("--screenshot={}", path.display())];
        browse(browser, &format!("http://{}/", agent.address()), &args);
    }
}

/// Returns what lies between the element with this id and the next piece of text.
fn part<'a>(dom: &'a str, id: &str, until: &str) -> &'a str {
    let from = dom.find(&format!("id=\"{id}\"")).unwrap_or_else(|| panic!("no {id}:\n{dom}"));
    let rest = &dom[from..];
    &rest[..rest.find(until).unwrap_or(rest.len())]
}

/// Returns the number that a card shows.
fn shown<'a>(dom: &'a str, title: &str) -> &'a str {
    let card = dom.split("<div class=\"card\">").find(|card| card.contains(title));
    let number = card.and_then(|card| card.split("<b>").nth(1)?.split("</b>").next());
    number.unwrap_or_else(|| panic!("no card {title}:\n{dom}"))
}

fn is_number_with(text: &str, unit: &str) -> bool {
    text.strip_suffix(unit).is_some_and(|number| number.trim().parse::<f64>().is_ok_and(|number| number >= 0.0))
}

#[test]
fn the_page_is_small_and_whole() {
    let page = std::fs::read_to_string(support::shared::project().join("agent/src/web/page.html")).expect("the page");
    assert!(page.len() < PAGE_BYTES_MAX, "{} bytes", page.len());
    for call in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "src=", "@import", "://"] {
        let allowed = page.matches("http://www.w3.org/2000/svg").count();
        let found = page.matches(call).count() - if call == "://" { allowed } else { 0 };
        assert_eq!(found, 0, "{call}: all that comes from the server is text, and nothing comes from elsewhere");
    }
}

#[test]
fn the_page_shows_a_board_with_alerts_and_an_upstream_that_is_down() {
    let Some(browser) = chromium() else { return };
    let agent = Agent::new(CONFIG);
    agent.folder().write("rules.yml", RULES);
    agent.folder().write("alertmanager.yml", ALERTMANAGER);
    let agent = agent.started();
    for wanted in
        ["ALERTS{alertstate=\"firing\"}", "rate(node_cpu_seconds_total[1m])", "narthex_upstream_retries_total > 1"]
    {
        wait::until_true(SOON, wanted, || !agent.query(wanted).contains("\"result\":[]"));
    }
    let dom = document(&browser, &agent);
    assert_eq!(part(&dom, "trouble", "</div>").split('>').nth(1), Some(""), "an error is shown:\n{dom}");
    for (title, unit) in [("CPU busy", "%"), ("Memory used", "%"), ("Load, 1 min", ""), ("Fullest file system", "%")] {
        assert!(is_number_with(shown(&dom, title), unit), "{title}: {}", shown(&dom, title));
    }
    let cards = dom.matches("<div class=\"card\"><span").count();
    assert!(cards >= 5 && dom.matches("class=\"line\" d=\"M").count() == cards, "{cards} cards:\n{dom}");
    assert!(!dom.contains("NaN") && !dom.contains("undefined") && !dom.contains("Infinity"), "{dom}");

    let alerts = part(&dom, "alerts", "<h2>");
    assert!(alerts.contains("class=\"firing\"") && alerts.contains(">LoadIsThere</td>"), "{alerts}");
    assert!(alerts.contains("class=\"pending\"") && alerts.contains(">NotYet</td>"), "{alerts}");
    assert!(alerts.contains("a &lt;b&gt;load&lt;/b&gt; &amp; &lt;script&gt;"), "text became markup: {alerts}");
    let ring = part(&dom, "ring", "<h2>");
    assert!(ring.contains("% of 256 MiB in ") && ring.contains(" series, oldest sample "), "{ring}");
    let upstreams = part(&dom, "upstreams", "</main>");
    for wanted in [">central</td>", ">remote_write</td>", ">hook</td>", ">webhook</td>", "Connection refused"] {
        assert!(upstreams.contains(wanted), "{wanted}: {upstreams}");
    }
    take_pictures(&browser, &agent, "busy");
}

#[test]
fn the_page_of_a_quiet_board_says_that_all_is_well() {
    let Some(browser) = chromium() else { return };
    let agent = Agent::new("rule_files: []\ncollect: { interval: 1s }\n").started();
    wait::until_true(SOON, "numbers", || !agent.query("node_load1").contains("\"result\":[]"));
    let dom = document(&browser, &agent);
    assert!(is_number_with(shown(&dom, "Load, 1 min"), ""), "{dom}");
    assert!(part(&dom, "alerts", "<h2>").contains("None pending, none firing."), "{dom}");
    assert!(part(&dom, "upstreams", "</main>").contains("None configured"), "{dom}");
    assert_eq!(part(&dom, "trouble", "</div>").split('>').nth(1), Some(""), "{dom}");
    take_pictures(&browser, &agent, "quiet");
}
