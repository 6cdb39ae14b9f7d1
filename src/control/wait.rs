//! Waiting until services are where they shall be. Nothing polls: the kernel tells when a status record is written (inotify), and when
//! a supervise ends (its FIFO has no reader any more). Both are asked for before a command is sent, so nothing is missed in
//! between. Where there is no inotify, or a file system does not tell of changes, the records are read ten times in a second.

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use cli::{Text, Voice, text};
use machine::wait::{Before, Verdict, Wanted, judge};
use machine::{SECOND, Tick};
use svdir::{Mark, More, Role, Status, names};
use sys::watch::{Change, Watch, Watcher};
use sys::{clock, fd, poll, process};

use crate::service::files;

/// How often a record is read where nothing tells of its changes.
const LOOK: u64 = SECOND / 10;
/// A supervise that was killed has a successor by then, or none comes.
const SUCCESSION: u64 = 5 * SECOND;
/// How often it is asked meanwhile whether one is there: of that no event tells.
const LOOK_FOR_SUCCESSOR: u64 = SECOND / 100;

/// All that is waited for.
pub struct Waiting {
    voice: Voice,
    wanted: Wanted,
    deadline: Option<Tick>,
    watcher: Option<Watcher>,
    mark: Mark,
    services: Vec<Service>,
    /// Some service will not get there.
    failed: bool,
}

/// One service that is not there yet.
struct Service {
    /// As the operator typed it: for messages. A bare name may lead somewhere else.
    dir: PathBuf,
    record: Record,
    watch: Option<Watch>,
    /// The write end of a FIFO that its supervise reads. Commands that were sent stay in it over the death of a supervise.
    fifo: File,
    /// Commands were sent, and the mark behind them has not come back yet.
    unheard: bool,
    commanded: Option<Before>,
    /// Who wrote the record that was seen last, and the mark in it.
    seen: (u32, Mark),
    /// Its supervise was killed: until then a successor is waited for.
    orphan: Option<Tick>,
    /// Look at its record.
    look: bool,
}

/// What was so when it was begun to watch one.
pub struct Watched {
    record: Record,
    watch: Option<Watch>,
    seen: (u32, Mark),
    before: Before,
}

/// Where a record is, for who has left the service directory since. It is held open, so it does not matter what is renamed meanwhile.
struct Record {
    directory: File,
    /// As seen from there.
    path: Cow<'static, Path>,
}

/// What was found out about one.
enum Found {
    There,
    NotYet(String),
    Never(Text),
}

fn now() -> Tick {
    Tick(clock::monotonic())
}

impl Waiting {
    /// Nothing is waited for yet. It ends after `timeout` nanoseconds.
    pub fn new(voice: Voice, wanted: Wanted, timeout: Option<u64>) -> Waiting {
        // Unique among the clients that wait at the same time: no two processes have one pid, and none has two times.
        let pid = u64::from(process::own_pid().as_raw().unsigned_abs());
        let mark = Mark::new(pid << 34 | clock::monotonic() & ((1 << 34) - 1));
        let deadline = timeout.map(|timeout| now().after(timeout));
        let watcher = Watcher::new().ok();
        Waiting { voice, wanted, deadline, watcher, mark, services: Vec::new(), failed: false }
    }

    /// What is sent behind commands.
    pub fn mark(&self) -> [u8; Mark::SIZE] {
        self.mark.bytes()
    }

    /// Before anything is sent to the supervise in the current directory: begins to watch that, for [`add`](Waiting::add).
    ///
    /// # Errors
    /// A text if what runs there does not understand marks, or nothing can be read.
    pub fn watch(&self) -> Result<Watched, Text> {
        let record = Record::here()?;
        let watch =
            self.watcher.as_ref().and_then(|watcher| watcher.add_for_contents(&files::here(names::SUPERVISE)).ok());
        let (status, more) = record.read()?;
        Ok(Watched { record, watch, seen: (more.supervise, more.mark), before: Before { pid: status.pid } })
    }

    /// Waits for the service in `dir` too. `fifo` is the write end of one of its FIFOs; `commanded` says whether commands and the mark
    /// were sent.
    pub fn add(&mut self, dir: &Path, watched: Watched, fifo: File, commanded: bool) {
        self.services.push(Service {
            dir: dir.to_path_buf(),
            record: watched.record,
            watch: watched.watch,
            fifo,
            unheard: commanded,
            commanded: commanded.then_some(watched.before),
            seen: watched.seen,
            orphan: None,
            look: true,
        });
    }

    /// A service that cannot be waited for, which was said.
    pub fn fail(&mut self) {
        self.failed = true;
    }

    /// Waits. Returns whether all are there; of each other one a line has said why not.
    pub fn wait(mut self) -> bool {
        loop {
            self.look();
            if self.services.is_empty() {
                return !self.failed;
            }
            if self.deadline.is_some_and(|deadline| deadline <= now()) {
                self.give_up();
                return false;
            }
            self.sleep();
        }
    }

    /// Looks at those of which there may be news, and forgets those that are decided.
    fn look(&mut self) {
        let (wanted, mark) = (self.wanted, self.mark);
        let mut services = std::mem::take(&mut self.services);
        services.retain_mut(|service| match service.news(wanted, mark) {
            Some(Found::There) => false,
            Some(Found::Never(why)) => {
                self.complain(&service.dir, &why);
                self.failed = true;
                false
            }
            Some(Found::NotYet(_)) | None => true,
        });
        self.services = services;
    }

    fn give_up(&self) {
        for service in &self.services {
            let why = match service.find(self.wanted) {
                Found::NotYet(state) => text!("timed out, ", state.as_str()),
                Found::Never(why) => why,
                Found::There => text!("timed out"),
            };
            self.complain(&service.dir, &why);
        }
    }

    fn complain(&self, dir: &Path, why: &Text) {
        let unable = text!("unable to wait for ", dir, " to be ", self.wanted.name(), ": ", why.0.as_slice());
        self.voice.warn(&unable);
    }

    /// Sleeps until there is news.
    fn sleep(&mut self) {
        let timeout = self.deadlines().min().map(|deadline| now().until(deadline));
        let living: Vec<usize> = (0..self.services.len()).filter(|&at| self.services[at].orphan.is_none()).collect();
        let fifos: Vec<BorrowedFd<'_>> = living.iter().map(|&at| self.services[at].fd()).collect();
        let news = match &self.watcher {
            Some(watcher) => poll::readable_or_unread([watcher.fd()], &fifos, timeout),
            None => poll::readable_or_unread([], &fifos, timeout).map(|([], unread)| ([false], unread)),
        };
        let Ok(([changes], unread)) = news else {
            return poll::rest_for(LOOK);
        };
        for at in unread {
            let service = &mut self.services[living[at]];
            service.orphan = Some(now().after(SUCCESSION));
            service.look = true;
        }
        if changes {
            self.hear();
        }
    }

    fn deadlines(&self) -> impl Iterator<Item = Tick> {
        let soon = |pause| now().after(pause);
        let of_service = move |service: &Service| match (service.orphan, service.watch) {
            (Some(_), _) => Some(soon(LOOK_FOR_SUCCESSOR)),
            (None, None) => Some(soon(LOOK)),
            (None, Some(_)) => None,
        };
        self.services.iter().filter_map(of_service).chain(self.deadline)
    }

    /// Takes in which records were written.
    fn hear(&mut self) {
        let Some(changes) = self.watcher.as_ref().and_then(|watcher| watcher.changes().ok()) else {
            return;
        };
        let record = Path::new(names::STATUS).file_name();
        for change in changes {
            let (watch, all) = match change {
                // Letters, and the record that will take the place of this one.
                Change::Entry(_, name) if Some(&*name) != record => continue,
                Change::Entry(watch, _) | Change::Gone(watch) => (Some(watch), false),
                Change::Lost => (None, true),
            };
            for service in &mut self.services {
                service.look |= all || service.watch == watch;
            }
        }
    }
}

impl Service {
    fn fd(&self) -> BorrowedFd<'_> {
        self.fifo.as_fd()
    }

    /// `None` if nothing can have changed.
    fn news(&mut self, wanted: Wanted, mark: Mark) -> Option<Found> {
        if let Some(until) = self.orphan {
            if self.has_supervise() {
                self.orphan = None;
            } else if until <= now() {
                return Some(Found::Never(text!("supervise was killed, and none follows")));
            } else if !self.has_left() {
                return None;
            }
        } else if self.watch.is_some() && !std::mem::take(&mut self.look) {
            return None;
        }
        self.listen(mark);
        Some(self.find(wanted))
    }

    fn has_supervise(&self) -> bool {
        poll::readable_or_unread([], &[self.fd()], Some(0)).is_ok_and(|(_, unread)| unread.is_empty())
    }

    fn has_left(&self) -> bool {
        self.read().is_ok_and(|(_, more)| more.left)
    }

    /// Its record. That a supervise has left counts only while none is there: a new one may not have written its record yet.
    fn read(&self) -> Result<(Status, More), Text> {
        let (status, more) = self.record.read()?;
        Ok((status, More { left: more.left && self.orphan.is_some(), ..more }))
    }

    /// Looks for the mark. Where another client's has come, ours may have come before it unseen; where another supervise has, the one
    /// before may have taken it along. So it is sent again. By the time it comes back, what was sent before it is obeyed, or was lost
    /// with a supervise that had read it, and is not on its way any more.
    fn listen(&mut self, mark: Mark) {
        let Ok((_, more)) = self.read() else {
            return;
        };
        let seen = (more.supervise, more.mark);
        if more.mark == mark || more.left {
            self.unheard = false;
        } else if self.unheard && seen != self.seen && fd::write(self.fd(), &mark.bytes()).is_ok() {
            // One that has written its record but does not read its FIFO yet is asked when it does.
            self.seen = seen;
        }
    }

    fn find(&self, wanted: Wanted) -> Found {
        let (status, more) = match self.read() {
            Ok(record) => record,
            Err(why) => return Found::Never(why),
        };
        if self.unheard {
            return Found::NotYet("its supervise has not obeyed yet".to_owned());
        }
        match judge(wanted, self.commanded, &status, &more) {
            Verdict::There => Found::There,
            Verdict::NotYet => Found::NotYet(explain(wanted, &status, &more)),
            Verdict::Never if more.left => Found::Never(text!("supervise has left")),
            Verdict::Never => Found::Never(text!(explain(wanted, &status, &more).as_str())),
        }
    }
}

/// In which state it is, for a message, and why, where that is about what is waited for: that a service which is up was not replaced some
/// time ago matters to nobody else.
fn explain(wanted: Wanted, status: &Status, more: &More) -> String {
    let state = describe(status, more);
    match more.why().filter(|_| wanted == Wanted::Replaced || status.pid.is_none()) {
        Some(why) => format!("{state}, {why}"),
        None => state,
    }
}

/// The state alone.
fn describe(status: &Status, more: &More) -> String {
    match status.pid {
        None if status.want == svdir::Want::Up => "it is down and will be started".to_owned(),
        None => "it is down".to_owned(),
        Some(pid) if more.second.is_some_and(|second| second.role == Role::Starting) => {
            format!("it is up (pid {pid}) and its new copy is not ready")
        }
        Some(pid) if more.ending => format!("it is up (pid {pid}) and was told to end"),
        Some(pid) if more.declares && more.ready.is_none() => format!("it is up (pid {pid}) and not ready"),
        Some(pid) => format!("it is up (pid {pid})"),
    }
}

impl Record {
    /// That of the service whose directory is the current one.
    fn here() -> Result<Record, Text> {
        let directory = fd::open_here().map_err(|error| unable(&error))?;
        Ok(Record { directory, path: files::here(names::STATUS) })
    }

    /// What one of our supervises has written there. Others say too little.
    fn read(&self) -> Result<(Status, More), Text> {
        let file = match fd::open_read_at(self.directory.as_fd(), &*self.path) {
            Ok(file) => file,
            // Who reads commands will write it next.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Status::default(), More::default())),
            Err(error) => return Err(unable(&error)),
        };
        let mut record = [0; Status::WHOLE];
        let length = fd::read(file.as_fd(), &mut record).map_err(|error| unable(&error))?;
        match Status::decode_with(record.get(..length).unwrap_or_default()) {
            Ok((status, Some(more))) if length >= Status::WITH_SECOND => Ok((status, more)),
            Ok(_) | Err(_) => Err(text!("its supervise is of another suite or an older version")),
        }
    }
}

fn unable(error: &io::Error) -> Text {
    text!("unable to read ", names::STATUS, ": ", cli::reason(error).as_ref())
}
