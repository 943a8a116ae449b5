//! What binary operators do to two numbers.
//!
//! Division, modulo and power are IEEE's, as in Go: by zero is an infinity or NaN, never an error. A comparison with
//! NaN is false but for `!=`.

use crate::ast::BinaryOp;

/// Computes an arithmetic operator.
pub(crate) fn arithmetic(op: BinaryOp, a: f64, b: f64) -> f64 {
    match op {
        BinaryOp::Add => a + b,
        BinaryOp::Sub => a - b,
        BinaryOp::Mul => a * b,
        BinaryOp::Div => a / b,
        BinaryOp::Mod => a % b,
        BinaryOp::Pow => pow(a, b),
        BinaryOp::Atan2 => a.atan2(b),
        _ => f64::from(u8::from(compare(op, a, b))),
    }
}

/// Go's and C's powers agree but for this: anything to the power of zero, and one to any power, is one.
fn pow(a: f64, b: f64) -> f64 {
    if b == 0.0 || a == 1.0 { 1.0 } else { a.powf(b) }
}

/// Compares two numbers.
pub(crate) fn compare(op: BinaryOp, a: f64, b: f64) -> bool {
    match op {
        BinaryOp::Equal => a == b,
        BinaryOp::NotEqual => a != b,
        BinaryOp::Less => a < b,
        BinaryOp::LessOrEqual => a <= b,
        BinaryOp::Greater => a > b,
        BinaryOp::GreaterOrEqual => a >= b,
        _ => false,
    }
}
