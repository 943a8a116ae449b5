//! Functions on labels and on order: `label_replace label_join sort sort_by_label`.
//!
//! They look at whole vectors, so they collect. Two series that become one are an error with Prometheus's text.
//! Order matters to instant queries only; a range is always sorted by labels.

use std::cmp::Ordering;

use model::{LabelsBuilder, Pattern, labels::NAME};

use super::call::{set_label, text_arg};
use super::window::nan_first;
use super::{Cx, Sink, Unique, text_of};
use crate::ast::*;
use crate::error::EvalError;
use crate::functions::Special;
use crate::value::{Grid, Series};

impl Cx<'_> {
    pub(super) fn label_replace(&self, args: &[Expr], grid: &Grid, sink: &mut Sink<'_>) -> Result<(), EvalError> {
        let (target, template, source, pattern) =
            (label_arg(&args[1], "label_replace()")?, text_arg(&args[2]), text_arg(&args[3]), text_arg(&args[4]));
        let regex = Pattern::new(&pattern)
            .and_then(|pattern| pattern.captures())
            .map_err(|_| EvalError::new(format!("invalid regular expression in label_replace(): {pattern}")))?;
        let mut value = String::new();
        self.relabelled(&args[0], &target, grid, sink, &mut |series| {
            let Some(found) = regex.captures(series.labels.get(&source).unwrap_or("")) else { return Ok(None) };
            value.clear();
            found.expand(&template, &mut value);
            Ok(Some(value.clone()))
        })
    }

    pub(super) fn label_join(&self, args: &[Expr], grid: &Grid, sink: &mut Sink<'_>) -> Result<(), EvalError> {
        let (target, separator) = (label_arg(&args[1], "label_join()")?, text_arg(&args[2]));
        let sources: Vec<String> = args[3..].iter().map(text_arg).collect();
        self.relabelled(&args[0], &target, grid, sink, &mut |series| {
            let values: Vec<&str> = sources.iter().map(|name| series.labels.get(name).unwrap_or("")).collect();
            Ok(Some(values.join(&separator)))
        })
    }

    /// Sets one label of every series to what `value` says, if anything; two that become the same are an error.
    fn relabelled(
        &self,
        arg: &Expr,
        target: &str,
        grid: &Grid,
        sink: &mut Sink<'_>,
        value: &mut dyn FnMut(&Series) -> Result<Option<String>, EvalError>,
    ) -> Result<(), EvalError> {
        let mut unique = Unique::strictly(self, arg);
        self.each(arg, grid, &mut |mut series| {
            if let Some(value) = value(&series)? {
                let mut builder = LabelsBuilder::from(&series.labels);
                set_label(&mut builder, target, &value)?;
                series.labels = builder.finish();
                if target == NAME {
                    series.drop_name = false;
                }
            }
            unique.pass_relabelled(series, sink)
        })?;
        unique.finish(sink)
    }

    pub(super) fn sort(
        &self,
        span: Span,
        special: Special,
        arg: &Expr,
        grid: &Grid,
        sink: &mut Sink<'_>,
    ) -> Result<(), EvalError> {
        if self.warn_if_range(span) {
            return self.each(arg, grid, &mut |mut series| {
                series.hists = Vec::new();
                if series.is_empty() { Ok(()) } else { sink(series) }
            });
        }
        let mut all = self.vector(arg, grid)?;
        self.drop_vector(&all);
        all.iter_mut().for_each(|series| series.hists = Vec::new());
        all.retain(|series| !series.is_empty());
        let value = |series: &Series| series.floats.first().copied().unwrap_or(f64::NAN);
        // NaN goes to the end both ways.
        all.sort_by(|a, b| match (value(a), value(b)) {
            (a, b) if a.is_nan() || b.is_nan() => nan_first(&b, &a),
            (a, b) if special == Special::Sort => nan_first(&a, &b),
            (a, b) => nan_first(&b, &a),
        });
        all.into_iter().try_for_each(sink)
    }

    /// The order of a range query's series is that of their labels, whatever was asked.
    fn warn_if_range(&self, span: Span) -> bool {
        let is_range = self.step > 0;
        if is_range {
            self.warn(span, "sort is ineffective for range queries since results are always ordered by labels");
        }
        is_range
    }

    pub(super) fn sort_by_label(
        &self,
        span: Span,
        special: Special,
        args: &[Expr],
        grid: &Grid,
        sink: &mut Sink<'_>,
    ) -> Result<(), EvalError> {
        let descending = special == Special::SortByLabelDesc;
        if self.warn_if_range(span) {
            return self.each(&args[0], grid, sink);
        }
        let names: Vec<String> = args[1..].iter().map(text_arg).collect();
        let mut all = self.vector(&args[0], grid)?;
        self.drop_vector(&all);
        all.sort_by(|a, b| {
            let by_names =
                names.iter().map(|name| natural(a.labels.get(name).unwrap_or(""), b.labels.get(name).unwrap_or("")));
            let order = by_names.fold(Ordering::Equal, Ordering::then).then_with(|| a.labels.cmp(&b.labels));
            if descending { order.reverse() } else { order }
        });
        all.into_iter().try_for_each(sink)
    }
}

fn label_arg(arg: &Expr, function: &str) -> Result<String, EvalError> {
    match std::str::from_utf8(text_of(arg)) {
        Ok(label) if !label.is_empty() => Ok(label.to_owned()),
        _ => Err(EvalError::new(format!(
            "invalid destination label name in {function}: {}",
            String::from_utf8_lossy(text_of(arg))
        ))),
    }
}

/// Compares texts with runs of digits as numbers: `a2` before `a10`.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    while let (Some(x), Some(y)) = (a.first(), b.first()) {
        if x.is_ascii_digit() && y.is_ascii_digit() {
            let (left, right) = (digits(a), digits(b));
            let (m, n) = (trim_zeros(left), trim_zeros(right));
            let order = m.len().cmp(&n.len()).then_with(|| m.cmp(n));
            if order != Ordering::Equal {
                return order;
            }
            (a, b) = (&a[left.len()..], &b[right.len()..]);
            continue;
        }
        if x != y {
            return x.cmp(y);
        }
        (a, b) = (&a[1..], &b[1..]);
    }
    a.len().cmp(&b.len())
}

fn digits(text: &[u8]) -> &[u8] {
    &text[..text.iter().take_while(|b| b.is_ascii_digit()).count()]
}

fn trim_zeros(text: &[u8]) -> &[u8] {
    &text[text.iter().take_while(|b| **b == b'0').count().min(text.len().saturating_sub(1))..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_within_texts_compare_as_numbers() {
        for (a, b) in [("a2", "a10"), ("", "a"), ("a", "b"), ("1.9", "1.10"), ("x", "x1"), ("007", "8")] {
            assert_eq!(natural(a, b), Ordering::Less, "{a} {b}");
            assert_eq!(natural(b, a), Ordering::Greater, "{b} {a}");
        }
        assert_eq!(natural("a1", "a01"), Ordering::Equal);
    }
}
