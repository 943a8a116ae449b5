//! The body of a webhook notice: Alertmanager's JSON, version "4", written as Go's encoder writes it.
//!
//! ```json
//! {"receiver":"phone","status":"firing","alerts":[{"status":"firing","labels":{"alertname":"Hot"},...}],...,"version":"4",
//!  "groupKey":"{}:{alertname=\"Hot\"}","truncatedAlerts":0}
//! ```
//! `testdata/webhook.json` is what Alertmanager 0.33.1 sent. An alert that still fires has Go's zero time as its end. Alerts beyond `max_alerts` or the body's limit are counted.

use model::{Alert, AlertState, Labels, UnixMs};

use crate::fingerprint::fingerprint;
use crate::group::Reason;
use crate::limits::BODY_BYTES_MAX;

const NO_TIME: &str = "0001-01-01T00:00:00Z";

/// What a notice is made of.
pub struct Parts<'a> {
    pub receiver: &'a str,
    pub group_key: &'a str,
    pub group_labels: &'a Labels,
    pub external_url: &'a str,
    pub alerts: &'a [&'a Alert],
    pub reason: Reason,
    pub max_alerts: u64,
}

/// Returns the body.
pub fn body(parts: &Parts<'_>) -> String {
    let limit = if parts.max_alerts == 0 { usize::MAX } else { parts.max_alerts as usize };
    let mut listed = String::new();
    let mut kept = Vec::new();
    for alert in parts.alerts.iter().take(limit) {
        let before = listed.len();
        if !kept.is_empty() {
            listed.push(',');
        }
        push_alert(&mut listed, alert);
        if listed.len() > BODY_BYTES_MAX && !kept.is_empty() {
            listed.truncate(before);
            break;
        }
        kept.push(*alert);
    }
    let firing = kept.iter().any(|alert| alert.state != AlertState::Resolved);
    let mut out = String::with_capacity(listed.len() + 512);
    push_field(&mut out, "{", "receiver", parts.receiver);
    push_field(&mut out, ",", "status", if firing { "firing" } else { "resolved" });
    out.push_str(",\"alerts\":[");
    out.push_str(&listed);
    push_field(&mut out, "],", "notification_reason", parts.reason.as_str());
    out.push_str(",\"groupLabels\":");
    push_map(&mut out, parts.group_labels);
    out.push_str(",\"commonLabels\":");
    push_map(&mut out, &common(&kept, |alert| &alert.labels));
    out.push_str(",\"commonAnnotations\":");
    push_map(&mut out, &common(&kept, |alert| &alert.annotations));
    push_field(&mut out, ",", "externalURL", parts.external_url);
    push_field(&mut out, ",", "version", "4");
    push_field(&mut out, ",", "groupKey", parts.group_key);
    out.push_str(",\"truncatedAlerts\":");
    out.push_str(&(parts.alerts.len() - kept.len()).to_string());
    out.push_str("}\n");
    out
}

fn push_alert(out: &mut String, alert: &Alert) {
    let resolved = alert.state == AlertState::Resolved;
    push_field(out, "{", "status", if resolved { "resolved" } else { "firing" });
    out.push_str(",\"labels\":");
    push_map(out, &alert.labels);
    out.push_str(",\"annotations\":");
    push_map(out, &alert.annotations);
    push_field(out, ",", "startsAt", &time(alert.fired_at.or(Some(alert.active_at))));
    push_field(out, ",", "endsAt", &time(alert.resolved_at.filter(|_| resolved)));
    push_field(out, ",", "generatorURL", &alert.generator_url);
    push_field(out, ",", "fingerprint", &format!("{:016x}", fingerprint(&alert.labels)));
    out.push('}');
}

/// Prints a time as Go's `RFC3339Nano`: no zeros at the end of a fraction.
fn time(at: Option<UnixMs>) -> String {
    let Some(at) = at else { return NO_TIME.to_owned() };
    let text = at.to_string();
    match text.strip_suffix('Z') {
        Some(rest) if rest.contains('.') => format!("{}Z", rest.trim_end_matches('0')),
        _ => text,
    }
}

/// Returns the pairs that all alerts share.
fn common<'a>(alerts: &[&'a Alert], part: impl Fn(&'a Alert) -> &'a Labels) -> Labels {
    let Some((first, others)) = alerts.split_first() else { return Labels::empty() };
    let first = part(first);
    first.filter(|name| others.iter().all(|alert| part(alert).get(name) == first.get(name)))
}

fn push_map(out: &mut String, labels: &Labels) {
    out.push('{');
    for (i, (name, value)) in labels.iter().enumerate() {
        out.push_str(if i > 0 { "," } else { "" });
        push_string(out, name);
        out.push(':');
        push_string(out, value);
    }
    out.push('}');
}

fn push_field(out: &mut String, before: &str, name: &str, value: &str) {
    out.push_str(before);
    push_string(out, name);
    out.push(':');
    push_string(out, value);
}

/// Writes a JSON string with the escapes of Go's encoder, which also hides what HTML would take for its own.
fn push_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => out.push_str(&format!("\\u{:04x}", c as u32)),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(device: &str, state: AlertState) -> Alert {
        Alert {
            labels: Labels::from_pairs([("alertname", "Hot"), ("device", device)]),
            annotations: Labels::from_pairs([("summary", "a <b> & \"c\"\n")]),
            state,
            value: 81.5,
            active_at: UnixMs(1_795_249_000_000),
            fired_at: Some(UnixMs(1_795_249_204_020)),
            resolved_at: (state == AlertState::Resolved).then_some(UnixMs(1_795_249_300_500)),
            generator_url: "http://pi:9090/graph?g0.expr=a&g0.tab=1".to_owned(),
        }
    }

    #[test]
    fn the_body_is_alertmanagers() {
        let (a, b) = (alert("cpu", AlertState::Firing), alert("gpu", AlertState::Resolved));
        let parts = Parts {
            receiver: "phone",
            group_key: "{}:{alertname=\"Hot\"}",
            group_labels: &Labels::from_pairs([("alertname", "Hot")]),
            external_url: "http://pi:9090",
            alerts: &[&a, &b],
            reason: Reason::SomeResolved,
            max_alerts: 0,
        };
        assert_eq!(body(&parts), include_str!("../testdata/webhook.json"));
        let cut = body(&Parts { max_alerts: 1, ..parts });
        assert!(cut.contains("\"truncatedAlerts\":1}") && !cut.contains("gpu"), "{cut}");
    }
}
