//! The knobs of a service directory: files with one value each. They are read when they are needed, so a change applies
//! from the next command or start on. If a value is wrong, supervise warns once and uses the default.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{BorrowedFd, RawFd};
use std::time::{Duration, SystemTime};

use cli::{Text, Warnings, text};
use machine::supervise::restarts::Limit;
use machine::supervise::{Knobs, PATIENCE, Rules, WARM_UP, health, hook};
use svdir::record::{Decided, Script};
use svdir::{KillMode, names};
use sys::limits::{self, Resource};

use crate::service::knobs::{self, Knob};

/// The exit code by which a service of daemontools-encore says that it gives up.
pub const GIVEN_UP: u8 = 100;

/// The files that matter to a start or to the end of the service: which of them are there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Present {
    /// `notification-fd`
    pub notification_fd: bool,
    /// `sd-notify`
    pub sd_notify: bool,
    /// `watchdog`
    pub watchdog: bool,
    /// `check`
    pub check: bool,
    /// `timeout-ready`; false if nothing says when the service is ready, for then nobody looks.
    pub timeout_ready: bool,
    /// `sockets/`
    pub sockets: bool,
    /// `cgroup/`
    pub cgroup: bool,
    /// `max-death-tally`
    pub max_death_tally: bool,
    /// `health`
    pub health: bool,
    /// `finish`
    pub finish: bool,
    /// `final-exits`
    pub final_exits: bool,
    /// `backoff`
    pub backoff: bool,
    /// `max-restarts`
    pub max_restarts: bool,
    /// `kill-mode`
    pub kill_mode: bool,
    /// `flag-timeout-killpg`, of s6
    pub flag_timeout_killpg: bool,
    /// `flag-newpidns`, of s6
    pub flag_newpidns: bool,
    /// `fd-store`
    pub fd_store: bool,
    /// `start`
    pub start: bool,
    /// `stop`
    pub stop: bool,
    /// `notify`
    pub notify: bool,
    /// `control/`
    pub control: bool,
    /// `dependencies.d/`
    pub dependencies: bool,
    /// `wants.d/`
    pub wants: bool,
}

impl Present {
    /// Returns whether the service says in any way that it is ready.
    pub const fn declares(self) -> bool {
        self.notification_fd || self.sd_notify || self.check
    }

    /// Returns whether a start may have to wait for other services.
    pub const fn names_others(self) -> bool {
        self.dependencies || self.wants
    }

    /// Returns whether there is a file that daemontools-encore has and daemontools has not.
    pub const fn is_encores(self) -> bool {
        self.start || self.stop || self.notify
    }
}

/// Remembers which files are there, and looks again only if the directory has changed. So the end of a service and the
/// start that follows cost one system call together.
#[derive(Default)]
pub struct Presence {
    present: Present,
    /// When the directory was last changed, if that time can be relied on.
    changed: Option<SystemTime>,
    /// This turn of the loop has looked already.
    fresh: bool,
}

impl Presence {
    /// Two changes within this time may leave the same time of change: file systems count in ticks of the kernel, in
    /// seconds, or in steps of two seconds.
    const BLUR: Duration = Duration::from_secs(3);

    /// What is looked for.
    const NAMES: [&str; 23] = [
        names::NOTIFICATION_FD,
        names::SD_NOTIFY,
        names::WATCHDOG,
        names::CHECK,
        names::SOCKETS,
        names::CGROUP,
        names::MAX_DEATH_TALLY,
        names::HEALTH,
        names::FINISH,
        names::FINAL_EXITS,
        names::BACKOFF,
        names::MAX_RESTARTS,
        names::KILL_MODE,
        names::FLAG_TIMEOUT_KILLPG,
        names::FLAG_NEWPIDNS,
        names::FD_STORE,
        names::START,
        names::STOP,
        names::NOTIFY_SCRIPT,
        names::CONTROL_SCRIPTS,
        names::DEPENDENCIES,
        names::WANTS,
        names::TIMEOUT_READY,
    ];

    /// Looks which files the current directory has. `directory` is that directory, if it is open. It is not opened here: to close it would take away the mark on it.
    pub fn look(&mut self, directory: Option<BorrowedFd<'_>>) -> Present {
        if std::mem::replace(&mut self.fresh, true) {
            return self.present;
        }
        let changed = std::fs::metadata(".").and_then(|directory| directory.modified()).ok();
        if changed.is_none() || changed != self.changed {
            let listed = directory.and_then(|directory| sys::names::among(directory, Presence::NAMES));
            // One that is listed may be a link that leads nowhere. Where nothing is listed, each is looked for.
            let may_be_there = |name| {
                let place = Presence::NAMES.iter().position(|&known| known == name);
                place.zip(listed).is_none_or(|(place, listed)| listed[place])
            };
            let mut links = false;
            let mut there = |name| {
                if !may_be_there(name) {
                    return false;
                }
                let found = std::fs::symlink_metadata(name);
                let is_link = found.as_ref().is_ok_and(|entry| entry.is_symlink());
                links |= is_link;
                // A file that cannot be reached is there: to read it says why.
                let is_missing = |error: io::Error| error.kind() == io::ErrorKind::NotFound;
                if is_link { !std::fs::metadata(name).is_err_and(is_missing) } else { found.is_ok() }
            };
            // What asks for isolation, or for another service, and cannot be read must not be taken for absent.
            let asked = |name| {
                may_be_there(name)
                    && std::fs::symlink_metadata(name)
                        .map_or_else(|error| error.kind() != io::ErrorKind::NotFound, |_| true)
            };
            let mut present = Present {
                notification_fd: there(names::NOTIFICATION_FD),
                sd_notify: there(names::SD_NOTIFY),
                watchdog: there(names::WATCHDOG),
                check: there(names::CHECK),
                timeout_ready: false,
                sockets: there(names::SOCKETS),
                cgroup: asked(names::CGROUP),
                max_death_tally: there(names::MAX_DEATH_TALLY),
                health: there(names::HEALTH),
                finish: there(names::FINISH),
                final_exits: there(names::FINAL_EXITS),
                backoff: there(names::BACKOFF),
                max_restarts: there(names::MAX_RESTARTS),
                kill_mode: asked(names::KILL_MODE),
                flag_timeout_killpg: asked(names::FLAG_TIMEOUT_KILLPG),
                flag_newpidns: asked(names::FLAG_NEWPIDNS),
                fd_store: there(names::FD_STORE),
                start: there(names::START),
                stop: there(names::STOP),
                notify: there(names::NOTIFY_SCRIPT),
                control: there(names::CONTROL_SCRIPTS),
                dependencies: asked(names::DEPENDENCIES),
                wants: there(names::WANTS),
            };
            present.timeout_ready = present.declares() && there(names::TIMEOUT_READY);
            self.present = present;
            // The target of a link can come and go without a change of this directory.
            self.changed = changed
                .filter(|_| !links)
                .filter(|&changed| sys::clock::now().duration_since(changed).is_ok_and(|since| since > Presence::BLUR));
        }
        self.present
    }

    /// Notes that a new turn of the loop begins.
    pub const fn forget_turn(&mut self) {
        self.fresh = false;
    }
}

/// Reads the knobs about signals in the current directory, which messages call `dir`.
#[inline(never)]
pub fn signals(dir: &OsStr, said: &mut Warnings) -> Knobs {
    let default = Knobs::default();
    Knobs {
        down_signal: get(dir, &knobs::DOWN_SIGNAL, said).unwrap_or(default.down_signal),
        reload_signal: get(dir, &knobs::RELOAD_SIGNAL, said).unwrap_or(default.reload_signal),
        timeout_kill: get(dir, &knobs::TIMEOUT_KILL, said).filter(|&timeout| timeout > 0),
        patience: default.patience,
        warm_up: default.warm_up,
        controls: default.controls,
    }
}

/// Reads `notification-fd`: the descriptor on which the service says that it is ready; `None` if it cannot be used.
#[inline(never)]
pub fn notification_fd(dir: &OsStr, said: &mut Warnings) -> Option<RawFd> {
    let limit = limits::get(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |limit| limit.soft);
    let number = get(dir, &knobs::notification_fd(limit), said)?;
    // As in s6, this is allowed: a service without a log may want it.
    match ["stdout", "stderr"].get(number as usize - 1) {
        Some(place) => {
            let text = text!("using ", dir, "/", names::NOTIFICATION_FD);
            said.warning("place", text, &io::Error::other(format!("it takes the place of {place}")));
        }
        None => said.over("place"),
    }
    Some(number)
}

/// Reads `watchdog`: the interval in nanoseconds within which the service says that it is alive; 0 for no watchdog.
#[inline(never)]
pub fn watchdog(dir: &OsStr, said: &mut Warnings) -> u64 {
    get(dir, &knobs::WATCHDOG, said).unwrap_or(0)
}

/// Reads `timeout-ready`: how long a copy that says when it is ready may take for that, in nanoseconds; 0 for no limit.
fn timeout_ready(dir: &OsStr, said: &mut Warnings) -> u64 {
    get(dir, &knobs::TIMEOUT_READY, said).unwrap_or(PATIENCE)
}

/// How long a copy that is started as the main one, or may become that, may take to get ready, in nanoseconds; 0 for no limit. There is one only where
/// the directory has the file.
#[inline(never)]
pub fn patience(present: Present, dir: &OsStr, said: &mut Warnings) -> u64 {
    if present.timeout_ready { timeout_ready(dir, said) } else { 0 }
}

/// How long a copy that was left behind may take to get ready, in nanoseconds; 0 for no limit. Reads the file only if there is a copy that is held
/// to it.
pub fn patience_for(left: &Decided, present: Present, dir: &OsStr, said: &mut Warnings) -> u64 {
    let copies = [left.main, left.second.map(|(_, second)| second)];
    if copies.into_iter().flatten().any(|copy| copy.awaited) { patience(present, dir, said) } else { 0 }
}

/// Reads `fd-store`: how many descriptors are kept for the service; 0 if there is no such file, or it cannot be used.
#[inline(never)]
pub fn fd_store(dir: &OsStr, said: &mut Warnings) -> usize {
    get(dir, &knobs::FD_STORE, said).unwrap_or(0)
}

/// Reads the knobs for a replacement: those of [`signals`], and how a new copy gets ready.
#[inline(never)]
pub fn for_replacing(dir: &OsStr, said: &mut Warnings) -> Knobs {
    let limit = timeout_ready(dir, said);
    let warm_up = get(dir, &knobs::WARMUP, said).unwrap_or(WARM_UP);
    Knobs { patience: (limit > 0).then_some(limit), warm_up, ..signals(dir, said) }
}

/// Reads `health-interval`: how long after one run of `health` the next one comes, in nanoseconds.
pub fn health_interval(dir: &OsStr, said: &mut Warnings) -> u64 {
    get(dir, &knobs::HEALTH_INTERVAL, said).unwrap_or(health::INTERVAL)
}

/// Reads what the current directory says about the runs of `health`.
#[inline(never)]
pub fn health(dir: &OsStr, said: &mut Warnings) -> health::Settings {
    let fails = get(dir, &knobs::HEALTH_FAILS, said).unwrap_or(health::FAILS);
    health::Settings { interval: health_interval(dir, said), fails }
}

/// Reads what the current directory says about the end of the service. `present` are the files that it has: only these
/// are opened. `gives_up` is whether exit code 100 is final, as in daemontools-encore.
#[inline(never)]
pub fn rules(present: Present, gives_up: bool, dir: &OsStr, said: &mut Warnings) -> Rules {
    let listed = get_if(present.final_exits, dir, &knobs::FINAL_EXITS, said).unwrap_or_default();
    let backoff = get_if(present.backoff, dir, &knobs::BACKOFF, said);
    Rules {
        tally: get_if(present.max_death_tally, dir, &knobs::MAX_DEATH_TALLY, said).unwrap_or(0),
        finish: present.finish,
        finals: if gives_up { listed.and(GIVEN_UP) } else { listed },
        backoff,
        restarts: max_restarts(present, backoff, dir, said),
        signals: None,
    }
}

/// Returns whether there is a file `essential`. A dangling link counts as no file.
#[inline(never)]
pub fn is_essential(dir: &OsStr, said: &mut Warnings) -> bool {
    match std::fs::metadata(names::ESSENTIAL) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            said.warning(names::ESSENTIAL, text!("unable to stat ", dir, "/", names::ESSENTIAL), &error);
            false
        }
        found => {
            said.over(names::ESSENTIAL);
            found.is_ok()
        }
    }
}

/// Reads `max-restarts`: how often the service may end. Warns if that limit can never be reached.
fn max_restarts(present: Present, backoff: Option<u64>, dir: &OsStr, said: &mut Warnings) -> Option<Limit> {
    let limit = get_if(present.max_restarts, dir, &knobs::MAX_RESTARTS, said);
    match limit.and_then(|limit| knobs::never_reached(limit, backoff)) {
        Some(never) => {
            let text = text!("using ", dir, "/", names::MAX_RESTARTS);
            said.warning("never reached", text, &io::Error::other(never));
        }
        None => said.over("never reached"),
    }
    limit
}

/// Reads `timeout-finish`: how long `finish` or `stop` may take, in nanoseconds; `None` for no limit.
#[inline(never)]
pub fn finish_limit(dir: &OsStr, said: &mut Warnings) -> Option<u64> {
    let limit = get(dir, &knobs::TIMEOUT_FINISH, said).unwrap_or(hook::LIMIT);
    (limit > 0).then_some(limit)
}

/// How long the script may take that was left behind, and for which the service waits, in nanoseconds; `None` for no
/// limit. Reads the file only if there is one about which it says something.
pub fn hook_limit_for(left: &Decided, dir: &OsStr, said: &mut Warnings) -> Option<u64> {
    match left.hook?.script {
        Script::Start => None,
        Script::Up => Some(hook::CONTROL_LIMIT),
        Script::Finish | Script::Stop => finish_limit(dir, said),
    }
}

/// Reads the knobs for a successor. It needs them only if a KILL or a replacement is pending, or what comes before `run` was told to end.
pub fn for_successor(dir: &OsStr, left: &Decided, said: &mut Warnings) -> Knobs {
    let is_kill_due = left.main.is_some_and(|main| main.kill_due);
    let is_told = left.hook.is_some_and(|hook| hook.told) || left.controls.iter().any(Option::is_some);
    if left.second.is_some() || left.service.replace_due {
        for_replacing(dir, said)
    } else if is_kill_due || is_told || left.leftovers.rests.into_iter().flatten().any(|rest| rest.kill_due) {
        signals(dir, said)
    } else {
        Knobs::default()
    }
}

/// Reads `kill-mode`: what of the service must have ended before it is started again.
///
/// # Errors
/// Why that cannot be known. Then the service is not started: it might run beside what an earlier life has left behind.
pub fn kill_mode(present: Present, dir: &OsStr, said: &mut Warnings) -> Result<KillMode, Text> {
    if !(present.kill_mode || present.flag_timeout_killpg || present.flag_newpidns) {
        said.over(names::KILL_MODE);
        return Ok(KillMode::Process);
    }
    let mode = read_kill_mode(present);
    match &mode {
        Ok(_) => said.over(names::KILL_MODE),
        Err(why) => {
            let why = io::Error::other(why.0.escape_ascii().to_string());
            said.warning(names::KILL_MODE, text!("unable to start ", dir), &why);
        }
    }
    mode
}

#[inline(never)]
fn read_kill_mode(present: Present) -> Result<KillMode, Text> {
    if present.flag_newpidns {
        return Err(knobs::no_pid_namespace().reason());
    }
    if !present.kill_mode {
        return Ok(KillMode::Mixed);
    }
    knobs::kill_mode().map_err(|wrong| wrong.reason())
}

/// Reads a knob like [`get`], but only if it `is_there`; otherwise it opens nothing.
fn get_if<T, P>(is_there: bool, dir: &OsStr, knob: &Knob<P>, said: &mut Warnings) -> Option<T>
where
    P: Fn(&[u8]) -> Result<T, &'static str>,
{
    if is_there {
        return get(dir, knob, said);
    }
    said.over(knob.name);
    None
}

/// Reads a knob; `None` if there is no such file or its value cannot be used. In the second case a warning
/// names the default that is used instead.
fn get<T, P>(dir: &OsStr, knob: &Knob<P>, said: &mut Warnings) -> Option<T>
where
    P: Fn(&[u8]) -> Result<T, &'static str>,
{
    match knob.read() {
        Ok(value) => {
            said.over(knob.name);
            Some(value)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            said.over(knob.name);
            None
        }
        Err(error) => {
            said.warning(knob.name, text!("unable to use ", dir, "/", knob.name, ", taking ", knob.default), &error);
            None
        }
    }
}
