//! `supervise dir`: runs one service. The loop translates between the kernel and the machine that decides.
//!
//! Once the loop runs, no error ends it: what cannot be done is said once for each cause, and done again when there is
//! reason to.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use anyhow::Context;
use cli::{Call, Exit, Program, Text, Voice, text};
use machine::Pid;
use machine::supervise::{Action, Event, Machine, Signal};
use svdir::{Command, Want, names};
use sys::exec::Prepared;
use sys::fd;
use sys::process::{self, Change};
use sys::signals::Signals;
use tai::Label;

use super::said::Said;
use super::tick;

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
    supervisor.step(Event::Begin);
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
    signals: Signals,
    control: File,
    /// Held: the control FIFO must keep a writer, or its reader would see the end of file.
    _control_writer: File,
    /// Held: whoever can open the other end knows that a supervise runs here.
    _ok: File,
    /// Held: nobody else can be supervise here.
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
        let lock = take_lock().with_context(|| text!("unable to acquire ", dir, "/", names::LOCK))?;
        let _ = fd::make_fifo(Path::new(names::CONTROL));
        let unable = |verb, file| move || text!("unable to ", verb, " ", dir, "/", file);
        let control = fd::open_read(Path::new(names::CONTROL)).with_context(unable("read", names::CONTROL))?;
        let writer = fd::open_write(Path::new(names::CONTROL)).with_context(unable("write", names::CONTROL))?;
        require_fifo(&control).with_context(unable("read", names::CONTROL))?;
        let (machine, mut said) = (Machine::new(want), Said::new(VOICE));
        let since = now();
        announce(dir, &machine, since, &mut said);
        let _ = fd::make_fifo(Path::new(names::OK));
        let ok = fd::open_read(Path::new(names::OK)).with_context(unable("read", names::OK))?;
        require_fifo(&ok).with_context(unable("read", names::OK))?;
        Ok(Supervisor {
            dir,
            machine,
            since,
            signals,
            control,
            _control_writer: writer,
            _ok: ok,
            _lock: lock,
            said,
            done: false,
        })
    }

    /// Waits for something to happen, and acts on all that has.
    fn turn(&mut self) {
        let timeout = self.machine.deadline().map(|deadline| tick().until(deadline));
        let [signals, control] = match sys::poll::readable([self.signals.fd(), self.control.as_fd()], timeout) {
            Ok(readable) => readable,
            Err(error) => {
                self.said.warning("poll", text!("unable to wait for ", self.dir, ", trying again in a second"), &error);
                sys::poll::rest();
                [true; 2]
            }
        };
        if signals {
            self.signals.drain();
            self.reap();
        }
        if self.machine.deadline().is_some_and(|deadline| deadline <= tick()) {
            self.step(Event::Timeout);
        }
        if control {
            self.obey();
        }
    }

    fn reap(&mut self) {
        while let Some((pid, change)) = process::reap() {
            let pid = Pid(pid.as_raw().unsigned_abs());
            log::info!("{}: pid {} {change}", self.dir.display(), pid.0);
            self.step(match change {
                Change::Exited(_) | Change::Killed(_) => Event::Died(pid),
                Change::Stopped => Event::Stopped(pid),
                Change::Continued => Event::Continued(pid),
            });
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
                    self.announce();
                    self.done = true;
                }
            }
        }
    }

    /// Always the last action of its step, so the steps nest no deeper than this.
    fn spawn(&mut self) {
        let dir = self.dir;
        let argv = [c"./run".to_owned()];
        let run = Prepared::new(&argv, None);
        match process::spawn(|| run.exec(c"./run"), |error| unable_to_start(dir, &error)) {
            Ok(pid) => {
                self.said.over("fork");
                log::info!("{}: started as pid {pid}", dir.display());
                self.step(Event::Started(Pid(pid.as_raw().unsigned_abs())));
            }
            Err(error) => {
                self.said.warning("fork", text!("unable to fork for ", dir, ", sleeping 60 seconds"), &error);
                self.step(Event::SpawnFailed);
            }
        }
    }

    /// The pid is that of a child which was not reaped, so it can be nobody else's.
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
        if let Err(error) = process::kill(process::Pid::from_raw(pid.0.cast_signed()), signal) {
            self.said.warning("kill", text!("unable to signal ", self.dir), &error);
        }
    }

    fn announce(&mut self) {
        announce(self.dir, &self.machine, self.since, &mut self.said);
    }
}

/// In a child that could not become `run`.
fn unable_to_start(dir: &OsStr, error: &io::Error) -> u8 {
    VOICE.fatal(&text!("unable to start ", dir, "/", names::RUN), error);
    cli::TEMPORARY
}

fn now() -> Label {
    let (seconds, nanos) = sys::clock::wall();
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

fn take_lock() -> io::Result<File> {
    let lock = fd::open_append(Path::new(names::LOCK))?;
    fd::try_lock(&lock)?;
    Ok(lock)
}

/// Anything else in place of a FIFO could not wake the loop, or would never let it sleep.
fn require_fifo(file: &File) -> io::Result<()> {
    if fd::is_fifo(file)? { Ok(()) } else { Err(io::Error::other("not a FIFO")) }
}

/// Writes the status file. Failure is said and no more: the service matters, its status does not.
fn announce(dir: &OsStr, machine: &Machine, since: Label, said: &mut Said) {
    match write_status(dir, machine, since) {
        Ok(()) => said.over("status"),
        Err((text, error)) => said.warning("status", text, &error),
    }
}

fn write_status(dir: &OsStr, machine: &Machine, since: Label) -> Result<(), (Text, io::Error)> {
    let new = |verb: &str, error| (text!("unable to ", verb, " ", dir, "/", names::STATUS_NEW), error);
    let record = machine.status(since).encode();
    let file = fd::open_truncate(Path::new(names::STATUS_NEW)).map_err(|error| new("open", error))?;
    match fd::write(file.as_fd(), &record) {
        Ok(count) if count == record.len() => {}
        Ok(_) => return Err(new("write", io::Error::other("partial write"))),
        Err(error) => return Err(new("write", error)),
    }
    drop(file);
    std::fs::rename(names::STATUS_NEW, names::STATUS)
        .map_err(|error| (text!("unable to rename ", dir, "/", names::STATUS_NEW, " to status"), error))
}
