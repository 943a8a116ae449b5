//! Every answer of the API against Prometheus's own OpenAPI description of it.
//!
//! The validator below knows the words that this description uses, and fails on one that it does not know. What our
//! answers may have and the description does not mention is an error too, because the description says so
//! (`additionalProperties: false`).

use serde_json::Value as Json;
use support::http::escape;
use support::shared::shared;
use yaml::{Errors, Node};

use crate::world::{self, request, text};

const NOW: i64 = 1_800_000_000_000;

/// Walks a value and a schema side by side.
struct Validator {
    root: Node,
}

fn child(node: &Node, name: &str) -> Option<Node> {
    node.children().into_iter().find(|child| child.name() == Some(name))
}

fn at(node: &Node, path: &[&str]) -> Node {
    path.iter().fold(node.clone(), |node, name| child(&node, name).unwrap_or_else(|| panic!("{path:?}: no {name}")))
}

fn number(node: &Node) -> f64 {
    node.text().and_then(|text| text.parse().ok()).expect("a number")
}

impl Validator {
    /// Returns what is wrong with the value; `None` when nothing is.
    fn fault(&self, value: &Json, schema: &Node) -> Option<String> {
        for word in schema.children() {
            let name = word.name().expect("a map");
            let fault = match name {
                "description" | "example" | "default" | "properties" | "minLength" => None,
                "$ref" => {
                    let path: Vec<&str> = word.text().expect("a text").trim_start_matches("#/").split('/').collect();
                    self.fault(value, &at(&self.root, &path))
                }
                "type" => self.wrong_type(value, word.text().expect("a text")),
                "format" => wrong_format(value, word.text().expect("a text")),
                "enum" => (!word.children().iter().any(|option| option.text() == value.as_str()))
                    .then(|| format!("{value} is none of the values allowed")),
                "required" => word
                    .children()
                    .iter()
                    .filter_map(Node::text)
                    .find(|name| value.get(name).is_none())
                    .map(|name| format!("there is no {name}: {value}")),
                "items" => value.as_array()?.iter().find_map(|item| self.fault(item, &word)),
                "minItems" => (value.as_array()?.len() < number(&word) as usize).then(|| "too few items".to_owned()),
                "maxItems" => (value.as_array()?.len() > number(&word) as usize).then(|| "too many items".to_owned()),
                "minimum" => (value.as_f64()? < number(&word)).then(|| format!("{value} is too small")),
                "anyOf" | "oneOf" => self.none_of(value, &word),
                "additionalProperties" => self.additional(value, schema, &word),
                word => panic!("the validator does not know {word}"),
            };
            if fault.is_some() {
                return fault;
            }
        }
        let properties = child(schema, "properties");
        let properties = properties.iter().flat_map(Node::children);
        properties
            .filter_map(|property| {
                let name = property.name().expect("a map").to_owned();
                let fault = self.fault(value.get(&name)?, &property)?;
                Some(format!("{name}: {fault}"))
            })
            .next()
    }

    fn wrong_type(&self, value: &Json, wanted: &str) -> Option<String> {
        let fits = match wanted {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "number" => value.is_number(),
            "integer" => value.is_i64() || value.is_u64(),
            other => panic!("the validator does not know the type {other}"),
        };
        (!fits).then(|| format!("{value} is no {wanted}"))
    }

    fn none_of(&self, value: &Json, options: &Node) -> Option<String> {
        let faults: Vec<String> = options.children().iter().map_while(|option| self.fault(value, option)).collect();
        (faults.len() == options.children().len()).then(|| format!("none of the schemas fits: {}", faults.join("; ")))
    }

    fn additional(&self, value: &Json, schema: &Node, rule: &Node) -> Option<String> {
        let known = child(schema, "properties");
        let is_known = |name: &str| known.as_ref().is_some_and(|known| child(known, name).is_some());
        let mut others = value.as_object()?.iter().filter(|(name, _)| !is_known(name));
        match rule.text() {
            Some("false") => others.next().map(|(name, _)| format!("{name} is not described")),
            Some(_) => None,
            None => others.find_map(|(name, value)| Some(format!("{name}: {}", self.fault(value, rule)?))),
        }
    }
}

fn wrong_format(value: &Json, format: &str) -> Option<String> {
    let text = value.as_str()?;
    let is_date = |text: &str| text.len() >= 20 && text.ends_with('Z') && text.as_bytes()[10] == b'T';
    (format == "date-time" && !is_date(text)).then(|| format!("{text} is no date"))
}

/// Requests by the path of the description; where it begins with `!`, one that is refused.
fn requests() -> Vec<(&'static str, String)> {
    let query = |query: &str| format!("query?query={}&time={}", escape(query), NOW / 1_000);
    let range = |query: &str| {
        format!("query_range?query={}&start={}&end={}&step=30", escape(query), NOW / 1_000 - 120, NOW / 1_000)
    };
    let mut all: Vec<(&'static str, String)> = Vec::new();
    for text in ["up", "native", "1", "up[1m]", "native[1m]", "rate(up[5m])", "sum(native)", "up > 7"] {
        all.push(("/query", query(text)));
        all.push(("/query", format!("{}&stats=all&limit=1", query(text))));
    }
    for text in ["up", "native", "1", "rate(up[5m])"] {
        all.push(("/query_range", range(text)));
        all.push(("/query_range", format!("{}&stats=true", range(text))));
    }
    for (path, target) in [
        ("/query_exemplars", "query_exemplars?query=up"),
        ("/format_query", "format_query?query=up"),
        ("/parse_query", "parse_query?query=up"),
        ("/labels", "labels"),
        ("/labels", "labels?limit=1"),
        ("/label/{name}/values", "label/job/values"),
        ("/series", "series?match[]=up"),
        ("/metadata", "metadata"),
        ("/metadata", "metadata?metric=up"),
        ("/scrape_pools", "scrape_pools"),
        ("/targets", "targets"),
        ("/targets", "targets?state=active"),
        ("/targets/metadata", "targets/metadata"),
        ("/targets/metadata", "targets/metadata?metric=up"),
        ("/rules", "rules"),
        ("/rules", "rules?group_limit=1"),
        ("/alerts", "alerts"),
        ("/alertmanagers", "alertmanagers"),
        ("/status/config", "status/config"),
        ("/status/runtimeinfo", "status/runtimeinfo"),
        ("/status/buildinfo", "status/buildinfo"),
        ("/status/flags", "status/flags"),
        ("/status/tsdb", "status/tsdb"),
        ("/status/walreplay", "status/walreplay"),
        ("/notifications", "notifications"),
        ("/features", "features"),
        ("!/query", "query?query=("),
        ("!/query_range", "query_range?query=up"),
        ("!/query_exemplars", "query_exemplars"),
        ("!/format_query", "format_query"),
        ("!/parse_query", "parse_query"),
        ("!/labels", "labels?limit=x"),
        ("!/label/{name}/values", "label/%ff/values"),
        ("!/series", "series"),
        ("!/metadata", "metadata?limit=x"),
        ("!/targets/metadata", "targets/metadata?limit=x"),
        ("!/rules", "rules?type=x"),
        ("!/status/tsdb", "status/tsdb?limit=0"),
    ] {
        all.push((path, target.to_owned()));
    }
    all
}

#[test]
fn answers_are_as_the_description_says() {
    let name = "suites/httpapi/openapi_3.1_golden.yaml";
    let Some(path) = shared(name, "the OpenAPI description of the API") else { return };
    let description = std::fs::read_to_string(path).expect("it can be read");
    let root = yaml::parse("openapi.yaml", &description).unwrap_or_else(|errors: Errors| panic!("{errors:?}"));
    let (validator, web) = (Validator { root }, world::web(NOW));
    let (mut faults, requests) = (Vec::new(), requests());
    for (path, target) in &requests {
        let answer = web.answer(&request("GET", &format!("/api/v1/{target}"), ""));
        let (path, status) = path.strip_prefix('!').map_or((*path, "200"), |path| (path, "default"));
        let schema = ["paths", path, "get", "responses", status, "content", "application/json", "schema"];
        let schema = at(&validator.root, &schema);
        let body: Json = serde_json::from_str(&text(&answer)).unwrap_or_else(|error| panic!("{target}: {error}"));
        if let Some(fault) = validator.fault(&body, &schema) {
            faults.push(format!("{target}: {fault}"));
        }
        // A validator that takes everything would not be seen otherwise.
        assert!(validator.fault(&serde_json::json!({"status": "success", "dat": 1}), &schema).is_some(), "{target}");
    }
    println!("schema: {} answers are as the description says", requests.len());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
