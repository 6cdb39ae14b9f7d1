//! Everything that svlogd writes to: the engine's sink that writes to its log directories, to stderr and to addresses.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::AsFd;
use std::path::Path;

use sys::clock;
use sys::inode;
use sys::process::Signal;

use crate::age::Age;
use crate::alerts::Alerts;
use crate::log::{Current as _, Limits, Log};
use crate::patience::{GivenUp, Level, Manner, Patience, Report};
use crate::svlogd::current::Current;
use crate::svlogd::directory::{Directory, path};
use crate::svlogd::processing::Running;
use crate::svlogd::selection::{Selection, Selections};
use crate::{Engine, OpenError, Sink};

/// svlogd's manner.
const SVLOGD: Manner = Manner {
    signals: &[Signal::SIGTERM, Signal::SIGALRM, Signal::SIGHUP, Signal::SIGCHLD],
    pause: 3_000_000_000,
    level: Level::Pausing,
};

/// How long to wait before looking again for a directory that can be written to, in nanoseconds.
const NO_DIRECTORY: u64 = 5_000_000_000;

/// Prints messages.
#[derive(Clone, Copy)]
pub(crate) struct Teller {
    report: Report,
    verbose: bool,
}

impl Teller {
    /// Prints one that is made of pieces. What was done is only for those who want to know.
    pub fn say(self, level: Level, pieces: &[&[u8]], reason: Option<&io::Error>) {
        if level != Level::Info || self.verbose {
            (self.report)(level, &pieces.concat(), reason);
        }
    }
}

/// What the options say.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The paths of the log directories.
    pub paths: Vec<Vec<u8>>,
    /// The length of the stamp that each line gets, without the space behind it.
    pub stamp: Option<usize>,
    /// `-l`: how many bytes of a line are looked at.
    pub length: usize,
    /// `-v`: whether to say what is done.
    pub verbose: bool,
}

/// The open log directories, with the bytes that are not written yet.
pub struct Logs {
    settings: Settings,
    teller: Teller,
    start: File,
    logs: Vec<Option<Log<Current>>>,
    addresses: Vec<Option<SocketAddrV4>>,
    socket: Option<UdpSocket>,
    stderr: Alerts,
    patience: Patience,
    /// Whether a TERM was spoken of.
    told: bool,
    /// Whether anything was given up.
    given_up: bool,
}

impl Logs {
    /// Opens all directories, and makes those that do not exist. Those that cannot be opened are left out; a warning says so. Also returns what they take.
    ///
    /// # Errors
    /// [`OpenError`] if that fails for all of them, whichever they are.
    pub fn open(settings: Settings, report: Report) -> Result<(Logs, Selections), OpenError> {
        let failed = |what: &'static [u8]| OpenError::on(|| what.to_vec());
        let start = sys::fd::open_read(Path::new(".")).map_err(failed(b"unable to open current working directory"))?;
        let patience = Patience::new(&SVLOGD, report).map_err(failed(b"unable to catch signals"))?;
        let teller = Teller { report, verbose: settings.verbose };
        let (logs, stderr) = (Vec::new(), Alerts::new(true));
        let mut logs = Logs {
            settings,
            teller,
            start,
            logs,
            addresses: Vec::new(),
            socket: None,
            stderr,
            patience,
            told: false,
            given_up: false,
        };
        let selections = logs.open_all(Vec::new(), true)?;
        Ok((logs, selections))
    }

    /// Returns whether there is a directory that can be written to.
    pub fn any(&self) -> bool {
        self.logs.iter().any(Option::is_some)
    }

    /// The part that receives signals and waits.
    pub fn patience(&mut self) -> &mut Patience {
        &mut self.patience
    }

    /// How many bytes the log with the least room can take before it begins a new file.
    pub fn room(&self) -> u64 {
        self.logs.iter().flatten().map(Log::room).min().unwrap_or(u64::MAX)
    }

    /// Writes all complete lines. stderr comes last, since only there it may have to wait for a reader.
    pub fn flush(&mut self) {
        for log in self.logs.iter_mut().flatten() {
            log.flush(&mut self.patience);
        }
        self.stderr.flush(&mut self.patience);
    }

    /// Does what the signals ask for that have come. After a HUP, the engine gets new rules.
    pub fn obey(&mut self, engine: &mut Engine<Selections>) {
        let teller = self.teller;
        let told = |what: &[u8]| teller.say(Level::Info, &[what, b" received."], None);
        if self.patience.arrived(Signal::SIGCHLD) {
            told(b"sigchild");
            self.tend();
        }
        if self.patience.ending() && !std::mem::replace(&mut self.told, true) {
            told(b"sigterm");
        }
        if self.patience.rotation_wanted() {
            told(b"sigalarm");
            for log in self.logs.iter_mut().flatten() {
                log.rotate_if_any(&mut self.patience);
            }
        }
        if self.patience.arrived(Signal::SIGHUP) {
            told(b"sighangup");
            self.reopen(engine);
        }
    }

    /// Begins a new file in each log whose file has become too old, and starts processors that are to be started again. Returns after how many nanoseconds this is to
    /// be called again, if nothing happens before; `None` if there is nothing to wait for.
    pub fn expire(&mut self) -> Option<u64> {
        let (due, now) = (self.next()?, clock::monotonic());
        if due > now {
            return Some(due - now);
        }
        for log in self.logs.iter_mut().flatten() {
            if log.due().is_some_and(|due| due <= now) {
                log.expire(now, &mut self.patience);
            }
        }
        self.tend();
        Some(self.next()?.saturating_sub(clock::monotonic()))
    }

    fn next(&mut self) -> Option<u64> {
        let due = |log: &mut Log<Current>| [log.due(), log.current().due()].into_iter().flatten().min();
        self.logs.iter_mut().flatten().filter_map(due).min()
    }

    fn tend(&mut self) {
        for log in self.logs.iter_mut().flatten() {
            self.given_up |= log.current().tend(&mut self.patience).is_err();
        }
    }

    /// Writes the rest, waits for the processors, and marks each `current` as complete. Returns whether nothing was given up.
    pub fn close(mut self) -> bool {
        self.flush();
        for mut log in std::mem::take(&mut self.logs).into_iter().flatten() {
            self.given_up |= log.current().settle(&mut self.patience).is_err();
            self.close_log(log);
        }
        !self.given_up
    }

    fn close_log(&mut self, mut log: Log<Current>) -> Current {
        let shown = log.current().directory().text("close");
        self.teller.say(Level::Info, &[&shown], None);
        let (current, well) = log.close(&mut self.patience);
        self.given_up |= !well;
        current
    }

    /// Closes all directories and opens them again. Where there is none any more, it waits until there is one, or a TERM comes.
    fn reopen(&mut self, engine: &mut Engine<Selections>) {
        self.flush();
        let logs = std::mem::take(&mut self.logs);
        let mut held = logs.into_iter().flatten().map(|log| self.close_log(log)).collect();
        loop {
            match self.open_all(std::mem::take(&mut held), false) {
                Ok(selections) => engine.set_rules(selections),
                Err(_) => self.given_up = true,
            }
            if self.any() {
                return;
            }
            self.teller.say(Level::Warning, &[b"no functional log directories, trying again in 5 seconds."], None);
            if self.patience.pause(NO_DIRECTORY) {
                self.given_up = true;
                return;
            }
        }
    }

    /// Opens all directories. Those that are still there are `held`, with their locks and the processors that run there.
    fn open_all(&mut self, held: Vec<Current>, make: bool) -> Result<Selections, OpenError> {
        self.logs = self.settings.paths.iter().map(|_| None).collect();
        self.addresses = vec![None; self.logs.len()];
        let mut selections = vec![None; self.logs.len()];
        let paths = self.settings.paths.clone();
        let is_there = |start: &File, current: &Current, name: &[u8]| match current.directory().identity() {
            Ok(identity) => inode::at(start.as_fd(), path(name)).is_ok_and(|found| found == identity),
            Err(_) => false,
        };
        let mut kept = Vec::new();
        for mut current in held {
            if paths.iter().any(|name| is_there(&self.start, &current, name)) {
                kept.push(current);
            } else {
                self.given_up |= current.settle(&mut self.patience).is_err();
            }
        }
        for (number, name) in paths.iter().enumerate() {
            let before = kept.iter().position(|current| is_there(&self.start, current, name));
            let before = before.map(|at| kept.swap_remove(at).into_directory());
            let Some((log, selection)) = self.open_one(name, before, make)? else {
                continue;
            };
            self.logs[number] = Some(log);
            self.addresses[number] = selection.address;
            selections[number] = Some(selection);
        }
        let stamp = self.settings.stamp.map_or(0, |stamp| stamp + 1);
        Ok(Selections::new(stamp, self.settings.length, selections))
    }

    fn open_one(
        &mut self,
        name: &[u8],
        before: Option<(Directory, Option<Running>)>,
        make: bool,
    ) -> Result<Option<(Log<Current>, Selection)>, GivenUp> {
        let patience = &mut self.patience;
        patience.insist(
            || b"unable to change to initial working directory".to_vec(),
            || sys::fd::change_directory(self.start.as_fd()),
        )?;
        let (directory, running) = match before {
            Some((directory, running)) => {
                directory.enter("reopen", patience)?;
                (Some(directory), running)
            }
            None => (Directory::open(name, make, self.teller), None),
        };
        let Some(mut directory) = directory else {
            return Ok(None);
        };
        let config = directory.configure();
        let Some(current) = Current::open(directory, running, &config, patience)? else {
            return Ok(None);
        };
        let margin = self.settings.length as u64;
        let mut age = Age::of_periods(config.age);
        if current.written() > 0 {
            age.begin();
        }
        let size = if config.size == 0 { u64::MAX } else { config.size };
        Ok(Some((Log::new(current, Limits { size, margin, age }), config.selection)))
    }

    /// Sends a datagram.
    fn transmit(&mut self, address: SocketAddrV4, bytes: &[u8]) -> Result<(), &'static [u8]> {
        if self.socket.is_none() {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0));
            self.socket = socket.and_then(|socket| socket.set_nonblocking(true).map(|()| socket)).ok();
        }
        let socket = self.socket.as_ref().ok_or(&b"warning: no udp socket available: "[..])?;
        match socket.send_to(bytes, address) {
            Ok(count) if count == bytes.len() => Ok(()),
            Ok(_) | Err(_) => Err(b"warning: failure sending through udp: "),
        }
    }
}

impl Sink for Logs {
    fn stderr(&mut self, bytes: &[u8]) {
        if !self.stderr.has_room(bytes.len()) {
            self.flush();
        }
        self.stderr.put(bytes);
    }

    /// svlogd has no status files.
    fn status(&mut self, _: usize, _: &[u8]) {}

    fn log(&mut self, number: usize, bytes: &[u8]) {
        let full = |log: &Option<Log<Current>>| log.as_ref().is_some_and(|log| !log.has_room(bytes.len()));
        if self.logs.get(number).is_some_and(full) {
            // Flush all logs: this one may have to wait long for its disk.
            self.flush();
        }
        if let Some(Some(log)) = self.logs.get_mut(number) {
            log.put(bytes, &mut self.patience);
        }
    }

    fn send(&mut self, number: usize, pieces: &[&[u8]]) {
        let Some(Some(address)) = self.addresses.get(number).copied() else {
            return;
        };
        let line = pieces.concat();
        if let Err(warning) = self.transmit(address, &line) {
            self.log(number, warning);
            self.log(number, &line);
        }
    }
}
