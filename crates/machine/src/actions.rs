//! The list of actions that one step of a machine returns: an array of fixed length, so that no step allocates, and a spill behind it.

use std::array::IntoIter;
use std::iter::{Chain, Flatten};
use std::vec;

/// The actions of one step, in the order in which they are to be done. The first `N` have places here. If a step has more, the others
/// are in a vector, which takes memory only then: an action that was lost would be a command that was not obeyed, or a process that was
/// not signalled, and nobody would ever learn of it. So nothing depends on `N` but that steps take no memory. In the random worlds of the
/// tests no step needs half of the places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actions<A, const N: usize> {
    list: [Option<A>; N],
    /// Empty unless every place is taken.
    more: Vec<A>,
}

impl<A: Copy, const N: usize> Default for Actions<A, N> {
    fn default() -> Actions<A, N> {
        Actions { list: [None; N], more: Vec::new() }
    }
}

impl<A, const N: usize> Actions<A, N> {
    /// How many actions a step may have without taking memory.
    pub const PLACES: usize = N;

    /// How many actions there are.
    pub fn count(&self) -> usize {
        self.list.iter().flatten().count() + self.more.len()
    }

    /// Adds an action at the end.
    pub(crate) fn push(&mut self, action: A) {
        match self.list.iter_mut().find(|place| place.is_none()) {
            Some(free) => *free = Some(action),
            None => self.spill(action),
        }
    }

    /// Not inlined, since it is never needed.
    #[cold]
    #[inline(never)]
    fn spill(&mut self, action: A) {
        self.more.push(action);
    }
}

impl<A: PartialEq, const N: usize> Actions<A, N> {
    /// Returns whether this action is one of them.
    pub(crate) fn contains(&self, action: &A) -> bool {
        self.list.iter().flatten().chain(&self.more).any(|known| known == action)
    }
}

impl<A, const N: usize> IntoIterator for Actions<A, N> {
    type Item = A;
    type IntoIter = Chain<Flatten<IntoIter<Option<A>, N>>, vec::IntoIter<A>>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter().flatten().chain(self.more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_place_is_not_lost_and_keeps_its_order() {
        for count in 0..9 {
            let mut actions: Actions<usize, 3> = Actions::default();
            (0..count).for_each(|action| actions.push(action));
            assert_eq!(actions.count(), count);
            assert!((0..count).all(|action| actions.contains(&action)) && !actions.contains(&count));
            assert_eq!(actions.into_iter().collect::<Vec<_>>(), (0..count).collect::<Vec<_>>());
        }
    }
}
