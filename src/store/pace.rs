//! How long one request may take, and whether and when it is tried again. Pure:
//! time and chance are arguments. What may heal at all: error.rs.

use std::time::Duration;

#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// For one try, from connecting to the last byte.
    pub deadline: Duration,
    /// For all tries and the pauses between them.
    pub budget: Duration,
    pub tries: u32,
    /// Before the second try; twice as long before the third.
    pub pause: Duration,
}

impl Pace {
    pub const DEFAULT: Self = Self {
        deadline: Duration::from_secs(10),
        budget: Duration::from_secs(15),
        tries: 3,
        pause: Duration::from_millis(400),
    };

    /// The pause before the next try, or `None` when that was the last one.
    /// `chance` (0 to 1) spreads units that failed together over half a pause.
    pub fn next(&self, made: u32, spent: Duration, chance: f64) -> Option<Duration> {
        let pause = self.pause.mul_f64(2_f64.powi(made.saturating_sub(1).min(16) as i32) * (0.5 + chance / 2.0));
        (made < self.tries && spent + pause < self.budget).then_some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_are_few_and_the_pauses_between_them_grow() {
        let ms = Duration::from_millis;
        #[rustfmt::skip]
        let table = [
            // made  spent        chance  pause
            (1,      ms(10),      1.0,    Some(ms(400))),
            (1,      ms(10),      0.0,    Some(ms(200))),
            (2,      ms(900),     1.0,    Some(ms(800))),
            (2,      ms(14_500),  1.0,    None),
            (1,      ms(10_000),  1.0,    Some(ms(400))),
            (3,      ms(10),      0.0,    None),
        ];
        for (made, spent, chance, want) in table {
            assert_eq!(Pace::DEFAULT.next(made, spent, chance), want, "{made} {spent:?} {chance}");
        }
    }
}
