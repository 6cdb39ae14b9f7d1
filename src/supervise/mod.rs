//! `supervise dir`: runs one service. The loop translates between the kernel and the machine, which decides.
//!
//! Once the loop runs, no error ends it: it warns once for each cause, and tries again when there is a reason to.

mod cgroup;
mod controls;
mod copies;
mod gate;
mod hold;
mod hooks;
mod kernel;
mod knobs;
mod leftovers;
mod name;
mod neighbours;
mod notices;
mod processes;
mod readiness;
mod say;
mod sockets;
mod start;
mod store;
mod supervisor;
mod system;
mod takeover;
mod tally;
mod tree;
mod upgrade;
mod voice;
#[cfg(test)]
mod worlds;

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use anyhow::Context;
use cli::{Call, Usage, Warnings, text};
use machine::supervise::{Knobs, Machine, Resumed};
use svdir::record::handover::Key;
use svdir::record::{Observed, Process, Record, Supervise};
use svdir::{Command, Want, names};
use sys::adopted::Adopted;
use sys::process;
use sys::signals::Signals;
use sys::{environ, fd, signals};

use copies::Provisions;
use hold::Hold;
use kernel::WATCHED;
use knobs::Presence;
use leftovers::Children;
use neighbours::Neighbours;
use notices::Notices;
use processes::{Known, Processes};
use readiness::ReadyPipe;
use sockets::Sockets;
use store::Store;
use supervisor::Supervisor;
use system::System;
use takeover::{Beginning, last_start, who_we_are};
use upgrade::{Inherited, unable};
use voice::{PROGRAM, VOICE};

use crate::service::notify::NotifySocket;
use crate::service::successor::{self, Received, Successor};
use crate::service::{BELOW_INIT, BELOW_SVSCAN, LAST_RUN, be_spared, keep_to_ourselves, record, tick};

/// The program.
pub fn main(call: Call) -> i32 {
    PROGRAM.run(&call, run)
}

fn run(call: &Call) -> anyhow::Result<u8> {
    // If a standard descriptor were closed, a file that is opened later would get its number. It would then be written
    // to as stdout or stderr, and an upgrade could not hand it over.
    fd::reserve_standard().context(text!("unable to open /"))?;
    cli::init_log(PROGRAM.name);
    // A write to stderr must not end supervise, even if it has no reader or exceeds the limit on file sizes.
    signals::survive_writes();
    // Nor may it block, if the reader does not read.
    cli::write_errors_with(sys::fd::write_stderr_at_once);
    keep_to_ourselves();
    record::hear_boot();
    let received = successor::received(call);
    if let Received::Question(call, state) = &received {
        // Older releases ask without the words of the call.
        let is_callable = call.words().is_empty() || directory(call).is_ok();
        return Ok(successor::answer(is_callable && upgrade::is_understood(state)));
    }
    let dir = directory(call)?;
    let successor = Successor::new(call, VOICE, text!(dir));
    let mut supervisor = match received {
        Received::State(state) => go_on(dir, successor, &state)?,
        Received::Nothing | Received::Question(..) => {
            let mut supervisor = open(dir, successor)?;
            be_spared(None);
            supervisor.begin();
            supervisor
        }
    };
    while !supervisor.done {
        supervisor.turn();
    }
    Ok(0)
}

fn directory(call: &Call) -> Result<&'static OsStr, Usage> {
    match call.words() {
        [dir] => Ok(dir),
        _ => Err(Usage),
    }
}

/// Enters the service directory and takes hold of it.
///
/// Here and in [`go_on`] the supervisor is made on the heap: to move it on the stack would touch stack pages, which
/// would belong to the process for the rest of its life.
#[inline(never)]
fn open(dir: &OsStr, successor: Successor) -> anyhow::Result<Box<Supervisor<'_, System<'_>>>> {
    let signals = catch_signals(dir, None)?;
    let neighbours = Neighbours::of(dir);
    std::env::set_current_dir(dir).with_context(|| text!("unable to chdir to ", dir))?;
    let want = first_want().with_context(|| text!("unable to stat ", dir, "/", names::DOWN))?;
    let [last_run, below_init] = [LAST_RUN, BELOW_INIT].map(|name| environ::take(name).is_some());
    let log_pipe = log_pipe();
    let (us, mut said, mut begin) = (who_we_are(log_pipe), Warnings::new(VOICE), None);
    // The first record is written before the FIFO `ok` is made, by which clients find a supervise.
    let hold = Hold::take(dir, &mut said, |said| {
        let mut found = Beginning::find(dir, want, said)?;
        if last_run {
            found.machine.make_last_run();
        }
        found.machine.know_init(below_init);
        found.told = Observed { supervise: us, notify: readiness::recorded(&found.notify), ..found.told };
        let record = Record { decided: found.machine.decided(), observed: found.told };
        begin = Some(found);
        Ok(record)
    })?;
    let Beginning { machine, processes, notify, predecessor, told } = begin.context("nothing was announced")?;
    let log_pipe = log_pipe.and_then(|_| fd::reopen_for_reading(fd::stdout()).ok());
    // The second copy of a service that is being replaced has the sockets too.
    let copy = processes.main.adopted.as_ref().or(processes.second.adopted.as_ref());
    let sockets = match copy.filter(|_| Path::new(names::SOCKETS).exists()) {
        Some(process) => Sockets::adopt(process, dir, &mut said),
        None => Sockets::default(),
    };
    let children = Children::resume(&machine, &told);
    let copies = [&processes.main, &processes.second].map(|known| known.adopted.as_ref());
    let store = if predecessor == 0 { Store::default() } else { Store::adopt(copies, predecessor, dir, &mut said) };
    Ok(Box::new(Supervisor {
        dir,
        machine,
        events: VecDeque::new(),
        told,
        ended: [None; WATCHED],
        kernel: System {
            dir,
            processes,
            children,
            log_pipe,
            notices: Notices::default(),
            provisions: Provisions { presence: Presence::default(), notify, sockets, store },
            neighbours,
            gate: None,
            signals,
            hold,
            successor,
            deep: true,
        },
        renew: None,
        deaf: None,
        said,
        done: false,
    }))
}

/// Goes on after an upgrade, from the state that the old program has handed over.
#[inline(never)]
fn go_on<'a>(dir: &'a OsStr, successor: Successor, state: &[u8]) -> anyhow::Result<Box<Supervisor<'a, System<'a>>>> {
    let handover = upgrade::decode(dir, state)?;
    let Record { decided, observed } = handover.record;
    be_spared(handover.oom);
    let inherited = Inherited::of(&handover).with_context(|| unable(dir))?;
    let pipe = inherited.take(Key::SIGNALS).zip(inherited.take(Key::SIGNALS_WRITER));
    let signals = catch_signals(dir, pipe)?;
    let mut said = Warnings::new(VOICE);
    let hold = Hold::inherit(&inherited).with_context(|| unable(dir))?;
    let adopted = |pid: Option<std::num::NonZeroU32>, born, key| {
        let process = inherited.take(key).zip(pid).map(|(fd, pid)| {
            Adopted::inherit(fd, process::Pid::from_raw(pid.get().cast_signed()), record::birth(born))
        });
        process.transpose()
    };
    let known = |pid, seen: Process, key, ready| {
        let ready = ReadyPipe::inherit(inherited.take(ready));
        io::Result::Ok(Known { adopted: adopted(pid, seen.born, key)?, ready })
    };
    let (main, second) = (decided.main.map(|main| main.pid), decided.second.map(|(_, second)| second.pid));
    let control = |place: usize| {
        adopted(decided.controls[place].map(|control| control.pid), observed.controls[place], Key::CONTROLS[place])
    };
    let controls = control(0).and_then(|first| Ok([first, control(1)?]));
    let hook = adopted(decided.hook.map(|hook| hook.pid), observed.hook, Key::HOOK);
    let processes = Processes {
        main: known(main, observed.main, Key::MAIN, Key::MAIN_READY).with_context(|| unable(dir))?,
        second: known(second, observed.second, Key::SECOND, Key::SECOND_READY).with_context(|| unable(dir))?,
        controls: controls.with_context(|| unable(dir))?,
        hook: Known { adopted: hook.with_context(|| unable(dir))?, ready: ReadyPipe::default() },
    };
    let notify = inherited.take(Key::NOTIFY).map(NotifySocket::inherit).transpose().map(Option::unwrap_or_default);
    let notify = upgrade::without(notify, "the notify socket", dir, &mut said);
    let present = Presence::default().look(hold.directory());
    let resumed = Resumed {
        last_start: last_start(observed.main.born),
        knobs: Knobs {
            controls: controls::find(Command::Replace, present, dir, &mut said),
            ..knobs::for_successor(dir, &decided, &mut said)
        },
        checks: present.check,
        declares: present.declares(),
        health: if present.health { knobs::health_interval(dir, &mut said) } else { 0 },
        patience: knobs::patience_for(&decided, present, dir, &mut said),
        heard: notify.is_open(),
        hook_limit: knobs::hook_limit_for(&decided, dir, &mut said),
        ours: true,
    };
    let mut machine = Machine::resume(tick(), &decided, resumed);
    // An older release has left it there.
    if environ::take(BELOW_INIT).is_some() {
        machine.know_init(true);
    }
    let children = Children::resume(&machine, &observed);
    let store = Store::inherit(&handover.stored, present.fd_store, dir, &mut said).with_context(|| unable(dir))?;
    let mut supervisor = Box::new(Supervisor {
        dir,
        machine,
        events: VecDeque::new(),
        told: Observed {
            supervise: Supervise {
                version: who_we_are(None).version,
                directory: who_we_are(None).directory,
                boot: record::this_boot().unwrap_or(observed.supervise.boot),
                ..observed.supervise
            },
            ..observed
        },
        ended: [None; WATCHED],
        kernel: System {
            dir,
            processes,
            children,
            log_pipe: inherited.take(Key::LOG_PIPE),
            notices: Notices::default(),
            provisions: Provisions {
                presence: Presence::default(),
                notify,
                sockets: Sockets::inherit(&handover.sockets).with_context(|| unable(dir))?,
                store,
            },
            neighbours: Neighbours::inherit(inherited.take(Key::SCAN_DIRECTORY)),
            gate: None,
            signals,
            hold,
            successor,
            deep: true,
        },
        renew: None,
        deaf: None,
        said,
        done: false,
    });
    supervisor.go_on();
    Ok(supervisor)
}

/// Returns the inode number of the pipe on stdout if svscan has made that pipe for the logger of this service.
fn log_pipe() -> Option<u64> {
    environ::take(BELOW_SVSCAN)?;
    fd::pipe_id(fd::stdout())
}

fn catch_signals(dir: &OsStr, pipe: Option<(OwnedFd, OwnedFd)>) -> anyhow::Result<Signals> {
    let caught = [process::Signal::SIGCHLD];
    let signals = match pipe {
        Some(pipe) => Signals::catch_with(&caught, pipe),
        None => Signals::catch(&caught),
    };
    signals.with_context(|| text!("unable to create pipe for ", dir))
}

/// Returns what is wanted at first: up, unless there is a file `down`. A dangling link counts as no file.
fn first_want() -> io::Result<Want> {
    match std::fs::metadata(names::DOWN) {
        Ok(_) => Ok(Want::Down),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Want::Up),
        Err(error) => Err(error),
    }
}
