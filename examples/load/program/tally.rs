//! The outcomes of the requests.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

/// The outcome of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// The right answer.
    Ok,
    /// Nobody listens.
    Refused,
    /// The connection broke.
    Reset,
    /// The connection was closed without an answer.
    Empty,
    /// A wrong answer.
    Wrong,
    /// No answer in time.
    Timeout,
    /// The request could not be sent, through a fault of this side.
    Other,
}

const OUTCOMES: [(Outcome, &str); 7] = [
    (Outcome::Ok, "ok"),
    (Outcome::Refused, "refused"),
    (Outcome::Reset, "reset"),
    (Outcome::Empty, "empty"),
    (Outcome::Wrong, "wrong"),
    (Outcome::Timeout, "timeout"),
    (Outcome::Other, "other"),
];

/// How many different answers are counted separately.
const ANSWERS: usize = 20;

/// The counts of all outcomes.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    counts: BTreeMap<Outcome, u64>,
    /// The latencies of the right answers, in microseconds.
    latencies: Vec<u32>,
    answers: BTreeMap<String, u64>,
    /// The first failure of each kind: when after the start, and what was wrong.
    failures: BTreeMap<Outcome, (Duration, String)>,
}

impl Tally {
    /// Adds a request that took `latency` and ended at `time` after the start.
    pub fn add(&mut self, outcome: Outcome, text: String, latency: Duration, time: Duration) {
        *self.counts.entry(outcome).or_default() += 1;
        if outcome != Outcome::Ok {
            self.failures.entry(outcome).or_insert((time, text));
            return;
        }
        self.latencies.push(u32::try_from(latency.as_micros()).unwrap_or(u32::MAX));
        if let Some(count) = self.answers.get_mut(&text) {
            *count += 1;
        } else if self.answers.len() < ANSWERS {
            self.answers.insert(text, 1);
        }
    }

    /// Adds the counts of another tally.
    pub fn merge(&mut self, other: Tally) {
        for (outcome, count) in other.counts {
            *self.counts.entry(outcome).or_default() += count;
        }
        self.latencies.extend(other.latencies);
        for (text, count) in other.answers {
            *self.answers.entry(text).or_default() += count;
        }
        for (outcome, failure) in other.failures {
            let first = self.failures.entry(outcome).or_insert_with(|| failure.clone());
            *first = first.clone().min(failure);
        }
    }

    /// How many requests were made.
    pub fn asked(&self) -> u64 {
        self.counts.values().sum()
    }

    /// How many ended in this way.
    pub fn count(&self, outcome: Outcome) -> u64 {
        self.counts.get(&outcome).copied().unwrap_or(0)
    }

    /// How many got no right answer.
    pub fn failed(&self) -> u64 {
        self.asked() - self.count(Outcome::Ok)
    }

    /// The first lines of the right answers, and how often each came.
    pub fn answers(&self) -> &BTreeMap<String, u64> {
        &self.answers
    }

    /// Median and worst latency of the right answers.
    pub fn latency(&self) -> (Duration, Duration) {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        let at = |index: Option<&u32>| Duration::from_micros(index.copied().unwrap_or(0).into());
        (at(sorted.get(sorted.len() / 2)), at(sorted.last()))
    }

    /// One line for programs: `asked=N ok=N ... median_us=N worst_us=N`.
    pub fn line(&self) -> String {
        let mut line = format!("asked={}", self.asked());
        for (outcome, name) in OUTCOMES {
            let _ = write!(line, " {name}={}", self.count(outcome));
        }
        let (median, worst) = self.latency();
        let _ = writeln!(line, " median_us={} worst_us={}", median.as_micros(), worst.as_micros());
        line
    }

    /// A table for people, with the answers and the first failure of each kind.
    pub fn table(&self) -> String {
        let mut text = format!("{:>9}", "requests");
        for (_, name) in OUTCOMES {
            let _ = write!(text, "{name:>9}");
        }
        let _ = write!(text, "{:>11}{:>11}\n{:>9}", "median ms", "worst ms", self.asked());
        for (outcome, _) in OUTCOMES {
            let _ = write!(text, "{:>9}", self.count(outcome));
        }
        let (median, worst) = self.latency();
        let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
        let _ = writeln!(text, "{:>11.1}{:>11.1}", milliseconds(median), milliseconds(worst));
        for (answer, count) in &self.answers {
            let _ = writeln!(text, "answered {count} times: {answer}");
        }
        for (outcome, name) in OUTCOMES {
            if let Some((time, what)) = self.failures.get(&outcome) {
                let _ = writeln!(text, "first {name} after {:.2} s: {what}", time.as_secs_f64());
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_adds_up() {
        let second = Duration::from_secs;
        let mut tally = Tally::default();
        tally.add(Outcome::Ok, "release 1".to_owned(), second(1), second(1));
        let mut other = Tally::default();
        other.add(Outcome::Ok, "release 1".to_owned(), second(3), second(3));
        other.add(Outcome::Ok, "release 2".to_owned(), second(2), second(4));
        other.add(Outcome::Reset, "late".to_owned(), second(9), second(5));
        tally.add(Outcome::Reset, "early".to_owned(), second(9), second(2));
        tally.merge(other);
        assert_eq!((tally.asked(), tally.failed(), tally.count(Outcome::Reset)), (5, 2, 2));
        assert_eq!(tally.latency(), (second(2), second(3)));
        assert_eq!(tally.answers()["release 1"], 2);
        let line =
            "asked=5 ok=3 refused=0 reset=2 empty=0 wrong=0 timeout=0 other=0 median_us=2000000 worst_us=3000000\n";
        assert_eq!(tally.line(), line);
        assert!(tally.table().contains("first reset after 2.00 s: early\n"), "{}", tally.table());
    }
}
