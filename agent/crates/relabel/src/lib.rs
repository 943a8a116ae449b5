//! Relabelling: rules that rewrite or drop a label set, as Prometheus has them in `relabel_configs`.
//!
//! One implementation for targets, samples, remote write and alerts. [`read`] makes rules of a configuration's list,
//! with the peer's defaults and the peer's words for what is wrong; [`apply`] runs them over a label set.
//! Patterns are RE2 and anchored, `$1`, `${1}` and `${name}` in a template are what a group caught, `hashmod` takes
//! the last eight bytes of an MD5, case is changed character by character: the same labels come out as there.
//!
//! What is bounded: a label longer than `model` can hold ends the rules with [`Verdict::TooLong`], and the caller
//! counts it. Rules are run once a series and may allocate.
//!
//! Source: Prometheus 3, `model/relabel/relabel.go`.

mod rule;
mod steps;

mod case;
mod expand;
mod md5;

mod read;

pub use read::{read, read_rule};
pub use rule::{Action, NameScheme, Rule, Spec};
pub use steps::{Verdict, apply, relabel};

/// The most rules of one list.
pub const RULES_MAX: usize = 256;
