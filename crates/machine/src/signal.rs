//! Signals by number, and names for those that a supervisor uses.

/// A signal by its number on this system, 1 to 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal(pub u8);

/// Whether the system numbers its signals as BSD does, not as Linux.
const BSD: bool = cfg!(any(
    target_os = "macos",
    target_os = "ios",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd",
    target_os = "dragonfly"
));

impl Signal {
    /// Hang up: by custom, read the configuration again.
    pub const HUP: Signal = Signal(1);
    /// Interrupt.
    pub const INT: Signal = Signal(2);
    /// Quit.
    pub const QUIT: Signal = Signal(3);
    /// Abort, with a core dump if the system is set up for that.
    pub const ABRT: Signal = Signal(6);
    /// End at once.
    pub const KILL: Signal = Signal(9);
    /// The first user-defined signal.
    pub const USR1: Signal = Signal(if BSD { 30 } else { 10 });
    /// The second user-defined signal.
    pub const USR2: Signal = Signal(if BSD { 31 } else { 12 });
    /// An alarm clock.
    pub const ALRM: Signal = Signal(14);
    /// End in order.
    pub const TERM: Signal = Signal(15);
    /// Go on.
    pub const CONT: Signal = Signal(if BSD { 19 } else { 18 });
    /// Stop.
    pub const STOP: Signal = Signal(if BSD { 17 } else { 19 });
    /// The window has another size.
    pub const WINCH: Signal = Signal(28);
}
