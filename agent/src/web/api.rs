//! Prometheus's HTTP API, version 1: paths to handlers, and the envelope around what they say.
//!
//! ```json
//! {"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"up"},"value":[1,"1"]}]}}
//! {"status":"error","errorType":"bad_data","error":"invalid parameter \"query\": 1:3: parse error: ..."}
//! ```
//!
//! A handler appends its data to the answer that is begun already, so nothing large is copied; on an error what was
//! begun is thrown away. Methods, status codes, texts and cross-origin headers are those of Prometheus 3; so is the list
//! of paths, but for what writes, and what speaks of parts that we do not have.

mod exemplars;
mod histogram;
mod query;
mod rules;
mod series;
mod status;
mod syntax;
mod targets;
mod value;

use std::sync::atomic::Ordering;

use promql::EvalError;

use super::counts::Limit;
use super::params::Params;
use super::{Answer, Request, Web, json};

/// The largest answer, in bytes. What is larger would not fit a small board beside everything else.
pub const ANSWER_BYTES_MAX: usize = 32 << 20;

/// The most warnings, and the most infos, of an answer; the peer's number.
const NOTES_MAX: usize = 10;

/// What a handler has to say besides its data.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    pub warnings: Vec<String>,
    pub infos: Vec<String>,
    /// Whether there is nothing to say at all.
    pub no_content: bool,
}

/// A request on its way through a handler.
pub(crate) struct Call<'a> {
    pub web: &'a Web,
    pub request: &'a Request,
    pub params: Params,
}

type Handler = fn(&Call<'_>, &mut String) -> Result<Notes, ApiError>;

const GET: &str = "GET, OPTIONS";
const GET_POST: &str = "GET, OPTIONS, POST";

/// Paths below `/api/v1/`, with the methods each takes. `label/NAME/values` is apart.
const ROUTES: [(&str, &str, Handler); 25] = [
    ("query", GET_POST, query::instant),
    ("query_range", GET_POST, query::range),
    ("query_exemplars", GET_POST, exemplars::exemplars),
    ("format_query", GET_POST, syntax::format),
    ("parse_query", GET_POST, syntax::parse),
    ("labels", GET_POST, series::label_names),
    ("series", "DELETE, GET, OPTIONS, POST", series::series),
    ("metadata", GET, targets::metadata),
    ("targets", GET, targets::targets),
    ("targets/metadata", GET, targets::target_metadata),
    ("scrape_pools", GET, targets::scrape_pools),
    ("rules", GET, rules::rules),
    ("alerts", GET, rules::alerts),
    ("alertmanagers", GET, rules::alertmanagers),
    ("features", GET, status::features),
    ("notifications", GET, status::notifications),
    ("status/config", GET, status::config),
    ("status/flags", GET, status::flags),
    ("status/runtimeinfo", GET, status::runtimeinfo),
    ("status/buildinfo", GET, status::buildinfo),
    ("status/tsdb", GET, status::tsdb),
    ("status/walreplay", GET, status::walreplay),
    ("admin/tsdb/delete_series", "OPTIONS, POST, PUT", status::admin),
    ("admin/tsdb/clean_tombstones", "OPTIONS, POST, PUT", status::admin),
    ("admin/tsdb/snapshot", "OPTIONS, POST, PUT", status::admin),
];

/// Returns whether a path below `/api/v1/` reads what is stored, which may take long.
pub fn is_heavy(path: &str) -> bool {
    let reads = ["query", "query_range", "series", "labels", "status/tsdb", "targets/metadata"];
    reads.contains(&path) || path.starts_with("label/")
}

/// Answers a path below `/api/v1/`.
pub fn answer(web: &Web, request: &Request, path: &str) -> Answer {
    if request.method == "OPTIONS" {
        return with_cors(web, request, Answer::new(204, "", ""));
    }
    let label = path.strip_prefix("label/").and_then(|rest| rest.strip_suffix("/values"));
    let route = match label.filter(|name| !name.is_empty() && !name.contains('/')) {
        Some(_) => Some((GET, series::label_values as Handler)),
        None => ROUTES.iter().find(|(known, ..)| *known == path).map(|(_, allow, handler)| (*allow, *handler)),
    };
    let Some((allow, handler)) = route else { return Answer::not_found() };
    if !allow.split(", ").any(|method| method == request.method) {
        return Answer::method_not_allowed(allow);
    }
    let mut out = String::from("{\"status\":\"success\",\"data\":");
    let call = Call { web, request, params: Params::of(request) };
    let answer = match handler(&call, &mut out) {
        Ok(notes) if notes.no_content => Answer::new(204, "", ""),
        Ok(mut notes) => {
            shorten(&mut notes.warnings, "warning");
            shorten(&mut notes.infos, "info");
            for (name, texts) in [("warnings", &notes.warnings), ("infos", &notes.infos)] {
                if !texts.is_empty() {
                    json::key(&mut out, name);
                    json::texts(&mut out, texts);
                }
            }
            out.push('}');
            Answer::new(200, "application/json", out)
        }
        Err(error) => {
            if let Some(limit) = error.limit.filter(|limit| *limit != Limit::Client || !request.is_hurried()) {
                // Who stopped it is known only here: the clock or the client.
                let is_late = limit == Limit::Client && request.is_late.load(Ordering::Relaxed);
                web.queries.limited(if is_late { Limit::Time } else { limit });
            }
            error.answer()
        }
    };
    // What is begun anew elsewhere is counted there.
    if matches!(path, "query" | "query_range") && !(request.is_hurried() && answer.status == 499) {
        web.queries.query();
    }
    with_cors(web, request, answer)
}

/// Leaves so many notes of a kind as the peer does, and says how many more there were.
fn shorten(texts: &mut Vec<String>, kind: &str) {
    let more = texts.len().saturating_sub(NOTES_MAX);
    if more > 0 {
        texts.truncate(NOTES_MAX);
        texts.push(format!("{more} more {kind} annotations omitted"));
    }
}

/// Says which pages of others may read the answer; what controls is not under this roof.
fn with_cors(web: &Web, request: &Request, answer: Answer) -> Answer {
    let answer = answer.with("vary", "Origin");
    let origin = &request.origin;
    if origin.is_empty() {
        return answer;
    }
    let answer = answer
        .with("access-control-allow-headers", "Accept, Authorization, Content-Type, Origin")
        .with("access-control-allow-methods", "GET, POST, OPTIONS")
        .with("access-control-expose-headers", "Date");
    match &web.settings.cors_origin {
        Some(allowed) if allowed.is_match(origin) => answer.with("access-control-allow-origin", origin.clone()),
        _ => answer,
    }
}

/// An error as the API names it.
#[derive(Debug)]
pub struct ApiError {
    kind: &'static str,
    status: u16,
    text: String,
    /// Which limit was in the way.
    limit: Option<Limit>,
}

impl ApiError {
    /// Returns the error for a request that makes no sense.
    pub fn bad_data(text: impl Into<String>) -> ApiError {
        ApiError { kind: "bad_data", status: 400, text: text.into(), limit: None }
    }

    /// Returns the error for a query that makes no sense on these data.
    fn execution(text: impl Into<String>) -> ApiError {
        ApiError { kind: "execution", status: 422, text: text.into(), limit: None }
    }

    /// Returns the error for what is our fault.
    fn internal(text: impl Into<String>) -> ApiError {
        ApiError { kind: "internal", status: 500, text: text.into(), limit: None }
    }

    /// Returns the error for a part of the house that does not answer now.
    fn unavailable(text: impl Into<String>) -> ApiError {
        ApiError { kind: "unavailable", status: 503, text: text.into(), limit: None }
    }

    /// Returns it as one that a limit brought about.
    fn by(self, limit: Limit) -> ApiError {
        ApiError { limit: Some(limit), ..self }
    }

    /// Returns the answer that carries it.
    pub fn answer(&self) -> Answer {
        let mut out = String::from("{\"status\":\"error\"");
        json::text(&mut out, "errorType", self.kind);
        json::text(&mut out, "error", &self.text);
        out.push('}');
        Answer::new(self.status, "application/json", out)
    }
}

impl From<String> for ApiError {
    fn from(text: String) -> ApiError {
        ApiError::bad_data(text)
    }
}

impl From<EvalError> for ApiError {
    fn from(error: EvalError) -> ApiError {
        let (kind, status) = match &error {
            // The code with which the peer says that the client closed the connection.
            EvalError::Stopped => ("canceled", 499),
            EvalError::Select(_) => ("internal", 500),
            EvalError::Steps(_) => ("bad_data", 400),
            _ => ("execution", 422),
        };
        let limit = match &error {
            EvalError::TooManySamples { .. } => Some(Limit::Samples),
            EvalError::TooManySeries { .. } => Some(Limit::Series),
            EvalError::Steps(_) => Some(Limit::Steps),
            EvalError::Stopped => Some(Limit::Client),
            _ => None,
        };
        ApiError { kind, status, text: error.to_string(), limit }
    }
}

/// Returns the answer for a query that took longer than it may; `phase` is where it was, as the peer says it.
pub fn timed_out(web: &Web, request: &Request, phase: &str) -> Answer {
    let text = format!("query timed out in {phase}");
    let error = ApiError { kind: "timeout", status: 503, text, limit: None };
    with_cors(web, request, error.answer())
}

/// Returns how long this request may take by its own word, in milliseconds; `None` where it says nothing or nonsense.
pub fn timeout_ms(request: &Request) -> Option<u64> {
    if !matches!(request.path.as_str(), "/api/v1/query" | "/api/v1/query_range") {
        return None;
    }
    let params = Params::of(request);
    let ms = Some(params.duration_ms("timeout")).filter(|_| !params.get("timeout").is_empty())?.ok()?;
    Some(ms.max(0.0) as u64)
}

impl Call<'_> {
    /// Returns whether nobody waits for the answer any more.
    fn is_stopped(&self) -> bool {
        self.request.is_stopped()
    }

    /// Returns what is stored, as far as this request may wait for it.
    fn reader(&self) -> tsdb::Reader {
        let reader = self.web.reader();
        if self.request.is_hurried() { reader.at_hand() } else { reader }
    }

    /// Parses an expression with the features that are on.
    fn parse(&self, text: &str) -> Result<promql::Expr, promql::ParseError> {
        promql::parse_with(text, self.web.settings.features)
    }

    /// Parses the parameter `query`.
    fn query(&self) -> Result<promql::Expr, ApiError> {
        let parsed = self.parse(self.params.get("query"));
        parsed.map_err(|error| ApiError::bad_data(super::params::invalid("query", &error.to_string())))
    }

    /// Parses the selectors of `match[]`. Each must ask for something.
    fn selectors(&self) -> Result<Vec<Vec<model::Matcher>>, ApiError> {
        let mut selectors = Vec::new();
        for text in self.params.all("match[]") {
            let parsed = promql::parse_metric_selector(text);
            selectors.push(parsed.map_err(|error| ApiError::bad_data(error.to_string()))?);
        }
        if selectors.iter().any(|matchers| matchers.iter().all(model::Matcher::matches_empty)) {
            return Err(ApiError::bad_data("match[] must contain at least one non-empty matcher"));
        }
        Ok(selectors)
    }

    /// Refuses a request whose parameters could not all be read.
    fn well_formed(&self) -> Result<(), ApiError> {
        let text = self.params.malformed().map(|text| format!("error parsing form values: {text}"));
        text.map_or(Ok(()), |text| Err(ApiError::bad_data(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_told_apart_and_sorted_methods_are_shown() {
        for (path, allow, _) in ROUTES {
            let mut methods: Vec<&str> = allow.split(", ").collect();
            methods.sort_unstable();
            assert_eq!(methods.join(", "), allow, "{path}");
            assert_eq!(ROUTES.iter().filter(|(other, ..)| *other == path).count(), 1, "{path}");
        }
    }

    #[test]
    fn a_request_says_how_long_it_may_take() {
        let of = |target: &str| timeout_ms(&Request::new("GET", target));
        assert_eq!(of("/api/v1/query?timeout=1m"), Some(60_000));
        assert_eq!(of("/api/v1/query_range?timeout=0"), Some(0));
        assert_eq!(of("/api/v1/query?timeout=-1"), Some(0));
        assert_eq!(of("/api/v1/query?timeout="), None);
        assert_eq!(of("/api/v1/query?timeout=x"), None);
        assert_eq!(of("/api/v1/series?timeout=1"), None);
    }
}
