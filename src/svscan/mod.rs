//! `svscan [dir]`: starts a supervise for each service in the scan directory, and one for its logger, and keeps the log pipe
//! between the two open.
//!
//! The kernel reports new names (inotify) and dead children; while nothing happens, svscan does not wake up. If inotify is
//! not available, svscan looks every five seconds, as the original does. Once the loop runs, no error ends it.

mod arguments;
mod cgroup;
mod child;
mod copier;
mod dependencies;
mod directory;
mod end;
mod kernel;
mod leftovers;
mod lock;
mod looks;
mod mounts;
mod needs;
mod proofs;
mod scanner;
mod services;
mod start;
mod state;
mod stop;
mod subjects;
mod system;
mod upgrade;
#[cfg(test)]
mod worlds;

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;

use anyhow::Context;
use cli::{Call, Usage, text};
use sys::limits::Resource;
use sys::process::{self, Signal};
use sys::signals::Signals;
use sys::{environ, fd, limits, sealed, signals};

use arguments::{Arguments, PROGRAM, Place, VOICE};
use directory::ScanDirectory;
use kernel::Kernel;
use scanner::Scanner;
use upgrade::ScanState;

use crate::service::successor::{self, Received};
use crate::service::{BELOW_INIT, BELOW_SVSCAN, LAST_RUN, STOP, be_spared, files, keep_to_ourselves, record, scan_dir};

/// The program.
pub fn main(call: Call) -> i32 {
    PROGRAM.run(&call, run)
}

fn run(call: &Call) -> anyhow::Result<u8> {
    cli::init_log(PROGRAM.name);
    // No write kills svscan: neither to a supervise that has just exited, nor to a stderr without a reader or at the limit on file sizes.
    signals::survive_writes();
    // A slow reader of stderr does not block svscan.
    cli::write_errors_with(sys::fd::write_stderr_at_once);
    if let Some(name) = copier::received() {
        return copier::copy(&name);
    }
    let mut scanner = match successor::received(call) {
        Received::Question(call, state) => {
            let is_callable = Arguments::are_known(&call);
            return Ok(successor::answer(is_callable && ScanState::decode(&state).is_some()));
        }
        Received::State(state) => go_on(call, &Arguments::of(call)?, &state)?,
        Received::Nothing => begin(call)?,
    };
    scanner.rescan();
    loop {
        if scanner.act() {
            let code = scanner.code();
            end::end(scanner.system.signals(), scanner.halt());
            return Ok(code);
        }
        scanner.wait();
    }
}

/// Begins without a state from another svscan. The init of a machine (`--halt`) does not fail: it tries again.
fn begin(call: &Call) -> anyhow::Result<Scanner<Kernel>> {
    let arguments = Arguments::of(call)?;
    let machine = arguments.init.as_ref().is_some_and(|init| init.halt.is_some());
    // The name of the scan directory may be relative to this one.
    let home = if machine { fd::open_read(".").ok() } else { None };
    loop {
        match begin_in(call, &arguments) {
            Err(error) if machine => {
                PROGRAM.complain(call, &error);
                end::wait_to_begin_again();
                // If this fails, so does the next attempt, which says so.
                let _ = home.as_ref().map(|home| fd::change_directory(home.as_fd()));
            }
            done => return done,
        }
    }
}

/// Enters the scan directory, locks it, and sets up the loop.
fn begin_in(call: &Call, arguments: &Arguments) -> anyhow::Result<Scanner<Kernel>> {
    let dir = enter(&arguments.place)?;
    if let Some(name) = arguments.init.as_ref().and_then(|init| init.exit_with.as_deref()) {
        std::fs::metadata(name).with_context(|| text!("unable to find the service to end with, ", name))?;
    }
    if let Some(state) = &arguments.state {
        state::prepare(state)?;
        environ::set(files::VARIABLE, state.as_os_str());
    }
    fd::fill_standard().with_context(|| text!("unable to open /dev/null"))?;
    let directory = ScanDirectory::current().map_err(|error| {
        let busy = error.kind() == io::ErrorKind::WouldBlock;
        let text = text!("unable to lock ", dir, if busy { ", another svscan runs there" } else { "" });
        anyhow::Error::from(error).context(text)
    })?;
    be_spared(None);
    if arguments.cgroup {
        cgroup::enter();
    }
    let signals = Signals::catch(&caught(arguments)).with_context(|| text!("unable to create pipe"))?;
    // Nothing fails from here on: a second attempt would take the raised limit for the inherited one.
    let open_files = raise_open_files();
    prepare();
    let kernel = Kernel::new(call, arguments, directory, signals, open_files, None);
    Ok(Scanner::new(kernel, arguments))
}

/// Goes on from the state that the program before this one has handed over in this process.
fn go_on(call: &Call, arguments: &Arguments, state: &[u8]) -> anyhow::Result<Scanner<Kernel>> {
    let unable = || text!("unable to go on from what was handed over");
    let state = ScanState::decode(state).with_context(unable)?;
    let directory = ScanDirectory::inherit(state.lock).with_context(unable)?;
    be_spared(state.oom);
    if arguments.cgroup {
        cgroup::enter();
    }
    let lines = state.lines.map(sealed::inherit).transpose().with_context(unable)?;
    let signals = upgrade::catch_again(&caught(arguments), &state.descriptors);
    prepare();
    let kernel = Kernel::new(call, arguments, directory, signals, state.open_files, lines);
    let mut scanner = Scanner::new(kernel, arguments);
    scanner.go_on(state, arguments.prefix, copier::is_copier)?;
    Ok(scanner)
}

/// Does what every svscan does before it looks at services.
fn prepare() {
    // Another svscan may have set these for the supervise in whose service this svscan runs.
    [BELOW_SVSCAN, LAST_RUN, BELOW_INIT].into_iter().for_each(|name| drop(environ::take(name)));
    keep_to_ourselves();
    record::tell_boot();
    // These are services whose supervise was killed, and processes that services leave behind.
    process::adopt_orphans(true);
}

/// Returns the signals that svscan catches.
fn caught(arguments: &Arguments) -> Vec<Signal> {
    // An ignored HUP, as under nohup, stays ignored.
    let hup = (!signals::is_ignored(Signal::SIGHUP)).then_some(Signal::SIGHUP);
    let stop = arguments.init.iter().flat_map(|_| STOP);
    [Signal::SIGCHLD, Signal::SIGUSR2].into_iter().chain(hup).chain(stop).collect()
}

/// Makes the scan directory the current directory. Returns its name for messages.
fn enter(place: &Place) -> anyhow::Result<OsString> {
    let dir = match place {
        Place::Here => return Ok(".".into()),
        Place::Named(dir) => dir.clone(),
        Place::Default => default_directory()?,
    };
    std::env::set_current_dir(&dir).with_context(|| text!("unable to chdir to ", dir))?;
    Ok(dir)
}

/// Returns the scan directory of `--default`, where clients look for names. Makes it if it is missing.
fn default_directory() -> anyhow::Result<OsString> {
    let dir = scan_dir::directory().ok_or(Usage)?;
    if scan_dir::make(&dir).with_context(|| text!("unable to make ", dir))? {
        VOICE.say(&[&"made ", &dir]);
    }
    Ok(dir.into())
}

/// Raises the soft limit on open files to the hard limit, since each service with a logger takes two descriptors. Returns
/// the inherited soft limit if it was changed.
fn raise_open_files() -> Option<u64> {
    let limit = limits::get(Resource::RLIMIT_NOFILE).ok().filter(|limit| limit.soft < limit.hard)?;
    limits::set_soft(Resource::RLIMIT_NOFILE, limit.hard).ok()?;
    Some(limit.soft)
}
