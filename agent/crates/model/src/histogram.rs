//! A native histogram: sparse buckets whose bounds follow from a schema, or custom bounds.
//!
//! Buckets are absolute counts (not deltas) in spans of consecutive indexes. Schemas -4 to 8 are exponential with
//! a growth of 2^(2^-schema); -53 means custom bounds, of which there are only positive ones. Counts are integers
//! where an exporter sent them and floats after arithmetic. Source: Prometheus, `model/histogram`.
//!
//! Only the shape lives here, and where buckets end; arithmetic belongs to `promql`. Bounds are printed with all their
//! digits and compared with other people's, so they are the peer's to the last bit: its table of powers was made by Go's
//! `math.Exp2`, which is not always correctly rounded, and is made the same way here, by the compiler. Sources:
//! Prometheus, `model/histogram/generic.go`; Go, `math/exp.go`.

/// The schema number of histograms with custom bounds.
pub const CUSTOM_BUCKETS_SCHEMA: i32 = -53;

/// Consecutive buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The gap to the end of the span before; for the first span, the index of its first bucket.
    pub offset: i32,
    /// How many buckets there are.
    pub length: u32,
}

/// What a histogram says about a counter reset between it and the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ResetHint {
    /// Nothing is known: compare.
    #[default]
    Unknown,
    /// A reset happened.
    Reset,
    /// None happened.
    NotReset,
    /// It is a gauge: the question makes no sense.
    Gauge,
}

/// The counts of a histogram, of one kind throughout.
#[derive(Debug, Clone, PartialEq)]
pub enum Counts {
    /// As an exporter counts.
    Integer {
        /// All observations.
        count: u64,
        /// Those within the zero bucket.
        zero: u64,
        /// Absolute counts of the positive buckets, in span order.
        positive: Vec<u64>,
        /// Absolute counts of the negative buckets, in span order.
        negative: Vec<u64>,
    },
    /// As arithmetic leaves them.
    Float {
        /// All observations.
        count: f64,
        /// Those within the zero bucket.
        zero: f64,
        /// Absolute counts of the positive buckets, in span order.
        positive: Vec<f64>,
        /// Absolute counts of the negative buckets, in span order.
        negative: Vec<f64>,
    },
}

/// A native histogram.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    /// The resolution, or [`CUSTOM_BUCKETS_SCHEMA`].
    pub schema: i32,
    /// The width of the zero bucket.
    pub zero_threshold: f64,
    /// The sum of all observations; the staleness marker's bits end a series.
    pub sum: f64,
    /// Where the positive buckets lie.
    pub positive_spans: Vec<Span>,
    /// Where the negative buckets lie.
    pub negative_spans: Vec<Span>,
    /// The upper bounds, ascending, for [`CUSTOM_BUCKETS_SCHEMA`]; else empty.
    pub custom_bounds: Vec<f64>,
    /// The counts.
    pub counts: Counts,
    /// About the reset.
    pub hint: ResetHint,
}

/// The finest resolution there is: a power of two has `2^8` buckets.
pub const SCHEMA_MAX: i32 = 8;

/// Entry `i` is about `2^(i/256 - 1)`: the fractions of the bounds at the finest resolution. Coarser ones take every
/// second, every fourth ...
const FRACTIONS: [f64; 1 << SCHEMA_MAX] = fractions();

const fn fractions() -> [f64; 1 << SCHEMA_MAX] {
    let mut all = [0.5; 1 << SCHEMA_MAX];
    let (mut schema, mut share) = (1, 0.5);
    while schema <= SCHEMA_MAX {
        // The new ones of this resolution lie between those that are there.
        let (gap, factor) = (1 << (SCHEMA_MAX - schema), go_exp2(share));
        let mut at = gap;
        while at < all.len() {
            all[at] = all[at - gap] * factor;
            at += 2 * gap;
        }
        share *= 0.5;
        schema += 1;
    }
    all
}

/// Returns `2^x` as Go computes it, for `x` of 1/2, 1/4, 1/8 ...
const fn go_exp2(x: f64) -> f64 {
    const LN2_HIGH: f64 = f64::from_bits(0x3fe6_2e42_fee0_0000);
    const LN2_LOW: f64 = f64::from_bits(0x3dea_39ef_3579_3c76);
    const P: [f64; 5] = [
        f64::from_bits(0x3fc5_5555_5555_5555),
        f64::from_bits(0xbf66_c16c_16be_bd93),
        f64::from_bits(0x3f11_566a_af25_de2c),
        f64::from_bits(0xbebb_bd41_c5d2_6bf1),
        f64::from_bits(0x3e66_3769_72be_a4d0),
    ];
    let whole = if x >= 0.5 { 1.0 } else { 0.0 };
    let rest = x - whole;
    let (high, low) = (rest * LN2_HIGH, -rest * LN2_LOW);
    let r = high - low;
    let t = r * r;
    let c = r - t * (P[0] + t * (P[1] + t * (P[2] + t * (P[3] + t * P[4]))));
    let y = 1.0 - ((low - (r * c) / (2.0 - c)) - high);
    y * (1.0 + whole)
}

/// Returns the upper bound of a positive exponential bucket; the lower one is that of the bucket before. The last bucket
/// that a float can reach ends at the largest float, the one behind it at infinity. A schema over [`SCHEMA_MAX`] counts
/// as that.
pub fn exponential_bound(index: i32, schema: i32) -> f64 {
    if schema <= 0 {
        let exponent = i64::from(index) << schema.unsigned_abs().min(8);
        return if exponent == 1024 { f64::MAX } else { scaled(1.0, exponent) };
    }
    let schema = schema.min(SCHEMA_MAX);
    let place = index & ((1 << schema) - 1);
    let fraction = FRACTIONS[(place << (SCHEMA_MAX - schema)) as usize & (FRACTIONS.len() - 1)];
    let exponent = i64::from(index >> schema) + 1;
    if place == 0 && exponent == 1025 { f64::MAX } else { scaled(fraction, exponent) }
}

/// Returns `value * 2^exponent`, exact where the result is a normal number.
fn scaled(value: f64, exponent: i64) -> f64 {
    let (mut value, mut left) = (value, exponent.clamp(-2_200, 2_200));
    while left != 0 {
        let step = left.clamp(-1_000, 1_000);
        value *= f64::from_bits(((step + 1_023) as u64) << 52);
        left -= step;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_end_where_the_peers_end() {
        // As a real one prints them.
        for (index, schema, expected) in [
            (0, 1, 1.0),
            (5, 1, 5.65685424949238),
            (-3, 1, 0.35355339059327373),
            (3, 1, 2.82842712474619),
            (4, 0, 16.0),
            (2, -2, 256.0),
            (-1, -4, 0.0000152587890625),
        ] {
            assert_eq!(exponential_bound(index, schema), expected, "{index} of {schema}");
        }
        for schema in 1..=SCHEMA_MAX {
            for index in -900..900 {
                let (bound, about) =
                    (exponential_bound(index, schema), (f64::from(index) * f64::from(-schema).exp2()).exp2());
                assert!((bound / about - 1.0).abs() < 1e-15, "{index} of {schema}: {bound} {about}");
                assert_eq!(bound, exponential_bound(index * (1 << (SCHEMA_MAX - schema)), SCHEMA_MAX));
            }
        }
    }

    #[test]
    fn the_ends_of_what_a_float_holds() {
        assert_eq!((exponential_bound(1024, 0), exponential_bound(1025, 0)), (f64::MAX, f64::INFINITY));
        assert_eq!((exponential_bound(2048, 1), exponential_bound(2049, 1)), (f64::MAX, f64::INFINITY));
        assert_eq!(exponential_bound(-1074, 0), f64::from_bits(1));
        for schema in [i32::MIN, -53, -4, 0, 8, 9, i32::MAX] {
            let bounds = [i32::MIN, i32::MAX].map(|index| exponential_bound(index, schema));
            assert_eq!(bounds, [0.0, f64::INFINITY], "{schema}");
        }
    }
}
