//! What is done about what fails: say it once, wait five seconds, try again, for ever.
//!
//! The wait is a poll, so that signals act. A TERM in it means: once more at once, and if that fails too, it is given up.
//! (daemontools 0.76 says it again every five seconds, and only KILL ends it.)

use std::io;
use std::os::fd::BorrowedFd;

use sys::input::Input;
use sys::process::Signal;
use sys::signals::Signals;
use sys::{clock, poll};

/// The signals that are heard.
const SIGNALS: [Signal; 2] = [Signal::SIGTERM, Signal::SIGALRM];
/// How long to wait before the next try.
const PAUSE: u64 = 5_000_000_000;

/// The level of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// A processor cannot be run.
    Fatal,
    /// Something failed and will be tried again.
    Warning,
}

/// A function that tells the operator what could not be done, and why if the system gave a reason.
pub type Report = fn(Level, &[u8], Option<&io::Error>);

/// The error of an attempt that failed once more after a TERM, and is not made again.
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
    /// How many times five seconds to wait.
    pub pauses: u64,
}

impl Trouble {
    /// `unable to ..., pausing: REASON`.
    pub fn new(text: Vec<u8>, reason: io::Error) -> Trouble {
        Trouble { lines: vec![Line { level: Level::Warning, text, reason: Some(reason) }], pauses: 1 }
    }

    fn same_cause(&self, other: &Trouble) -> bool {
        let cause = |line: &Line| (line.text.clone(), line.reason.as_ref().map(io::Error::to_string));
        self.lines.iter().map(cause).eq(other.lines.iter().map(cause))
    }
}

/// Patience with what fails: it tells the operator, waits, and hears TERM and ALRM meanwhile.
pub struct Patience {
    signals: Signals,
    report: Report,
    ending: bool,
}

impl Patience {
    /// Catches TERM and ALRM from now on.
    ///
    /// # Errors
    /// Fails when the system has no descriptors left for a pipe.
    pub fn new(report: Report) -> io::Result<Patience> {
        Ok(Patience { signals: Signals::catch(&SIGNALS)?, report, ending: false })
    }

    /// Standard input, read so that no signal is missed. Open it once only.
    ///
    /// # Errors
    /// Fails when the system has no descriptors left.
    pub fn input(&self) -> io::Result<Input> {
        Input::open(&SIGNALS)
    }

    /// The descriptor that becomes readable when a signal comes. Call [`hear`](Patience::hear) then.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.signals.fd()
    }

    /// How long a poll of [`fd`](Patience::fd) may wait: not at all if a signal has come already.
    pub fn timeout(&self) -> Option<u64> {
        self.signals.timeout(None)
    }

    /// Whether a signal has come, even if [`fd`](Patience::fd) could not be written and does not tell.
    pub fn came(&self) -> bool {
        self.signals.came()
    }

    /// Empties [`fd`](Patience::fd), so that the next poll of it waits again.
    pub fn hear(&self) {
        self.signals.drain();
    }

    /// Whether a TERM has ever come: multilog is to end.
    pub fn ending(&mut self) -> bool {
        self.ending = self.signals.arrived(Signal::SIGTERM) || self.ending;
        self.ending
    }

    /// Whether an ALRM has come since the last call: every log is to begin a new file.
    pub fn rotation_wanted(&self) -> bool {
        self.signals.arrived(Signal::SIGALRM)
    }

    /// The function that tells the operator of failures.
    pub(crate) fn report(&self) -> Report {
        self.report
    }

    /// Tells the operator one message.
    pub(crate) fn say(&self, line: &Line) {
        (self.report)(line.level, &line.text, line.reason.as_ref());
    }

    /// Makes `attempt` until it succeeds, or fails once more after a TERM. `text` makes the message: what could not be done.
    pub(crate) fn insist<T>(
        &mut self,
        text: impl Fn() -> Vec<u8>,
        mut attempt: impl FnMut() -> io::Result<T>,
    ) -> Result<T, GivenUp> {
        self.insist_on(|| sys::fd::uninterrupted(&mut attempt).map_err(|reason| Trouble::new(text(), reason)))
    }

    /// Makes `attempt` until it succeeds, or fails once more after a TERM, with the messages that it fails with. Each cause is told once.
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
            last = self.pause(PAUSE.saturating_mul(trouble.pauses));
            told = Some(trouble);
        }
    }

    /// Waits until `fd` has room, for so long at most and not at all after a TERM. Returns whether it has.
    pub(crate) fn wait_for_room(&mut self, fd: BorrowedFd<'_>, nanoseconds: u64) -> bool {
        let deadline = clock::monotonic().saturating_add(nanoseconds);
        loop {
            let left = if self.ending() { 0 } else { deadline.saturating_sub(clock::monotonic()) };
            match poll::writable(fd, left) {
                Ok(false) if left > 0 => {}
                // What poll cannot tell, the write will.
                done => return done.unwrap_or(true),
            }
        }
    }

    /// Waits for so long. Returns true, and at once, when a TERM has come.
    fn pause(&mut self, nanoseconds: u64) -> bool {
        let deadline = clock::monotonic().saturating_add(nanoseconds);
        while !self.ending() {
            let left = deadline.saturating_sub(clock::monotonic());
            if left == 0 {
                return false;
            }
            if poll::readable([self.signals.fd()], self.signals.timeout(Some(left))).is_err() {
                poll::rest();
            }
            self.signals.drain();
        }
        true
    }
}
