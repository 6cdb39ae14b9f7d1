//! How failures are handled: warn once, wait five seconds, try again, for ever.
//!
//! The wait is a poll, so that signals are obeyed. If TERM comes during the wait, there is one more attempt at once; if
//! that fails too, it is given up. (daemontools 0.76 repeats its message every five seconds, and only KILL ends it.)

use std::io;
use std::os::fd::BorrowedFd;

use sys::input::Input;
use sys::process::Signal;
use sys::signals::Signals;
use sys::{clock, poll};

/// What differs from one program of the family to the other.
pub(crate) struct Manner {
    /// The signals that are caught.
    pub signals: &'static [Signal],
    /// How long to wait before the next attempt, in nanoseconds.
    pub pause: u64,
    /// The level of a message about a failed attempt.
    pub level: Level,
}

/// multilog's manner.
pub(crate) const MULTILOG: Manner =
    Manner { signals: &[Signal::SIGTERM, Signal::SIGALRM], pause: 5_000_000_000, level: Level::Warning };

/// The level of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// A processor cannot be run.
    Fatal,
    /// Something failed and will be tried again.
    Warning,
    /// Something failed and will be tried again after a pause, as svlogd says it.
    Pausing,
    /// What was done, for those who want to know.
    Info,
}

/// A function that prints what failed, and the reason of the system if there is one.
pub type Report = fn(Level, &[u8], Option<&io::Error>);

/// The error of an attempt that failed once more after a TERM, and is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GivenUp;

/// One message to the operator.
pub(crate) struct Line {
    pub level: Level,
    pub text: Vec<u8>,
    pub reason: Option<io::Error>,
}

/// The failure of one attempt: the messages about it, and how long to wait before the next one.
pub(crate) struct Trouble {
    pub lines: Vec<Line>,
    /// How long to wait, in units of the pause between two attempts.
    pub pauses: u64,
}

impl Trouble {
    /// `unable to ..., pausing: REASON`.
    pub fn new(text: Vec<u8>, reason: io::Error) -> Trouble {
        Trouble::of(Level::Warning, text, reason)
    }

    fn of(level: Level, text: Vec<u8>, reason: io::Error) -> Trouble {
        Trouble { lines: vec![Line { level, text, reason: Some(reason) }], pauses: 1 }
    }

    fn same_cause(&self, other: &Trouble) -> bool {
        let cause = |line: &Line| (line.text.clone(), line.reason.as_ref().map(io::Error::to_string));
        self.lines.iter().map(cause).eq(other.lines.iter().map(cause))
    }
}

/// Handles failures: it prints a message, waits, and receives signals meanwhile.
pub struct Patience {
    manner: &'static Manner,
    signals: Signals,
    report: Report,
    ending: bool,
}

impl Patience {
    /// Catches signals from now on.
    ///
    /// # Errors
    /// Fails when the system has no descriptors left for a pipe.
    pub(crate) fn new(manner: &'static Manner, report: Report) -> io::Result<Patience> {
        Ok(Patience { manner, signals: Signals::catch(manner.signals)?, report, ending: false })
    }

    /// Opens standard input so that no signal is missed while it is read. Call this only once.
    ///
    /// # Errors
    /// Fails when the system has no descriptors left.
    pub fn input(&self) -> io::Result<Input> {
        Input::open(self.manner.signals)
    }

    /// The descriptor that becomes readable when a signal comes. Call [`hear`](Patience::hear) then.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.signals.fd()
    }

    /// How long a poll of [`fd`](Patience::fd) may wait, in nanoseconds: 0 if a signal has already come, else as long as `limit` says, `None` for no
    /// limit.
    pub fn timeout(&self, limit: Option<u64>) -> Option<u64> {
        self.signals.timeout(limit)
    }

    /// Returns whether a signal has come, even if [`fd`](Patience::fd) is not readable because its pipe could not be
    /// written.
    pub fn came(&self) -> bool {
        self.signals.came()
    }

    /// Empties [`fd`](Patience::fd), so that the next poll of it waits again.
    pub fn hear(&self) {
        self.signals.drain();
    }

    /// Returns whether a TERM has ever come, so that multilog is to end.
    pub fn ending(&mut self) -> bool {
        self.ending = self.signals.arrived(Signal::SIGTERM) || self.ending;
        self.ending
    }

    /// Returns whether an ALRM has come since the last call, so that every log is to begin a new file.
    pub fn rotation_wanted(&self) -> bool {
        self.arrived(Signal::SIGALRM)
    }

    /// Returns whether this signal has come since the last call.
    pub(crate) fn arrived(&self, signal: Signal) -> bool {
        self.signals.arrived(signal)
    }

    /// The function that prints failures.
    pub(crate) fn report(&self) -> Report {
        self.report
    }

    /// Prints one message.
    pub(crate) fn say(&self, line: &Line) {
        (self.report)(line.level, &line.text, line.reason.as_ref());
    }

    /// Repeats `attempt` until it succeeds, or fails once more after a TERM. `text` makes the message, which says what
    /// failed.
    pub(crate) fn insist<T>(
        &mut self,
        text: impl Fn() -> Vec<u8>,
        mut attempt: impl FnMut() -> io::Result<T>,
    ) -> Result<T, GivenUp> {
        let level = self.manner.level;
        self.insist_on(|| sys::fd::uninterrupted(&mut attempt).map_err(|reason| Trouble::of(level, text(), reason)))
    }

    /// Repeats `attempt` until it succeeds, or fails once more after a TERM. Prints the messages that it fails with, each cause once.
    pub(crate) fn insist_on<T>(&mut self, mut attempt: impl FnMut() -> Result<T, Trouble>) -> Result<T, GivenUp> {
        let mut told: Option<Trouble> = None;
        let mut last = false;
        loop {
            let trouble = match attempt() {
                Ok(done) => return Ok(done),
                Err(trouble) => trouble,
            };
            if !told.as_ref().is_some_and(|told| told.same_cause(&trouble)) {
                trouble.lines.iter().for_each(|line| self.say(line));
            }
            if last {
                return Err(GivenUp);
            }
            last = self.pause(self.manner.pause.saturating_mul(trouble.pauses));
            told = Some(trouble);
        }
    }

    /// Waits until `fd` has room, at most this many nanoseconds, and not at all after a TERM. Returns whether it has
    /// room.
    pub(crate) fn wait_for_room(&mut self, fd: BorrowedFd<'_>, nanoseconds: u64) -> bool {
        let deadline = clock::monotonic().saturating_add(nanoseconds);
        loop {
            let left = if self.ending() { 0 } else { deadline.saturating_sub(clock::monotonic()) };
            match poll::writable(fd, left) {
                Ok(false) if left > 0 => {}
                // If poll fails, the write will show what is wrong.
                done => return done.unwrap_or(true),
            }
        }
    }

    /// Waits for this many nanoseconds. Returns true, and at once, when a TERM has come.
    pub(crate) fn pause(&mut self, nanoseconds: u64) -> bool {
        let deadline = clock::monotonic().saturating_add(nanoseconds);
        while !self.ending() {
            let left = deadline.saturating_sub(clock::monotonic());
            if left == 0 {
                return false;
            }
            self.await_signal(Some(left));
        }
        true
    }

    /// Waits for any signal, or until this many nanoseconds have passed.
    pub(crate) fn await_signal(&self, nanoseconds: Option<u64>) {
        if poll::readable([self.signals.fd()], self.signals.timeout(nanoseconds)).is_err() {
            poll::rest();
        }
        self.signals.drain();
    }
}
