//! A client of the supervise of a service directory: it reaches supervise, sends commands, and watches their effect.
//!
//! Nothing polls: the kernel tells when a record is written (inotify), and when a supervise ends (its FIFO has no reader any more). The
//! client watches for both before it sends a command, so it misses nothing. Where there is no inotify, or the file system does not report
//! changes, the records are read ten times a second.

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use cli::{Text, text};
use machine::wait::Before;
use machine::{SECOND, Tick};
use svdir::{Mark, names};
use sys::watch::{Change, Watch, Watcher};
use sys::{clock, fd, poll, process};

use super::facts::Facts;
use super::record::Unreadable;
use super::{files, record, running, tick};

/// The interval between two looks at a record where nothing reports its changes, in nanoseconds.
const LOOK: u64 = SECOND / 10;
/// How long a client waits for the successor of a supervise that was killed, in nanoseconds.
const SUCCESSION: u64 = 5 * SECOND;
/// The interval between two looks for that successor, in nanoseconds: no event reports its start.
const LOOK_FOR_SUCCESSOR: u64 = SECOND / 100;

/// Why a supervise could not be reached.
#[derive(Debug)]
pub enum Unreachable {
    /// No supervise runs here: nobody reads its FIFO.
    NotRunning,
    /// `supervise/control` is not a FIFO. Letters that are written there would reach nobody, or damage a file.
    NotFifo,
    /// The supervise that runs here is that of this other service directory ([`running::owner`]).
    OfAnother(PathBuf),
    /// The FIFO cannot be opened.
    System(io::Error),
}

impl Unreachable {
    /// The reason at the end of a message.
    pub fn reason(&self) -> Cow<'static, str> {
        match self {
            Unreachable::NotRunning => "supervise not running".into(),
            Unreachable::NotFifo => "supervise/control is not a FIFO".into(),
            Unreachable::OfAnother(owner) => cli::reason(&running::shared(owner)),
            Unreachable::System(error) => cli::reason(error),
        }
    }
}

/// Finds out whether a supervise runs in the current directory.
///
/// # Errors
/// If no supervise runs, or that cannot be found out.
pub fn find() -> Result<(), Unreachable> {
    open(names::OK).map(drop)
}

/// Opens the FIFO that has a reader exactly as long as a supervise runs in the current directory, and waits for nobody: one whose files were removed is not found.
///
/// # Errors
/// As [`find`].
pub fn find_at_once() -> Result<File, Unreachable> {
    opened(fd::open_write(&*files::here(names::OK)))
}

/// Opens the control FIFO of the supervise that runs in the current directory, for writing.
///
/// # Errors
/// If no supervise would read what is written there.
pub fn reach() -> Result<File, Unreachable> {
    let fifo = open(names::CONTROL)?;
    match fd::is_fifo(&fifo) {
        Ok(true) => Ok(fifo),
        Ok(false) => Err(Unreachable::NotFifo),
        Err(error) => Err(Unreachable::System(error)),
    }
}

fn open(name: &str) -> Result<File, Unreachable> {
    let mut file = fd::open_write(&*files::here(name));
    if file.as_ref().is_err_and(|error| matches!(error.raw_os_error(), Some(sys::ENOENT | fd::NO_READER))) {
        // No supervise runs here; or one does, but `supervise/` was removed. Such a supervise is told to make its files anew, and waited for; if none
        // runs, this returns at once.
        running::wait_for_recalled(|| fd::open_write(&*files::here(names::OK)).is_ok());
        file = fd::open_write(&*files::here(name));
    }
    opened(file)
}

/// Judges the FIFO of a supervise that was opened.
fn opened(file: io::Result<File>) -> Result<File, Unreachable> {
    let file = file.map_err(|error| match error.raw_os_error() {
        Some(fd::NO_READER) => Unreachable::NotRunning,
        _ => Unreachable::System(error),
    })?;
    running::owner(Path::new(".")).map_or(Ok(file), |owner| Err(Unreachable::OfAnother(owner)))
}

/// Sends command letters in one write, so that letters of other clients do not come between them. Waits while the FIFO
/// is full.
///
/// # Errors
/// If the supervise has ended meanwhile.
pub fn send(fifo: &File, letters: &[u8]) -> io::Result<()> {
    fd::set_blocking(fifo.as_fd())?;
    fd::write_all(fifo.as_fd(), letters)
}

/// Reads what the status file and the record say about the service in the current directory.
///
/// # Errors
/// If there is no status that can be read.
pub fn read() -> Result<Facts, Unreadable> {
    record::read(Path::new(".")).map(Facts::of)
}

/// The record of one service, for a client that has left the service directory since. The directory is kept open, so renames do not matter.
struct Record {
    directory: File,
    /// The path of the status file, relative to that directory.
    status: Cow<'static, Path>,
    record: Cow<'static, Path>,
}

/// Which supervises a client can wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suites {
    /// Those of this suite, which say when a command was obeyed.
    Ours,
    /// Those of any suite of the family.
    All,
}

impl Record {
    /// Keeps the current directory open for its record.
    fn here() -> Result<Record, Text> {
        let directory = fd::open_here().map_err(|error| Unreadable::Open(error).text())?;
        Ok(Record { directory, status: files::here(names::STATUS), record: files::here(names::RECORD) })
    }

    /// Reads what one of our supervises has written there. An error for a supervise of another suite: its status is not
    /// enough for a wait.
    fn read(&self) -> Result<Facts, Text> {
        let open = |path: &Path| fd::open_read_at(self.directory.as_fd(), path);
        match record::find(open(&self.status), || open(&self.record)).map(Facts::of) {
            Ok(facts) if facts.can_be_waited_for() => Ok(facts),
            Ok(_) | Err(Unreadable::TooShort) => Err(text!("its supervise is of another suite or an older version")),
            // There is a supervise that reads commands, so it will write its status next.
            Err(Unreadable::Open(error)) if error.kind() == io::ErrorKind::NotFound => {
                Ok(Facts::before_the_first_record())
            }
            Err(unreadable) => Err(unreadable.text()),
        }
    }
}

/// The state that all watched services share: inotify, and the mark of this client.
pub struct Watching {
    watcher: Option<Watcher>,
    mark: Mark,
}

/// A service that is watched.
pub struct Watched {
    record: Record,
    /// Its supervise understands marks.
    answers: bool,
    watch: Option<Watch>,
    /// The write end of a FIFO that its supervise reads. Because it is open here, commands in it survive the death of a
    /// supervise.
    fifo: File,
    mark: Mark,
    /// The state before commands were sent.
    before: Before,
    /// Commands were sent.
    commanded: bool,
    /// The mark that was sent after the commands has not come back yet.
    unheard: bool,
    /// From the last record that was seen: the pid of the supervise that wrote it, its mark, and how many bytes of
    /// marks it had read.
    author: (u32, Mark, u32),
    /// If its supervise was killed: the time until which the client waits for a successor.
    orphan: Option<Tick>,
    /// The record may have changed, and is to be read.
    look: bool,
}

/// Whether there is something new about a watched service.
pub enum News {
    /// Nothing can have changed.
    None,
    /// Its supervise was killed, and no successor came in time.
    Killed,
    /// Its [`facts`](Watched::facts) may have changed.
    Some,
}

impl Watching {
    /// Begins without any watched service.
    pub fn begin() -> Watching {
        // Unique among the clients that wait at the same time, since it contains the pid.
        let pid = u64::from(process::own_pid().as_raw().unsigned_abs());
        let mark = Mark::new(pid << 34 | clock::monotonic() & ((1 << 34) - 1));
        Watching { watcher: Watcher::new().ok(), mark }
    }

    /// Lets a supervise that begins in the current directory end a [sleep](Watching::sleep): the kernel tells that its files are made and opened. Call this before each look for
    /// it. Returns whether that is so; where not, look again by yourself.
    pub fn expect_supervise(&self) -> bool {
        let Some(watcher) = &self.watcher else {
            return false;
        };
        let own = files::here(names::SUPERVISE);
        let watch = || watcher.add_for_openings(&own).is_ok();
        if watch() {
            return true;
        }
        // What a dangling link leads to is made elsewhere.
        let above = own.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let is_missing = || own.symlink_metadata().is_err();
        // It may have been made just before that watch began.
        is_missing() && watcher.add(above).is_ok() && (is_missing() || watch())
    }

    /// Watches the service of the current directory. Call this before anything is sent to its supervise. `fifo` is the write end of one of
    /// its FIFOs.
    ///
    /// # Errors
    /// A text for the user, if the supervise there is not of one of `suites`, or nothing can be read.
    pub fn watch(&self, fifo: File, suites: Suites) -> Result<Watched, Text> {
        let record = Record::here()?;
        let watch =
            self.watcher.as_ref().and_then(|watcher| watcher.add_for_contents(&files::here(names::SUPERVISE)).ok());
        let (facts, answers) = match record.read() {
            Ok(facts) => (facts, true),
            Err(_) if suites == Suites::All => (Facts::default(), false),
            Err(why) => return Err(why),
        };
        Ok(Watched {
            record,
            answers,
            watch,
            fifo,
            mark: self.mark,
            before: Before { pid: facts.pid(), reload: None },
            commanded: false,
            unheard: false,
            author: facts.author(),
            orphan: None,
            look: true,
        })
    }

    /// Sleeps until there is news about one of `services`, or until `deadline`.
    pub fn sleep(&self, services: &mut [&mut Watched], deadline: Option<Tick>) {
        self.sleep_or(services, deadline, None);
    }

    /// Sleeps as [`sleep`](Watching::sleep) does, and no longer than until `other` can be read.
    pub fn sleep_or(&self, services: &mut [&mut Watched], deadline: Option<Tick>, other: Option<BorrowedFd<'_>>) {
        let deadlines = services.iter().filter_map(|service| service.deadline()).chain(deadline);
        let timeout = deadlines.min().map(|deadline| tick().until(deadline));
        let living: Vec<usize> = (0..services.len()).filter(|&at| services[at].orphan.is_none()).collect();
        let fifos: Vec<BorrowedFd<'_>> = living.iter().map(|&at| services[at].fifo.as_fd()).collect();
        let news = match (&self.watcher, other) {
            (Some(watcher), Some(other)) => poll::readable_or_unread([watcher.fd(), other], &fifos, timeout)
                .map(|([changes, _], unread)| (changes, unread)),
            (Some(watcher), None) => {
                poll::readable_or_unread([watcher.fd()], &fifos, timeout).map(|([changes], unread)| (changes, unread))
            }
            (None, Some(other)) => {
                poll::readable_or_unread([other], &fifos, timeout).map(|(_, unread)| (false, unread))
            }
            (None, None) => poll::readable_or_unread([], &fifos, timeout).map(|([], unread)| (false, unread)),
        };
        let Ok((changes, unread)) = news else {
            return poll::rest_for(LOOK);
        };
        for at in unread {
            let service = &mut services[living[at]];
            service.orphan = Some(tick().after(SUCCESSION));
            service.look = true;
        }
        if changes {
            self.hear(services);
        }
    }

    /// Notes which records were written.
    fn hear(&self, services: &mut [&mut Watched]) {
        let Some(changes) = self.watcher.as_ref().and_then(|watcher| watcher.changes().ok()) else {
            return;
        };
        let records = [names::STATUS, names::RECORD].map(|name| Path::new(name).file_name());
        for change in changes {
            let (watch, all) = match change {
                // Letters in the FIFO, or `status.new`, which is not renamed yet.
                Change::Entry(_, name) if !records.contains(&Some(&*name)) => continue,
                Change::Entry(watch, _) | Change::Gone(watch) => (Some(watch), false),
                Change::Lost => (None, true),
            };
            for service in services.iter_mut() {
                service.look |= all || service.watch == watch;
            }
        }
    }
}

impl Watched {
    /// Sends command letters, followed by the mark that shows when they were obeyed, if its supervise understands marks. Without letters nothing is sent.
    ///
    /// # Errors
    /// Those of [`send`].
    pub fn send(&mut self, letters: &[u8]) -> io::Result<()> {
        if !letters.is_empty() {
            let mark = self.mark.bytes();
            send(&self.fifo, &[letters, if self.answers { &mark } else { b"" }].concat())?;
            (self.commanded, self.unheard) = (true, self.answers);
        }
        Ok(())
    }

    /// Returns whether its supervise has ended, as far as is known, and no other has come.
    pub const fn is_orphaned(&self) -> bool {
        self.orphan.is_some()
    }

    /// Returns whether its supervise says when a command was obeyed.
    pub const fn answers(&self) -> bool {
        self.answers
    }

    /// Notes that the letters which are sent next ask for a reload, of which the service tells. Call this when the configuration is as it is to be read.
    pub fn expect_reload(&mut self) {
        self.before.reload = Some(clock::monotonic());
    }

    /// The state before commands were sent; `None` if none were.
    pub fn commanded(&self) -> Option<Before> {
        self.commanded.then_some(self.before)
    }

    /// Returns whether the commands that were sent have been obeyed, or were lost with a supervise that had read them, as far as its supervise can tell.
    pub const fn was_heard(&self) -> bool {
        !self.unheard
    }

    /// Reads the record now. If it says that supervise has exited but a supervise runs, that does not count: the new one may not have written its
    /// record yet.
    ///
    /// # Errors
    /// If its supervise does not understand marks, or nothing can be read.
    pub fn facts(&self) -> Result<Facts, Text> {
        let facts = self.record.read()?;
        Ok(if self.orphan.is_some() { facts } else { facts.with_a_supervise() })
    }

    /// Finds out whether there is news.
    pub fn news(&mut self) -> News {
        if let Some(until) = self.orphan {
            if self.has_supervise() {
                self.orphan = None;
            } else if until <= tick() {
                return News::Killed;
            } else if !self.facts().is_ok_and(|facts| facts.has_exited()) {
                return News::None;
            }
        } else if self.watch.is_some() && !std::mem::take(&mut self.look) {
            return News::None;
        }
        self.listen();
        News::Some
    }

    fn has_supervise(&self) -> bool {
        poll::readable_or_unread([], &[self.fifo.as_fd()], Some(0)).is_ok_and(|(_, unread)| unread.is_empty())
    }

    /// Looks for the mark in the record. If another client's mark has come, ours may have come before it without being seen; if
    /// another supervise has come, the one before may have read our mark and died. In both cases the mark is sent again. When it
    /// comes back, everything that was sent before it was obeyed, or was lost with a supervise that had read it; nothing is left in
    /// the FIFO.
    fn listen(&mut self) {
        let Ok(facts) = self.facts() else {
            return;
        };
        let author = facts.author();
        if author.1 == self.mark || facts.has_exited() {
            self.unheard = false;
        } else if self.unheard && author != self.author && fd::write(self.fifo.as_fd(), &self.mark.bytes()).is_ok() {
            // A supervise may have written its record before it reads its FIFO; the mark is sent again when it does.
            self.author = author;
        }
    }

    fn deadline(&self) -> Option<Tick> {
        match (self.orphan, self.watch) {
            (Some(_), _) => Some(tick().after(LOOK_FOR_SUCCESSOR)),
            (None, None) => Some(tick().after(LOOK)),
            (None, Some(_)) => None,
        }
    }
}
