//! `rules`, `alerts` and `alertmanagers`: what is judged, what came of it, and who is told.
//!
//! Pages of groups are walked with a token that names the next group; it is a hash, so that it needs no escaping, and
//! means nothing once the groups have changed, which is said.

use model::{Alert, AlertState, Matcher, UnixMs};
use rules::{AlertRuleView, GroupView, RuleView};

use super::{ApiError, Call, Notes};
use crate::os::paths::fnv1a;
use crate::web::json;
use crate::web::params::{go_integer, go_quote, invalid};

/// What a request for rules wants.
struct Wanted<'a> {
    call: &'a Call<'a>,
    alerting: bool,
    recording: bool,
    exclude_alerts: bool,
    selectors: Vec<Vec<Matcher>>,
}

/// Answers with the rule groups.
pub(super) fn rules(call: &Call<'_>, out: &mut String) -> Result<Notes, ApiError> {
    call.well_formed()?;
    let selectors = call.selectors()?;
    let kind = call.params.get("type").to_lowercase();
    if !matches!(kind.as_str(), "" | "alert" | "record") {
        return Err(invalid("type", &format!("not supported value {}", go_quote(kind.as_bytes()))).into());
    }
    let wanted = Wanted {
        call,
        alerting: kind != "record",
        recording: kind != "alert",
        exclude_alerts: exclude_alerts(call.params.get("exclude_alerts"))?,
        selectors,
    };
    let (groups_max, mut token) = page(call)?;
    let groups = groups(call)?;
    let mut next_token = None;
    let mut shown: Vec<(&GroupView, Vec<&RuleView>)> = Vec::new();
    for group in &groups {
        if token.is_some_and(|token| token != token_of(group)) {
            continue;
        }
        token = None;
        let rules = wanted.rules_of(group);
        if rules.is_empty() {
            continue;
        }
        if groups_max.is_some_and(|max| shown.len() >= max) {
            next_token = Some(token_of(group));
            break;
        }
        shown.push((group, rules));
    }
    if token.is_some() {
        let given = call.params.get("group_next_token");
        let text = format!("invalid group_next_token '{given}'. were rule groups changed?");
        return Err(invalid("group_next_token", &text).into());
    }
    out.push_str("{\"groups\":");
    json::list(out, &shown, |out, (group, rules)| write_group(out, group, rules, wanted.exclude_alerts));
    if let Some(token) = next_token {
        json::text(out, "groupNextToken", &token);
    }
    out.push('}');
    Ok(Notes::default())
}

/// Answers with all alerts that are pending or fire.
pub(super) fn alerts(call: &Call<'_>, out: &mut String) -> Result<Notes, ApiError> {
    let groups = groups(call)?;
    let rules = groups.iter().flat_map(|group| &group.rules);
    let alerts = rules.filter_map(|rule| rule.alert.as_ref()).flat_map(|alert| &alert.alerts);
    out.push_str("{\"alerts\":");
    json::list(out, alerts, |out, (alert, since)| write_alert(out, alert, *since));
    out.push('}');
    Ok(Notes::default())
}

/// Answers with the Alertmanagers that are told.
pub(super) fn alertmanagers(call: &Call<'_>, out: &mut String) -> Result<Notes, ApiError> {
    out.push_str("{\"activeAlertmanagers\":");
    json::list(out, &super::status::status_of(call)?.alertmanagers, |out, url| {
        out.push('{');
        json::text(out, "url", url);
        out.push('}');
    });
    out.push_str(",\"droppedAlertmanagers\":[]}");
    Ok(Notes::default())
}

fn groups(call: &Call<'_>) -> Result<Vec<GroupView>, ApiError> {
    call.web.house.rules().ok_or_else(|| ApiError::unavailable("core does not answer, try again"))
}

fn exclude_alerts(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "" | "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        text => {
            let quoted = go_quote(text.as_bytes());
            let error = format!("error converting exclude_alerts: strconv.ParseBool: parsing {quoted}: invalid syntax");
            Err(invalid("exclude_alerts", &error))
        }
    }
}

/// Returns how many groups a page has and with which it begins.
fn page<'a>(call: &'a Call<'_>) -> Result<(Option<usize>, Option<&'a str>), ApiError> {
    let (limit, token) = (call.params.get("group_limit"), call.params.get("group_next_token"));
    let fail = |name: &str, text: &str| Err(ApiError::bad_data(invalid(name, text)));
    if limit.is_empty() {
        return match token {
            "" => Ok((None, None)),
            _ => fail("group_next_token", "group_limit needs to be present in order to paginate over the groups"),
        };
    }
    let parsed = go_integer("ParseInt", limit).and_then(|limit| match i32::try_from(limit) {
        Ok(limit) => Ok(limit),
        Err(_) => Err(format!(
            "strconv.ParseInt: parsing {}: value out of range",
            go_quote(call.params.get("group_limit").as_bytes())
        )),
    });
    match parsed {
        Err(error) => fail("group_limit", &format!("group_limit needs to be a valid number: {error}")),
        Ok(limit) if limit <= 0 => fail("group_limit", "group_limit needs to be greater than 0"),
        Ok(limit) => Ok((usize::try_from(limit).ok(), Some(token).filter(|token| !token.is_empty()))),
    }
}

fn token_of(group: &GroupView) -> String {
    format!("{:016x}", fnv1a(format!("{};{}", group.file, group.name).as_bytes()))
}

impl Wanted<'_> {
    /// Returns the rules of a group that are asked for.
    fn rules_of<'g>(&self, group: &'g GroupView) -> Vec<&'g RuleView> {
        if !self.named("rule_group[]", &group.name) || !self.named("file[]", &group.file) {
            return Vec::new();
        }
        group.rules.iter().filter(|rule| self.wants(rule)).collect()
    }

    fn wants(&self, rule: &RuleView) -> bool {
        let is_kind = if rule.alert.is_some() { self.alerting } else { self.recording };
        let value = |name: &str| rule.labels.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value);
        let fits = |matchers: &Vec<Matcher>| matchers.iter().all(|matcher| matcher.matches(value(&matcher.name)));
        let is_selected = self.selectors.is_empty() || self.selectors.iter().any(fits);
        is_kind && is_selected && self.named("rule_name[]", &rule.name)
    }

    /// Returns whether a name is among those given, or none is.
    fn named(&self, param: &str, name: &str) -> bool {
        let mut given = self.call.params.all(param).peekable();
        given.peek().is_none() || given.any(|given| given == name)
    }
}

fn write_group(out: &mut String, group: &GroupView, rules: &[&RuleView], exclude_alerts: bool) {
    out.push('{');
    json::text(out, "name", &group.name);
    json::text(out, "file", &group.file);
    json::key(out, "rules");
    json::list(out, rules, |out, rule| write_rule(out, rule, exclude_alerts));
    for (name, value) in [
        ("interval", group.interval_ms as f64 / 1_000.0),
        ("limit", group.limit as f64),
        ("evaluationTime", group.seconds),
    ] {
        json::key(out, name);
        json::number(out, value);
    }
    json::key(out, "lastEvaluation");
    json::date(out, group.last_evaluation);
    out.push('}');
}

fn write_rule(out: &mut String, rule: &RuleView, exclude_alerts: bool) {
    out.push('{');
    if let Some(alert) = &rule.alert {
        let state = match (rule.status.evaluated, alert.state()) {
            (_, Some(state)) => state_name(state),
            (true, None) => "inactive",
            (false, None) => "unknown",
        };
        json::text(out, "state", state);
    }
    json::text(out, "name", &rule.name);
    json::text(out, "query", &rule.query);
    match &rule.alert {
        Some(alert) => write_alert_rule(out, rule, alert, exclude_alerts),
        None if rule.labels.is_empty() => {}
        None => write_pairs(out, "labels", &rule.labels),
    }
    let health = match (&rule.status.last_error, rule.status.evaluated) {
        (Some(_), _) => "err",
        (None, true) => "ok",
        (None, false) => "unknown",
    };
    json::text(out, "health", health);
    if let Some(error) = &rule.status.last_error {
        json::text(out, "lastError", error);
    }
    json::key(out, "evaluationTime");
    json::number(out, rule.status.seconds);
    json::key(out, "lastEvaluation");
    json::date(out, rule.status.last_evaluation);
    json::text(out, "type", if rule.alert.is_some() { "alerting" } else { "recording" });
    out.push('}');
}

fn write_alert_rule(out: &mut String, rule: &RuleView, alert: &AlertRuleView, exclude_alerts: bool) {
    for (name, ms) in [("duration", alert.for_ms), ("keepFiringFor", alert.keep_firing_for_ms)] {
        json::key(out, name);
        json::number(out, ms as f64 / 1_000.0);
    }
    write_pairs(out, "labels", &rule.labels);
    write_pairs(out, "annotations", &alert.annotations);
    json::key(out, "alerts");
    match exclude_alerts {
        true => out.push_str("null"),
        false => json::list(out, &alert.alerts, |out, (alert, since)| write_alert(out, alert, *since)),
    }
}

fn write_pairs(out: &mut String, name: &str, pairs: &[(String, String)]) {
    json::key(out, name);
    json::pairs(out, pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())));
}

fn write_alert(out: &mut String, alert: &Alert, kept_since: Option<UnixMs>) {
    out.push_str("{\"labels\":");
    json::labels(out, &alert.labels);
    out.push_str(",\"annotations\":");
    json::labels(out, &alert.annotations);
    json::text(out, "state", state_name(alert.state));
    json::key(out, "activeAt");
    json::date(out, Some(alert.active_at));
    if kept_since.is_some() {
        json::key(out, "keepFiringSince");
        json::date(out, kept_since);
    }
    json::key(out, "value");
    json::exponent(out, alert.value);
    out.push('}');
}

fn state_name(state: AlertState) -> &'static str {
    match state {
        AlertState::Pending => "pending",
        AlertState::Firing => "firing",
        AlertState::Resolved => "inactive",
    }
}
