//! The list of actions that one step of a machine returns: an array of fixed length, so that no step allocates.

use std::array::IntoIter;
use std::iter::Flatten;

/// At most `N` actions of one step, in the order in which they are to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Actions<A, const N: usize> {
    list: [Option<A>; N],
}

impl<A: Copy, const N: usize> Default for Actions<A, N> {
    fn default() -> Actions<A, N> {
        Actions { list: [None; N] }
    }
}

impl<A, const N: usize> Actions<A, N> {
    /// Adds an action at the end. No step needs more actions than there is room for, which the random worlds of the
    /// tests check.
    pub(crate) fn push(&mut self, action: A) {
        let free = self.list.iter_mut().find(|place| place.is_none());
        debug_assert!(free.is_some(), "too many actions");
        if let Some(place) = free {
            *place = Some(action);
        }
    }
}

impl<A: PartialEq, const N: usize> Actions<A, N> {
    /// Returns whether this action is one of them.
    pub(crate) fn contains(&self, action: &A) -> bool {
        self.list.iter().flatten().any(|known| known == action)
    }
}

impl<A, const N: usize> IntoIterator for Actions<A, N> {
    type Item = A;
    type IntoIter = Flatten<IntoIter<Option<A>, N>>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter().flatten()
    }
}
