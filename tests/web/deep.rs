//! The deepest queries that are accepted, over series that have data, on no more stack than a thread has that computes.
//!
//! Each kind of node is nested as far as the parser lets it; a range query goes through all that evaluates.

use narthex::io::COMPUTE_STACK_BYTES;
use support::http::escape;

use crate::world::{self, request, text};

/// What is put around a query, again and again.
const AROUND: [(&str, &str); 26] = [
    ("(", ")"),
    ("-(", ")"),
    ("2 ^ ", ""),
    ("1 + (", ")"),
    ("(", ") or up"),
    ("up * on(instance) (", ")"),
    ("up and on(instance) (", ")"),
    ("vector(1) unless (", ")"),
    ("abs(", ")"),
    ("clamp(", ", 0, 100)"),
    ("round(", ", 5)"),
    ("sort(", ")"),
    ("absent(", ")"),
    ("timestamp(", ")"),
    ("vector(scalar(", "))"),
    ("histogram_quantile(0.9, ", ")"),
    ("label_replace(", ", \"x\", \"$1\", \"instance\", \"(.*)\")"),
    ("label_join(", ", \"x\", \"-\", \"instance\")"),
    ("sum by (instance) (", ")"),
    ("topk(3, ", ")"),
    ("quantile(0.5, ", ")"),
    ("count_values(\"v\", ", ")"),
    ("max_over_time((", ")[15s:15s])"),
    ("rate((", ")[30s:15s])"),
    ("absent_over_time((", ")[30s:15s])"),
    ("quantile_over_time(scalar(", "), up[1m])"),
];

/// Returns the deepest of a kind that is still an expression.
fn deepest((before, after): (&str, &str)) -> String {
    let at = |depth: usize| format!("{}up{}", before.repeat(depth), after.repeat(depth));
    let is_one = |depth: &usize| promql::parse(&at(*depth)).is_ok();
    let depth = (1..2 * promql::NESTING_MAX as usize).take_while(is_one).last().expect("at least one");
    assert!(depth >= promql::NESTING_MAX as usize / 2 - 1, "{before}: {depth}");
    at(depth)
}

#[test]
fn the_deepest_queries_need_no_more_stack_than_there_is() {
    let computing = std::thread::Builder::new().stack_size(COMPUTE_STACK_BYTES).spawn(|| {
        let now = 1_800_000_000_000;
        let web = world::web(now);
        for around in AROUND {
            let (query, end) = (escape(&deepest(around)), now / 1_000);
            for asked in [format!("query?time={end}"), format!("query_range?start={}&end={end}&step=15", end - 60)] {
                let answer = web.answer(&request("GET", &format!("/api/v1/{asked}&query={query}"), ""));
                let said = text(&answer);
                assert_eq!(answer.status, 200, "{around:?}: {said}");
            }
        }
    });
    computing.expect("a thread").join().expect("it does not overflow");
}
