//! What waits for what: the cycles, at a start and in an orderly stop, and the waves of the stop.
//!
//! A service needs those that it names. Nobody has the whole picture at a start: each supervise reads what its own service needs, and what those need, from plain
//! files. Each can see alone whether a service that it needs needs its own one ([`back`]), and then takes that for nothing: none of a cycle waits for another one of it.
//! If one of them did, and the other could not get ready without it, they would never come up.
//!
//! In a stop nothing is to get ready, so as much of the order is kept as can be: a cycle is broken at the service whose name is its first, in the order of bytes
//! ([`closes`]). Every cycle has a first name, so none is left. In both, what is no part of a cycle is never touched.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

/// Returns the way from `needed` back to `service`, which needs it; `None` if these are in no cycle. The way begins with `needed` and ends before `service`. `needs` says
/// what a service needs.
///
/// Each service is asked for once at most, and at most `most` of them are; what cannot be seen closes no cycle.
pub fn back<N: Ord + Clone>(service: &N, needed: &N, needs: impl FnMut(&N) -> Vec<N>, most: usize) -> Option<Vec<N>> {
    way(service, needed, needs, most, |_| true)
}

/// Returns the way back, as [`back`] does, but only by names behind that of `service`: then `service` has the first name of a cycle, and the stop takes it that it does
/// not need `needed`.
pub fn closes<N: Ord + Clone>(service: &N, needed: &N, needs: impl FnMut(&N) -> Vec<N>, most: usize) -> Option<Vec<N>> {
    if needed < service { None } else { way(service, needed, needs, most, |name| name > service) }
}

fn way<N: Ord + Clone>(
    service: &N,
    needed: &N,
    mut needs: impl FnMut(&N) -> Vec<N>,
    most: usize,
    may_pass: impl Fn(&N) -> bool,
) -> Option<Vec<N>> {
    if needed == service {
        return Some(Vec::new());
    }
    // Who has led to each one that was found.
    let mut from: BTreeMap<N, Option<N>> = BTreeMap::from([(needed.clone(), None)]);
    let mut open = vec![needed.clone()];
    let mut asked = 0;
    while let Some(next) = open.pop().filter(|_| asked < most) {
        asked += 1;
        for name in needs(&next) {
            if name == *service {
                let mut way = vec![next.clone()];
                while let Some(Some(earlier)) = way.last().and_then(|last| from.get(last)) {
                    way.push(earlier.clone());
                }
                way.reverse();
                return Some(way);
            }
            if may_pass(&name) && !from.contains_key(&name) {
                from.insert(name.clone(), Some(next.clone()));
                open.push(name);
            }
        }
    }
    None
}

/// How many names [`waves`] looks at to find out what closes a cycle, so that no graph takes it long. A real one has a few cycles of a few services.
const MOST: usize = 1 << 20;

/// Who needs whom, both of them known.
type Edges<'n, N> = BTreeMap<&'n N, Vec<&'n N>>;

/// The waves in which services are stopped: those in the first wave nobody needs, those in the next one only services of earlier waves need, and so on. Each key of
/// `needs` is in one wave. Cycles are broken as [`closes`] says; names that are no key are nothing. Where there is more to see than [`MOST`], what is left of the
/// cycles is the last wave.
pub fn waves<N: Ord + Clone>(needs: &BTreeMap<N, BTreeSet<N>>) -> Vec<Vec<N>> {
    let is_known = |name: &&N| needs.contains_key(*name);
    let known: Edges<'_, N> =
        needs.iter().map(|(service, needed)| (service, needed.iter().filter(is_known).collect())).collect();
    let tangled = tangled(&known);
    let left = Cell::new(MOST);
    let needs_of = |name: &N| {
        let found: Vec<N> =
            tangled.get(name).into_iter().flatten().take(left.get()).map(|&name| name.clone()).collect();
        left.set(left.get().saturating_sub(found.len()));
        found
    };
    let is_kept = |service: &N, needed: &N| {
        !tangled.contains_key(service)
            || !tangled.contains_key(needed)
            || closes(service, needed, needs_of, needs.len()).is_none()
    };
    let kept: Edges<'_, N> = known
        .iter()
        .map(|(&service, needed)| {
            (service, needed.iter().copied().filter(|&needed| is_kept(service, needed)).collect())
        })
        .collect();
    let (mut waves, rest) = peel(&kept);
    waves.extend((!rest.is_empty()).then(|| rest.into_iter().collect()));
    waves.into_iter().map(|wave| wave.into_iter().cloned().collect()).collect()
}

/// Returns the part of the graph in which the cycles are: what is between two cycles is in it, and what only leads to a cycle or away from one is not.
fn tangled<'n, N: Ord>(known: &Edges<'n, N>) -> Edges<'n, N> {
    let (_, behind) = peel(known);
    let mut needed_by: Edges<'n, N> = behind.iter().map(|&name| (name, Vec::new())).collect();
    for &service in &behind {
        for needed in known.get(service).into_iter().flatten() {
            needed_by.entry(needed).or_default().push(service);
        }
    }
    let (_, tangled) = peel(&needed_by);
    let within = |service: &&'n N| {
        let needed = known.get(*service).into_iter().flatten().copied();
        needed.filter(|needed| tangled.contains(needed)).collect()
    };
    tangled.iter().map(|service| (*service, within(service))).collect()
}

/// Returns the waves, and what is in a cycle or needed by one.
fn peel<'n, N: Ord>(edges: &Edges<'n, N>) -> (Vec<Vec<&'n N>>, BTreeSet<&'n N>) {
    let mut count: BTreeMap<&N, usize> = edges.keys().map(|&name| (name, 0)).collect();
    for needed in edges.values().flatten() {
        *count.entry(needed).or_default() += 1;
    }
    let mut waves = Vec::new();
    let mut wave: Vec<&N> = count.iter().filter(|&(_, &count)| count == 0).map(|(&name, _)| name).collect();
    while !wave.is_empty() {
        let mut next = Vec::new();
        for needed in wave.iter().filter_map(|name| edges.get(name)).flatten() {
            let left = count.entry(needed).or_default();
            *left = left.saturating_sub(1);
            if *left == 0 {
                next.push(*needed);
            }
        }
        next.sort_unstable();
        waves.push(std::mem::replace(&mut wave, next));
    }
    let rest = count.into_iter().filter(|&(_, count)| count > 0).map(|(name, _)| name).collect();
    (waves, rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Graph = BTreeMap<u8, BTreeSet<u8>>;

    fn graph(edges: &[(u8, u8)]) -> Graph {
        let mut graph = Graph::new();
        for &(service, needed) in edges {
            graph.entry(service).or_default().insert(needed);
            graph.entry(needed).or_default();
        }
        graph
    }

    fn way(edges: &[(u8, u8)], service: u8, needed: u8) -> Option<Vec<u8>> {
        let graph = graph(edges);
        closes(&service, &needed, |name| graph[name].iter().copied().collect(), 100)
    }

    #[test]
    fn each_of_a_cycle_sees_it() {
        let cycle = graph(&[(1, 2), (2, 3), (3, 1), (3, 4), (5, 1)]);
        let back = |service, needed| back(&service, &needed, |name| cycle[name].iter().copied().collect(), 100);
        assert_eq!([back(1, 2), back(2, 3), back(3, 1)], [vec![2, 3], vec![3, 1], vec![1, 2]].map(Some));
        assert_eq!([back(3, 4), back(5, 1), back(4, 4)], [None, None, Some(Vec::new())]);
    }

    #[test]
    fn the_first_name_of_a_cycle_breaks_it_in_a_stop() {
        let cycle = [(1, 2), (2, 3), (3, 1), (3, 4)];
        assert_eq!(way(&cycle, 1, 2), Some(vec![2, 3]));
        assert_eq!(way(&cycle, 2, 3), None);
        assert_eq!(way(&cycle, 3, 1), None);
        assert_eq!(way(&cycle, 3, 4), None);
        assert_eq!(way(&[(1, 1)], 1, 1), Some(Vec::new()));
    }

    #[test]
    fn a_stop_goes_from_what_nobody_needs_to_what_all_need() {
        let site = [(9, 5), (9, 6), (5, 2), (6, 2), (2, 1), (7, 200)];
        let mut site = graph(&site);
        site.remove(&200);
        assert_eq!(waves(&site), [vec![7, 9], vec![5, 6], vec![2], vec![1]]);
        assert_eq!(waves(&graph(&[(1, 2), (2, 1)])), [[2], [1]]);
        assert_eq!(waves(&Graph::new()), [[0_u8; 0]; 0]);
    }

    #[test]
    fn no_graph_takes_long_or_loses_a_name() {
        // A chain against the order of names, and one along it.
        for forward in [true, false] {
            let next = |number: u32| if forward { number + 1 } else { number.wrapping_sub(1) };
            let chain: BTreeMap<u32, BTreeSet<u32>> =
                (0..10_000).map(|number| (number, [next(number)].into())).collect();
            assert_eq!(waves(&chain).len(), 10_000);
        }
        // Each one needs all.
        let all: BTreeSet<u32> = (0..300).collect();
        let tangle: BTreeMap<u32, BTreeSet<u32>> = all.iter().map(|&number| (number, all.clone())).collect();
        let found: Vec<u32> = waves(&tangle).into_iter().flatten().collect();
        assert_eq!((found.len(), found.into_iter().collect::<BTreeSet<_>>()), (300, all));
    }

    proptest! {
        #[test]
        fn no_cycle_is_left_and_nothing_else_is_broken(edges in prop::collection::vec((0..8_u8, 0..8_u8), 0..24)) {
            let graph = graph(&edges);
            let reaches = |from: u8, to: u8| {
                let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
                while let Some(next) = open.pop() {
                    if next == to {
                        return true;
                    }
                    if seen.insert(next) {
                        open.extend(&graph[&next]);
                    }
                }
                false
            };
            let is_kept = |service, needed| way(&edges, service, needed).is_none();
            let waves = waves(&graph);
            let wave_of = |name: u8| waves.iter().position(|wave| wave.contains(&name));
            prop_assert_eq!(waves.iter().map(Vec::len).sum::<usize>(), graph.len());
            for (&service, needed) in &graph {
                for &needed in needed {
                    if is_kept(service, needed) {
                        prop_assert!(wave_of(service) < wave_of(needed), "{} needs {}", service, needed);
                    } else {
                        prop_assert!(reaches(needed, service), "{} and {} are in no cycle", service, needed);
                    }
                }
            }
        }
    }
}
