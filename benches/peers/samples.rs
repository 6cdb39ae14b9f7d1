//! Figures by contender and round, and their medians and ratios.

use anyhow::Result;

use crate::Bench;
use crate::suites::Suite;

/// A contender: a suite, or the floor, whose index comes after all suites.
#[derive(Clone, Copy)]
pub struct Contender<'a> {
    pub index: usize,
    pub suite: Option<&'a Suite>,
    pub round: usize,
}

impl Contender<'_> {
    /// Whether this is supervisord after the first round: it is not compared with, and takes seconds for what others do in a tenth.
    pub fn is_slow_again(&self) -> bool {
        self.round > 0 && self.suite.is_some_and(|suite| !suite.has_supervisors())
    }
}

/// For each contender the figures of the rounds; empty for one that was not measured.
#[derive(Clone, Debug, Default)]
pub struct Samples(pub Vec<Vec<f64>>);

impl Samples {
    /// The figure that stands in the table.
    pub fn median(&self, index: usize) -> Option<f64> {
        median(self.0.get(index)?)
    }

    /// How the figures of one contender relate to another's: the median over the rounds, so that a round in which the machine was busy
    /// weighs no more than another.
    pub fn ratio(&self, index: usize, to: usize) -> Option<f64> {
        median(&self.ratios(index, to))
    }

    /// The same, between the quarter of the rounds in which it was least and the quarter in which it was most.
    pub fn ratio_and_spread(&self, index: usize, to: usize) -> Option<[f64; 3]> {
        let mut ratios = self.ratios(index, to);
        ratios.sort_by(f64::total_cmp);
        let last = ratios.len().checked_sub(1)?;
        Some([ratios[last / 4], median(&ratios)?, ratios[last - last / 4]])
    }

    fn ratios(&self, index: usize, to: usize) -> Vec<f64> {
        let of = |index| self.0.get(index).into_iter().flatten();
        of(index).zip(of(to)).filter(|(_, other)| **other != 0.0).map(|(own, other)| own / other).collect()
    }

    /// The figures minus those of another contender, round by round.
    pub fn less(&self, other: usize) -> Samples {
        let floor = self.0.get(other).cloned().unwrap_or_default();
        let net = |own: &Vec<f64>| own.iter().zip(&floor).map(|(own, floor)| own - floor).collect();
        Samples(self.0.iter().map(net).collect())
    }
}

/// The median; of two middle figures, their mean.
pub fn median(figures: &[f64]) -> Option<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = *sorted.get((sorted.len() - 1) / 2)?;
    Some(f64::midpoint(lower, upper))
}

/// Measures all contenders in turn, round after round; each round begins with another contender. `measure` returns `None` for a contender
/// that cannot do this at all. A contender that fails is named and left out.
pub fn interleave<const K: usize>(
    bench: &Bench,
    what: &str,
    rounds: usize,
    mut measure: impl FnMut(Contender) -> Result<Option<[f64; K]>>,
) -> [Samples; K] {
    let count = bench.suites.len() + 1;
    let mut figures: [Samples; K] = std::array::from_fn(|_| Samples(vec![Vec::new(); count]));
    let mut out = vec![false; count];
    for round in 0..rounds {
        for index in (0..count).map(|place| (place + round) % count).collect::<Vec<_>>() {
            if out[index] {
                continue;
            }
            let contender = Contender { index, suite: bench.suites.get(index), round };
            match measure(contender) {
                Ok(Some(found)) => {
                    figures.iter_mut().zip(found).for_each(|(samples, figure)| samples.0[index].push(figure));
                }
                Ok(None) => out[index] = true,
                Err(error) => {
                    out[index] = true;
                    figures.iter_mut().for_each(|samples| samples.0[index].clear());
                    bench.note(format!("{what}, {}: not measured: {error:#}", bench.name(index)));
                }
            }
        }
    }
    figures
}
