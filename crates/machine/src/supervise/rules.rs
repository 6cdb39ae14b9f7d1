//! What the service directory says about what follows when `run` has ended. It comes with that end, read anew each time.

use svdir::finals::Finals;

use super::knobs::Knobs;
use super::restarts::Limit;

/// The rules for what follows the end of the main copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// How many ends of the service are kept in the death tally; 0 for none.
    pub tally: u16,
    /// There is a `finish`.
    pub finish: bool,
    /// Which ends are final.
    pub finals: Finals,
    /// The longest pace, in nanoseconds; `None` for daemontools'.
    pub backoff: Option<u64>,
    /// How often it may end.
    pub restarts: Option<Limit>,
    /// How what is left behind is told to end: the knobs about signals, where they [are needed](super::Machine::needs_signals).
    pub signals: Option<Knobs>,
}
