//! `info()`: adds the data labels of info series (`target_info`) to the series they describe.
//!
//! Series meet by `instance` and `job`. The second argument says which info metrics (its `__name__` matchers) and
//! which of their labels (its other matchers). The info series are read as of the same times as the first argument's
//! samples: its offset and `@` count for them too.

use std::collections::HashMap;

use model::labels::NAME;
use model::{Labels, LabelsBuilder, Matcher, UnixMs};

use super::call::set_label;
use super::{Cx, Sink, Unique};
use crate::ast::*;
use crate::error::EvalError;
use crate::value::{Grid, Series};

const IDENTIFYING: [&str; 2] = ["instance", "job"];

/// One info series: at each step when its sample was taken.
struct InfoSeries {
    labels: Labels,
    taken: Vec<Option<UnixMs>>,
}

impl Cx<'_> {
    pub(super) fn join_info(&self, args: &[Expr], grid: &Grid, sink: &mut Sink<'_>) -> Result<(), EvalError> {
        let given: &[Matcher] = match args.get(1).map(|arg| &arg.unwrapped().kind) {
            Some(ExprKind::Vector(selector)) => &selector.matchers,
            _ => &[],
        };
        let (mut names, data): (Vec<Matcher>, Vec<Matcher>) =
            given.iter().cloned().partition(|matcher| matcher.name == NAME);
        if names.is_empty() {
            names.push(Matcher::equal(NAME, "target_info"));
        }
        let infos = self.info_series(&args[0], &names, &data, grid)?;
        let may_lack = data.iter().all(|matcher| matcher.matches_empty());
        let mut unique = Unique::new(self);
        self.each(&args[0], grid, &mut |series| {
            if names.iter().all(|matcher| matcher.matches_labels(&series.labels)) {
                return unique.keep(series);
            }
            let candidates = infos.get(&identity(&series.labels)).map_or(&[][..], Vec::as_slice);
            for enriched in enrich(&series, candidates, &data, may_lack)? {
                unique.keep(enriched)?;
            }
            Ok(())
        })?;
        unique.finish(sink)
    }

    /// Reads the info series, by the labels they are found by.
    fn info_series(
        &self,
        base: &Expr,
        names: &[Matcher],
        data: &[Matcher],
        grid: &Grid,
    ) -> Result<HashMap<Labels, Vec<InfoSeries>>, EvalError> {
        let (pinned, offset) = self.reference(base)?;
        let selector = VectorSelector {
            name: String::new(),
            matchers: names.iter().chain(data).cloned().collect(),
            offset: Length { ms: offset, expr: None },
            at: pinned.map(|at| At::Time(UnixMs(at))),
            extension: Extension::None,
        };
        let mut found: HashMap<Labels, Vec<InfoSeries>> = HashMap::new();
        self.walk(&selector, grid, &mut |labels, samples, picked| {
            self.hold(picked.len())?;
            let taken = picked.iter().map(|at| at.map(|at| samples.at[at])).collect();
            let info = InfoSeries { labels: labels.clone(), taken };
            found.entry(identity(labels)).or_default().push(info);
            Ok(())
        })?;
        Ok(found)
    }

    /// Returns the time and offset at which the first selector of an expression reads its samples.
    fn reference(&self, expr: &Expr) -> Result<(Option<i64>, i64), EvalError> {
        let (mut pinned, mut offset) = (None, 0);
        let mut next = Some(expr);
        while let Some(expr) = next {
            let (at, length) = match &expr.kind {
                ExprKind::Vector(selector) => (selector.at, Some(&selector.offset)),
                ExprKind::Matrix(matrix) => (matrix.selector.at, Some(&matrix.selector.offset)),
                ExprKind::Subquery(subquery) => (subquery.at, Some(&subquery.offset)),
                _ => (None, None),
            };
            if let Some(at) = self.pinned(at) {
                (pinned, offset) = (Some(at), 0);
            }
            if let Some(length) = length {
                offset += self.length(length)?;
            }
            next = first_child(expr);
        }
        Ok((pinned, offset))
    }
}

/// Returns the child through which the first selector is reached.
fn first_child(expr: &Expr) -> Option<&Expr> {
    let has_selector = |expr: &&Expr| !expr.selectors().is_empty();
    match &expr.kind {
        ExprKind::Paren(inner) | ExprKind::Unary { expr: inner, .. } => Some(inner),
        ExprKind::Binary(binary) => [&binary.lhs, &binary.rhs].into_iter().find(has_selector),
        ExprKind::Call(call) => call.args.iter().find(has_selector),
        ExprKind::Aggregate(aggregate) => Some(&aggregate.expr),
        ExprKind::Subquery(subquery) => Some(&subquery.expr),
        _ => None,
    }
}

fn identity(labels: &Labels) -> Labels {
    labels.filter(|name| IDENTIFYING.contains(&name))
}

/// Returns a series with the labels of its info series; several, where these change from step to step.
fn enrich(
    series: &Series,
    candidates: &[InfoSeries],
    data: &[Matcher],
    may_lack: bool,
) -> Result<Vec<Series>, EvalError> {
    let mut out: Vec<(Vec<usize>, Series)> = Vec::new();
    for step in (0..series.floats.len()).filter(|step| series.has(*step)) {
        let chosen = latest(candidates, step);
        if chosen.is_empty() && !may_lack {
            continue;
        }
        let at = match out.iter().position(|(known, _)| *known == chosen) {
            Some(at) => at,
            None => {
                let labels = with_data(&series.labels, chosen.iter().map(|at| &candidates[*at].labels), data)?;
                out.push((chosen, Series::new(labels, series.drop_name, series.floats.len())));
                out.len() - 1
            }
        };
        out[at].1.set(step, series.get(step));
    }
    Ok(out.into_iter().map(|(_, series)| series).collect())
}

/// Returns, for each info metric, the series with the newest sample.
fn latest(candidates: &[InfoSeries], step: usize) -> Vec<usize> {
    let mut chosen: Vec<usize> = Vec::new();
    for (at, info) in candidates.iter().enumerate().filter(|(_, info)| info.taken[step].is_some()) {
        match chosen.iter_mut().find(|known| candidates[**known].labels.name() == info.labels.name()) {
            None => chosen.push(at),
            Some(known) if candidates[*known].taken[step] < info.taken[step] => *known = at,
            Some(_) => {}
        }
    }
    chosen
}

fn with_data<'a>(
    base: &Labels,
    infos: impl Iterator<Item = &'a Labels>,
    data: &[Matcher],
) -> Result<Labels, EvalError> {
    let mut builder = LabelsBuilder::from(base);
    for (name, value) in infos.flat_map(Labels::iter) {
        let wanted = data.is_empty() || data.iter().any(|matcher| matcher.name == name);
        if name == NAME || !wanted || base.get(name).is_some() {
            continue;
        }
        if builder.get(name).is_some_and(|before| before != value) {
            return Err(EvalError::new(format!("conflicting label: {name}")));
        }
        set_label(&mut builder, name, value)?;
    }
    Ok(builder.finish())
}
