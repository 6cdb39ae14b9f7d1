//! The times of the machines, as programs are told them.

use machine::Tick;
use tai::Label;

use crate::service::{now, tick};

/// How ticks are told: as times of the wall clock.
pub struct Clock {
    /// By how many nanoseconds the wall clock is ahead of the monotonic one.
    ahead: i128,
}

impl Clock {
    /// The wall clock may be so far from what it was, in nanoseconds: times that were told do not change because it is slowed or hurried.
    const TOLERANCE: u128 = 100_000_000;

    /// As the clocks are now.
    pub fn new() -> Clock {
        Clock { ahead: ahead() }
    }

    /// The time of a tick.
    pub fn label(&mut self, tick: Tick) -> Label {
        let ahead = ahead();
        if ahead.abs_diff(self.ahead) > Clock::TOLERANCE {
            self.ahead = ahead;
        }
        label(self.ahead, tick)
    }
}

fn ahead() -> i128 {
    let wall = now();
    i128::from(wall.unix_seconds()) * SECOND + i128::from(wall.nanos) - i128::from(tick().0)
}

/// In nanoseconds.
const SECOND: i128 = 1_000_000_000;

fn label(ahead: i128, Tick(tick): Tick) -> Label {
    let at = ahead + i128::from(tick);
    let nanos = u32::try_from(at.rem_euclid(SECOND)).unwrap_or(0);
    Label::from_unix(i64::try_from(at.div_euclid(SECOND)).unwrap_or(i64::MAX), nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_is_a_time_of_the_wall_clock() {
        let time = |ahead, tick| String::from_utf8_lossy(&label(ahead, Tick(tick)).utc()).into_owned();
        assert_eq!(time(1_000_000_000 * SECOND, 123_456_789), "2001-09-09T01:46:40.123456Z");
        assert_eq!(time(-SECOND, 999_999_999), "1969-12-31T23:59:59.999999Z");
        assert_eq!(time(0, u64::MAX), "2554-07-21T23:34:33.709551Z");
    }
}
