//! Finds what supervise begins with: nothing, or what a killed supervise has left behind.

use std::ffi::OsStr;
use std::io;
use std::num::NonZeroU32;
use std::os::unix::fs::MetadataExt;

use anyhow::Context;
use cli::{Warnings, text};
use machine::supervise::{Knobs, Machine, Resumed};
use machine::{Pid, Tick};
use svdir::record::{Boot, Born, Observed, Process, Supervise, Text};
use svdir::{Command, Want, names};
use sys::adopted::Adopted;
use sys::{clock, fd, process};

use super::cgroup;
use super::controls;
use super::knobs::{self, Presence};
use super::processes::{Known, Processes, process_of};
use super::readiness::{ReadyPipe, find_socket};
use super::voice::VOICE;
use crate::service::notify::NotifySocket;
use crate::service::{files, now, record, tick};

/// What supervise begins with.
pub struct Beginning {
    /// The machine, in the state in which the killed supervise has left it.
    pub machine: Machine,
    /// The processes that still live; nothing for those that have ended.
    pub processes: Processes,
    /// The notify socket of the service.
    pub notify: NotifySocket,
    /// The pid of the supervise that was killed; 0 if none was.
    pub predecessor: u32,
    /// The rest of the record, which is written again.
    pub told: Observed,
}

impl Beginning {
    /// Goes on from the record of the last supervise if that was killed, or has exited so that svscan ends and no svscan has heard of that; otherwise
    /// begins anew with `want`.
    ///
    /// # Errors
    /// If it cannot be found out whether a process that was left behind still lives, or if one lives that belongs to
    /// another service directory.
    #[inline(never)]
    pub fn find(dir: &OsStr, want: Want, said: &mut Warnings) -> anyhow::Result<Beginning> {
        let found = record::read_own();
        if record::may_be_left_behind(&found) {
            let unknown = io::Error::other("nothing here tells one boot from another");
            VOICE.warning(
                &text!("unable to take over ", dir, " from a supervise that was killed, starting anew"),
                &unknown,
            );
        }
        let Some(left) = record::left_for_init(&found).or_else(|| record::left_behind(found)) else {
            let main = Process { since: now(), ..Process::default() };
            let (machine, notify) = (Machine::new(want), NotifySocket::default());
            let told = Observed { main, ..Observed::default() };
            return Ok(Beginning { machine, processes: Processes::default(), notify, predecessor: 0, told });
        };
        let (decided, observed) = (&left.decided, &left.observed);
        let known = |pid: Option<NonZeroU32>, born: Born| {
            let adopted = pid.map(|pid| look_for(dir, pid, born)).transpose()?.flatten();
            anyhow::Ok(Known { adopted, ready: ReadyPipe::default() })
        };
        let mut processes = Processes {
            main: known(decided.main.map(|main| main.pid), observed.main.born)?,
            second: known(decided.second.map(|(_, second)| second.pid), observed.second.born)?,
            controls: [
                known(decided.controls[0].map(|control| control.pid), observed.controls[0])?.adopted,
                known(decided.controls[1].map(|control| control.pid), observed.controls[1])?.adopted,
            ],
            hook: known(decided.hook.map(|hook| hook.pid), observed.hook)?,
        };
        refuse_service_of_another(dir, observed.supervise.directory, &processes)?;
        let lives = processes.main.adopted.is_some() || processes.second.adopted.is_some();
        let name = observed.notify.some();
        let notify = if lives { find_socket(name, dir, said) } else { NotifySocket::default() };
        let present = Presence::default().look(None);
        let resumed = Resumed {
            last_start: last_start(observed.main.born),
            knobs: Knobs {
                controls: controls::find(Command::Replace, present, dir, said),
                ..knobs::for_successor(dir, decided, said)
            },
            checks: present.check,
            declares: present.declares(),
            health: if present.health { knobs::health_interval(dir, said) } else { 0 },
            patience: knobs::patience_for(decided, present, dir, said),
            heard: notify.is_open(),
            hook_limit: knobs::hook_limit_for(decided, dir, said),
            ours: false,
        };
        let machine = Machine::resume(tick(), decided, resumed);
        // The kernel has continued it if that supervise led a session, as below an init, and the service a process group of its own, which nobody could continue then.
        if let Some(main) = processes.main.adopted.as_ref().filter(|_| machine.main().is_some_and(|main| main.paused)) {
            // It may have ended since.
            let _ = main.kill(process::Signal::SIGSTOP);
        }
        let copies = [(machine.main(), observed.main.life), (machine.second(), observed.second.life)];
        let is_seen = |(copy, life): (Option<&_>, u32)| copy.is_none() || life != 0;
        if machine.overview().has_tree() && !(cgroup::is_there() && copies.into_iter().all(is_seen)) {
            VOICE.warn(&text!("unable to find all that ", dir, " leaves behind, since it was taken over"));
        }
        let copies = [
            (&mut processes.main, machine.main(), observed.main),
            (&mut processes.second, machine.second(), observed.second),
        ];
        for (known, copy, seen) in copies {
            let waits = copy.filter(|copy| known.adopted.is_some() && copy.declares && !copy.ready);
            if let Some(copy) = waits {
                known.ready = ReadyPipe::find(copy.pid, seen.ready_pipe, dir, said);
            }
        }
        let predecessor = left.observed.supervise.pid;
        Ok(Beginning { machine, processes, notify, predecessor, told: left.observed })
    }
}

/// Returns the device and inode number of the current directory, which is the service directory; zeros if they are
/// unknown.
fn here() -> (u64, u64) {
    std::fs::metadata(".").map_or((0, 0), |here| (here.dev(), here.ino()))
}

/// Fails if the files here belong to the service directory `owner`, not to this one, and one of its processes lives: a
/// copy of the service, or a script of it. Below a `SUPERVISEDIR`, `web:log` and `web/log` have the same directory for
/// their files. If the supervise of the other one was killed, its successor needs those files.
fn refuse_service_of_another(dir: &OsStr, owner: (u64, u64), processes: &Processes) -> anyhow::Result<()> {
    let Processes { main, second, hook, .. } = processes;
    let lives = [main, second, hook].into_iter().find_map(|known| known.adopted.as_ref());
    let Some(process) = lives.filter(|_| owner != (0, 0) && owner != here() && files::are_named_by_path()) else {
        return Ok(());
    };
    let why = format!(
        "it is that of another service, which runs as pid {} and whose path differs only by a colon; rename one of the two",
        process.pid()
    );
    Err(io::Error::other(why)).with_context(|| text!("unable to acquire ", files::shown(dir, names::LOCK).0.as_slice()))
}

/// Finds the process that a killed supervise has left behind; `None` if it has ended, or that cannot be told.
fn look_for(dir: &OsStr, pid: NonZeroU32, born: Born) -> anyhow::Result<Option<Adopted>> {
    match Adopted::find(process::Pid::from_raw(pid.get().cast_signed()), record::birth(born)) {
        Ok(Some(adopted)) => {
            log::info!("{}: taking over pid {pid}", dir.display());
            Ok(Some(adopted))
        }
        Ok(None) => Ok(None),
        // Without `/proc`, trying again would not help.
        Err(error) if error.raw_os_error() == Some(sys::ENOENT) => {
            let text = text!("unable to tell whether pid ", u64::from(pid.get()), " is still ", dir, ", starting anew");
            VOICE.warning(&text, &error);
            Ok(None)
        }
        Err(error) => Err(error).with_context(|| text!("unable to take over pid ", u64::from(pid.get()), " of ", dir)),
    }
}

/// Converts the time of birth of a process, which is in nanoseconds since the boot, to the clock of the machine.
pub fn last_start(born: Born) -> Option<Tick> {
    let ago = clock::since_boot().checked_sub(born.latest)?;
    tick().0.checked_sub(ago).map(Tick)
}

/// Returns what this supervise says about itself in every record. `log_pipe` is the pipe on stdout if that is the log
/// pipe: any other pipe on stdout must not be taken over.
pub fn who_we_are(log_pipe: Option<u64>) -> Supervise {
    Supervise {
        pid: process::own_pid().as_raw().unsigned_abs(),
        exited: false,
        boot: record::this_boot().unwrap_or(Boot::Namespace([0; 16])),
        stdin: fd::pipe_id(fd::stdin()).unwrap_or(0),
        stdout: log_pipe.unwrap_or(0),
        version: Text::new(env!("CARGO_PKG_VERSION").as_bytes()),
        directory: here(),
    }
}

/// Returns whether the second copy, which has this pid, lives and leads a process group. After its end another process
/// may have its pid.
pub fn leads_group(pid: Pid, second: &Known) -> bool {
    let leads = process::leads_group(process_of(pid));
    // This is asked after the question above: if the copy still lives, the answer was about the copy. A child of ours
    // keeps its pid until it is reaped.
    let lives = second.adopted.as_ref().is_none_or(|second| second.has_ended().is_ok_and(|ended| !ended));
    leads && lives
}

/// Finds the process `new`, if it belongs to the service whose process is, or was, `old`. A message of `user` cannot
/// make the process of another user that of the service, unless it descends from `old`.
///
/// # Errors
/// If it does not belong to the service, or has ended.
pub fn find_moved(notify: &NotifySocket, old: Pid, new: Pid, user: u32) -> io::Result<Adopted> {
    let gone = || io::Error::other("there is no such process");
    let found = Adopted::open(process_of(new))?.ok_or_else(gone)?;
    if !notify.may_follow(old, new, user) {
        return Err(io::Error::other("it is no process of the service"));
    }
    if found.has_ended()? { Err(gone()) } else { Ok(found) }
}
