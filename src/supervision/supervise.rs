//! `supervise dir`: runs one service. The loop translates between the kernel and the machine that decides.
//!
//! Once the loop runs, no error ends it: what cannot be done is said once for each cause, and done again when there is
//! reason to.

use std::cell::Cell;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::num::NonZeroU32;
use std::os::fd::AsFd;
use std::path::Path;

use anyhow::Context;
use cli::{Call, Exit, Program, Voice, text};
use machine::supervise::{Action, Event, Machine, Signal};
use machine::{Pid, SECOND, Tick};
use svdir::{Born, Command, More, Status, Want, names};
use sys::adopted::{self, Adopted};
use sys::exec::Prepared;
use sys::process::{self, Change};
use sys::signals::Signals;
use sys::{clock, fd};
use tai::Label;

use super::said::Said;
use super::{record, tick};

const PROGRAM: Program = Program {
    name: "supervise",
    synopsis: "dir",
    usage: "supervise: usage: supervise dir",
    usage_exit: cli::USAGE,
    about: "Runs the service in dir: starts dir/run, and again whenever it ends.",
    options: &[("dir", "the service directory")],
};

const VOICE: Voice = PROGRAM.voice();

/// Command bytes are read this many at a time.
const BATCH: usize = 256;

/// A status file that could not be written is tried again this much later.
const REWRITE: u64 = 5 * SECOND;

/// The program.
pub fn main(call: Call) -> i32 {
    PROGRAM.run(&call, run)
}

fn run(call: &Call) -> anyhow::Result<u8> {
    let [dir] = call.words() else {
        return Err(cli::Usage.into());
    };
    cli::init_log(PROGRAM.name);
    let mut supervisor = Supervisor::open(dir)?;
    supervisor.begin();
    while !supervisor.done {
        supervisor.turn();
    }
    Ok(0)
}

struct Supervisor<'a> {
    /// As the operator typed it: for messages.
    dir: &'a OsStr,
    machine: Machine,
    since: Label,
    /// What stands in the record and is not decided: who we are, and when the service's process was born.
    more: More,
    /// The service's process, where it is not our child but our predecessor's.
    adopted: Option<Adopted>,
    /// When the status file, which could not be written, is tried again.
    rewrite: Option<Tick>,
    signals: Signals,
    control: File,
    /// Held: the control FIFO must keep a writer, or its reader would see the end of file.
    _control_writer: File,
    /// Held: whoever can open the other end knows that a supervise runs here.
    _ok: File,
    /// Held: nobody else can be supervise here. A child holds it too until it is `run`, so that nobody can be supervise
    /// here either while a child is not recorded yet.
    _lock: File,
    said: Said,
    done: bool,
}

impl<'a> Supervisor<'a> {
    /// Enters and takes the directory, in daemontools' order.
    fn open(dir: &'a OsStr) -> anyhow::Result<Supervisor<'a>> {
        let signals =
            Signals::catch(&[process::Signal::SIGCHLD]).with_context(|| text!("unable to create pipe for ", dir))?;
        std::env::set_current_dir(dir).with_context(|| text!("unable to chdir to ", dir))?;
        let want = first_want().with_context(|| text!("unable to stat ", dir, "/", names::DOWN))?;
        make_supervise_directory()?;
        let more = who_we_are();
        let lock = take_lock(more.boot).with_context(|| text!("unable to acquire ", dir, "/", names::LOCK))?;
        let _ = fd::make_fifo(Path::new(names::CONTROL));
        let unable = |verb, file| move || text!("unable to ", verb, " ", dir, "/", file);
        let control = fd::open_read(Path::new(names::CONTROL)).with_context(unable("read", names::CONTROL))?;
        let writer = fd::open_write(Path::new(names::CONTROL)).with_context(unable("write", names::CONTROL))?;
        require_fifo(&control).with_context(unable("read", names::CONTROL))?;
        let begin = Beginning::find(dir, want, &more)?;
        // The first status comes before the FIFO that says that there is one.
        let mut said = Said::new(VOICE);
        let more = More { born: begin.born, ..more };
        let rewrite = announce(dir, begin.machine.record(begin.since, more), &mut said);
        let _ = fd::make_fifo(Path::new(names::OK));
        let ok = fd::open_read(Path::new(names::OK)).with_context(unable("read", names::OK))?;
        require_fifo(&ok).with_context(unable("read", names::OK))?;
        Ok(Supervisor {
            dir,
            machine: begin.machine,
            since: begin.since,
            more,
            adopted: begin.adopted,
            rewrite,
            signals,
            control,
            _control_writer: writer,
            _ok: ok,
            _lock: lock,
            said,
            done: false,
        })
    }

    /// Starts the service, or finds it running or ended.
    fn begin(&mut self) {
        // A process that is up before the machine has begun is our predecessor's.
        let left_behind = self.machine.pid().filter(|_| self.adopted.is_none());
        self.step(Event::Begin);
        if let Some(pid) = left_behind {
            log::info!("{}: pid {} ended while nobody supervised it", self.dir.display(), pid.0);
            self.step(Event::Died(pid, svdir::Exit::Unknown));
        }
    }

    /// Waits for something to happen, and acts on all that has.
    fn turn(&mut self) {
        let deadline = [self.machine.deadline(), self.rewrite].into_iter().flatten().min();
        let timeout = self.signals.timeout(deadline.map(|deadline| tick().until(deadline)));
        let adopted = self.adopted.as_ref().map_or(self.signals.fd(), Adopted::fd);
        let [signals, control, ended] =
            match sys::poll::readable([self.signals.fd(), self.control.as_fd(), adopted], timeout) {
                Ok(readable) => readable,
                Err(error) => {
                    let text = text!("unable to wait for ", self.dir, ", trying again in a second");
                    self.said.warning("poll", text, &error);
                    sys::poll::rest();
                    [true; 3]
                }
            };
        if signals || self.signals.came() {
            self.signals.drain();
            self.reap();
        }
        if ended {
            self.see_end_of_adopted();
        }
        if self.machine.deadline().is_some_and(|deadline| deadline <= tick()) {
            self.step(Event::Timeout);
        }
        if self.rewrite.is_some_and(|deadline| deadline <= tick()) {
            self.announce();
        }
        if control {
            self.obey();
        }
    }

    fn reap(&mut self) {
        while let Some((pid, change)) = process::reap() {
            self.change(pid, change);
        }
    }

    fn change(&mut self, pid: process::Pid, change: Change) {
        let pid = Pid(pid.as_raw().unsigned_abs());
        log::info!("{}: pid {} {change}", self.dir.display(), pid.0);
        self.step(match change {
            Change::Exited(code) => Event::Died(pid, svdir::Exit::Code(code)),
            Change::Killed(signal) => Event::Died(pid, svdir::Exit::Signal(signal as u8)),
            Change::Stopped => Event::Stopped(pid),
            Change::Continued => Event::Continued(pid),
        });
    }

    /// Looks whether the process that is not our child has ended.
    fn see_end_of_adopted(&mut self) {
        let (Some(pid), Some(adopted)) = (self.machine.pid(), &self.adopted) else {
            return;
        };
        if !adopted.has_ended().unwrap_or(false) {
            return;
        }
        let exit = adopted.exit();
        self.adopted = None;
        match exit {
            Some(change) => self.change(process::Pid::from_raw(pid.0.cast_signed()), change),
            None => {
                log::info!("{}: pid {} ended", self.dir.display(), pid.0);
                self.step(Event::Died(pid, svdir::Exit::Unknown));
            }
        }
    }

    /// Obeys the commands that have come. Bytes that are none are ignored.
    fn obey(&mut self) {
        let mut batch = [0; BATCH];
        let count = match fd::read(self.control.as_fd(), &mut batch) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(error) => {
                return self.said.warning("control", text!("unable to read ", self.dir, "/", names::CONTROL), &error);
            }
        };
        for command in batch.iter().take(count).filter_map(|&byte| Command::from_letter(byte)) {
            if !self.done {
                log::debug!("{}: command {}", self.dir.display(), char::from(command.letter()));
                self.step(Event::Command(command));
            }
        }
    }

    /// Lets the machine decide, and does what it says.
    fn step(&mut self, event: Event) {
        for action in self.machine.step(tick(), event) {
            match action {
                Action::Spawn => self.spawn(),
                Action::Kill(pid, signal) => self.kill(pid, signal),
                Action::Stamp => self.since = now(),
                Action::Announce => self.announce(),
                Action::Quit => {
                    log::info!("{}: leaving", self.dir.display());
                    self.more.left = true;
                    self.announce();
                    self.done = true;
                }
            }
        }
    }

    /// Always the last action of its step, so the steps nest no deeper than this.
    ///
    /// The child writes its own record and then becomes `run`. Should we be killed meanwhile, our successor gets the lock, of
    /// which the child holds a copy, only when the record is there.
    fn spawn(&mut self) {
        let argv = [c"./run".to_owned()];
        let run = Prepared::new(&argv, None);
        let (machine, more, since, earliest) = (&self.machine, self.more, now(), clock::since_boot());
        let announced = Cell::new(None);
        let become_run = || {
            let born = Born { earliest, latest: clock::since_boot() };
            let pid = Pid(process::own_pid().as_raw().unsigned_abs());
            let written = record::write(&encode(machine.record_once_started(pid, since, More { born, ..more })));
            announced.set(Some((born, written.is_ok())));
            run.exec(c"./run")
        };
        let started = process::spawn(become_run, |error| {
            VOICE.fatal(&text!("unable to start ", self.dir, "/", names::RUN), &error);
        });
        match started {
            Ok(pid) => {
                log::info!("{}: started as pid {pid}", self.dir.display());
                // Where the child's memory is not ours, nothing is known of what it did.
                let (born, written) =
                    announced.get().unwrap_or((Born { earliest, latest: clock::since_boot() }, false));
                (self.since, self.more.born) = (since, born);
                self.said.over("fork");
                self.step(Event::Started(Pid(pid.as_raw().unsigned_abs())));
                if written {
                    self.note_announced();
                } else {
                    self.announce();
                }
            }
            Err(error) => {
                let text = text!("unable to fork for ", self.dir, ", sleeping 60 seconds");
                self.said.warning("fork", text, &error);
                self.step(Event::SpawnFailed);
            }
        }
    }

    /// A pid is that of a child which was not reaped, so it can be nobody else's.
    fn kill(&mut self, pid: Pid, signal: Signal) {
        let signal = match signal {
            Signal::Term => process::Signal::SIGTERM,
            Signal::Cont => process::Signal::SIGCONT,
            Signal::Stop => process::Signal::SIGSTOP,
            Signal::Hup => process::Signal::SIGHUP,
            Signal::Alarm => process::Signal::SIGALRM,
            Signal::Int => process::Signal::SIGINT,
            Signal::Kill => process::Signal::SIGKILL,
        };
        let sent = match &self.adopted {
            Some(adopted) => adopted.kill(signal),
            None => process::kill(process::Pid::from_raw(pid.0.cast_signed()), signal),
        };
        if let Err(error) = sent {
            self.said.warning("kill", text!("unable to signal ", self.dir), &error);
        }
    }

    fn announce(&mut self) {
        self.rewrite = announce(self.dir, self.machine.record(self.since, self.more), &mut self.said);
    }

    fn note_announced(&mut self) {
        self.said.over("status");
        self.rewrite = None;
    }
}

/// What supervise begins with.
struct Beginning {
    machine: Machine,
    since: Label,
    born: Born,
    adopted: Option<Adopted>,
}

impl Beginning {
    /// Where the last supervise was killed, goes on from its record; else begins anew with `want`.
    fn find(dir: &OsStr, want: Want, more: &More) -> anyhow::Result<Beginning> {
        let Some((status, left)) = record::left_behind(more.boot) else {
            let machine = Machine::new(want);
            return Ok(Beginning { machine, since: now(), born: Born::default(), adopted: None });
        };
        let adopted = match status.pid {
            Some(pid) => look_for(dir, pid, &left)?,
            None => None,
        };
        let machine = Machine::resume(&status, &left, last_start(left.born));
        Ok(Beginning { machine, since: status.since, born: left.born, adopted })
    }
}

/// The process that a killed supervise has left behind, if it lives.
fn look_for(dir: &OsStr, pid: NonZeroU32, left: &More) -> anyhow::Result<Option<Adopted>> {
    match Adopted::find(process::Pid::from_raw(pid.get().cast_signed()), record::birth(left)) {
        Ok(Some(adopted)) => {
            log::info!("{}: taking over pid {pid}", dir.display());
            Ok(Some(adopted))
        }
        Ok(None) => Ok(None),
        // Trying again would not help.
        Err(error) if matches!(error.raw_os_error(), Some(sys::ENOENT | sys::ENOSYS)) => {
            let text = text!("unable to tell whether pid ", u64::from(pid.get()), " is still ", dir, ", starting anew");
            VOICE.warning(&text, &error);
            Ok(None)
        }
        Err(error) => Err(error).with_context(|| text!("unable to take over pid ", u64::from(pid.get()), " of ", dir)),
    }
}

/// When a process that was born in this boot was started, on our clock.
fn last_start(born: Born) -> Option<Tick> {
    let ago = clock::since_boot().checked_sub(born.latest)?;
    tick().0.checked_sub(ago).map(Tick)
}

/// What stands in every record that this supervise writes.
fn who_we_are() -> More {
    More {
        supervise: process::own_pid().as_raw().unsigned_abs(),
        boot: adopted::boot_id().unwrap_or_default(),
        stdin: fd::pipe_id(fd::stdin()).unwrap_or(0),
        stdout: fd::pipe_id(fd::stdout()).unwrap_or(0),
        version: More::version_of(env!("CARGO_PKG_VERSION")),
        ..More::default()
    }
}

fn now() -> Label {
    let (seconds, nanos) = clock::wall();
    Label::from_unix(seconds, nanos)
}

/// Up, unless there is a `down`. A dangling link of that name is none.
fn first_want() -> io::Result<Want> {
    match std::fs::metadata(names::DOWN) {
        Ok(_) => Ok(Want::Down),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Want::Up),
        Err(error) => Err(error),
    }
}

/// Makes `supervise/`. If it is a link to nowhere, makes what it points to, as Debian's daemontools does; the two
/// messages that this can give are Debian's too.
fn make_supervise_directory() -> anyhow::Result<()> {
    const LONGEST_LINK: usize = 255;
    if make_private_directory(OsStr::new(names::SUPERVISE)).is_ok() {
        return Ok(());
    }
    let failed = match std::fs::read_link(names::SUPERVISE) {
        Ok(target) if target.as_os_str().len() <= LONGEST_LINK => {
            // Its failure shows when the lock cannot be made.
            let _ = make_private_directory(target.as_os_str());
            return Ok(());
        }
        Ok(_) => "unknown error".into(),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput) => return Ok(()),
        Err(error) => cli::reason(&error),
    };
    cli::print_error(format!("unable to readlink ./supervise: {failed}\n").as_bytes());
    Err(Exit(cli::TEMPORARY).into())
}

fn make_private_directory(path: &OsStr) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().mode(0o700).create(path)
}

/// Takes the lock. Where a supervise was killed while it started its service, the new process still holds a copy until it
/// has become `run`: that is waited for.
fn take_lock(boot: [u8; 16]) -> io::Result<File> {
    const TRIES: u32 = 100;
    let lock = fd::open_append(Path::new(names::LOCK))?;
    for _ in 0..TRIES {
        match fd::try_lock(&lock) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && supervise_was_killed(boot) => {
                sys::poll::rest_for(SECOND / 100);
            }
            done => return done.map(|()| lock),
        }
    }
    fd::try_lock(&lock).map(|()| lock)
}

fn supervise_was_killed(boot: [u8; 16]) -> bool {
    record::left_behind(boot)
        .is_some_and(|(_, left)| !adopted::lives(process::Pid::from_raw(left.supervise.cast_signed())))
}

/// Anything else in place of a FIFO could not wake the loop, or would never let it sleep.
fn require_fifo(file: &File) -> io::Result<()> {
    if fd::is_fifo(file)? { Ok(()) } else { Err(io::Error::other("not a FIFO")) }
}

/// Writes the status file. Failure is said and no more: the service matters, its status does not. Returns when it is tried again.
fn announce(dir: &OsStr, record: (Status, More), said: &mut Said) -> Option<Tick> {
    match record::write(&encode(record)) {
        Ok(()) => {
            said.over("status");
            None
        }
        Err(failure) => {
            let (text, error) = failure.told(dir);
            said.warning("status", text, &error);
            Some(tick().after(REWRITE))
        }
    }
}

fn encode((status, more): (Status, More)) -> record::Bytes {
    status.encode_with(&more)
}
