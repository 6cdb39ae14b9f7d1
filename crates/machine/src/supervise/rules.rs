//! What the service directory says about what follows when `run` has ended. It comes with that end, read anew each time.

use svdir::finals::Finals;

use super::hook;
use super::knobs::Knobs;
use super::restarts::Limit;

/// The rules for what follows the end of the main copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// How many ends of the service are kept in the death tally; 0 for none.
    pub tally: u16,
    /// There is a `finish`.
    pub finish: bool,
    /// How long that may take before it is killed, in nanoseconds; for ever if `None`.
    pub finish_limit: Option<u64>,
    /// Which ends are final.
    pub finals: Finals,
    /// The longest pace, in nanoseconds; `None` for daemontools'.
    pub backoff: Option<u64>,
    /// How often it may end.
    pub restarts: Option<Limit>,
    /// How what is left behind is told to end: the knobs about signals, where they [are needed](super::Machine::needs_signals).
    pub signals: Option<Knobs>,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            tally: 0,
            finish: false,
            finish_limit: Some(hook::LIMIT),
            finals: Finals::default(),
            backoff: None,
            restarts: None,
            signals: None,
        }
    }
}
