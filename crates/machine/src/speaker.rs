//! Which processes may speak for a service by sd_notify, and which process a service may name as its own.
//!
//! What counts is what the kernel says about the sender, never a name that it can choose. A process that may not signal a service must not influence
//! it either.
//!
//! | sender | its message counts |
//! |---|---|
//! | is not visible: it is in a PID namespace that is not below this one | never, whatever its user id: it may be anybody |
//! | lives | if it is the copy, is in its process group, or descends from it |
//! | has ended | while the kernel still knows its parents: as if it lived; after that only on a socket that nobody but the service knows, and if there is only one copy, which the user of the sender may signal |

use crate::Pid;

/// What the kernel knows about the sender of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sender {
    /// It has a pid in this PID namespace.
    pub visible: bool,
    /// The copy that it is, whose process group it is in, or from which it descends.
    pub of: Option<Pid>,
    /// It has not ended, or was not reaped yet.
    pub exists: bool,
    /// Only processes that got the name from the service can write to the socket on which the message came.
    pub was_told: bool,
    /// The copies that its user may signal.
    pub may_signal: [Option<Pid>; 2],
}

/// Returns for which of `copies` the sender speaks, if for any.
pub fn speaks_for(sender: Sender, copies: [Option<Pid>; 2]) -> Option<Pid> {
    if !sender.visible {
        return None;
    }
    let known = sender.of.filter(|&copy| copies.contains(&Some(copy)));
    if known.is_some() || sender.exists {
        return known;
    }
    // If there are two copies, nothing tells which of them a helper that has ended belonged to.
    let ([Some(only), None] | [None, Some(only)]) = copies else {
        return None;
    };
    (sender.was_told && sender.may_signal.contains(&Some(only))).then_some(only)
}

/// What the kernel knows about a process that a service names as its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    /// It is, or descends from, the process that was the service's until now.
    pub descends: bool,
    /// The user who says so may signal it.
    pub may_be_signalled: bool,
    /// Its environment has the service's socket, so the service has executed it. Also true in the middle of an exec, when the
    /// environment cannot be read.
    pub was_told: bool,
}

/// Returns whether supervise may follow to that process. A daemon has left its parents, so only its environment shows where it
/// comes from.
pub fn may_follow(named: Named) -> bool {
    named.descends || (named.may_be_signalled && named.was_told)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIN: Pid = Pid(7);
    const SECOND: Pid = Pid(8);
    const ONE: [Option<Pid>; 2] = [Some(MAIN), None];
    const BOTH: [Option<Pid>; 2] = [Some(MAIN), Some(SECOND)];

    /// A sender that lives and is a stranger.
    const STRANGER: Sender =
        Sender { visible: true, of: None, exists: true, was_told: false, may_signal: [None, None] };

    #[test]
    fn only_processes_of_a_copy_speak_while_they_live() {
        for (of, copies, expected) in [
            (Some(MAIN), ONE, Some(MAIN)),
            (Some(MAIN), BOTH, Some(MAIN)),
            (Some(SECOND), BOTH, Some(SECOND)),
            (Some(SECOND), ONE, None),
            (Some(MAIN), [None, None], None),
            (None, BOTH, None),
        ] {
            assert_eq!(speaks_for(Sender { of, ..STRANGER }, copies), expected, "{of:?} {copies:?}");
        }
        // Not even a process of root that knows the name of the socket.
        let root = Sender { was_told: true, may_signal: BOTH, ..STRANGER };
        assert_eq!(speaks_for(root, ONE), None);
    }

    #[test]
    fn nobody_speaks_who_cannot_be_seen() {
        for exists in [false, true] {
            let sender = Sender { visible: false, of: Some(MAIN), exists, was_told: true, may_signal: ONE };
            assert_eq!(speaks_for(sender, ONE), None);
        }
    }

    #[test]
    fn of_those_that_have_ended_only_one_speaks_that_knew_the_socket_and_had_the_right() {
        let ended = Sender { exists: false, ..STRANGER };
        for (was_told, may_signal, copies, expected) in [
            (true, ONE, ONE, Some(MAIN)),
            (true, [Some(SECOND), None], [None, Some(SECOND)], Some(SECOND)),
            (false, ONE, ONE, None),
            (true, [None, None], ONE, None),
            (true, [Some(SECOND), None], ONE, None),
            (true, BOTH, BOTH, None),
            (true, BOTH, [None, None], None),
        ] {
            let sender = Sender { was_told, may_signal, ..ended };
            assert_eq!(speaks_for(sender, copies), expected, "{sender:?} {copies:?}");
        }
        // A zombie still has parents.
        assert_eq!(speaks_for(Sender { of: Some(SECOND), ..ended }, BOTH), Some(SECOND));
    }

    #[test]
    fn a_process_is_followed_that_descends_or_was_told_by_a_user_who_might_signal_it() {
        for (descends, may_be_signalled, was_told, expected) in [
            (true, false, false, true),
            (true, true, true, true),
            (false, true, true, true),
            (false, true, false, false),
            (false, false, true, false),
            (false, false, false, false),
        ] {
            assert_eq!(may_follow(Named { descends, may_be_signalled, was_told }), expected);
        }
    }
}
