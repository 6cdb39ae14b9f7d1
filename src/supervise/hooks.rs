//! Runs the scripts for which the service waits: `start`, `control/u`, `finish` and `stop`. They are run like `run`, but each in a process group of its own. The
//! arguments of `finish` say how `run` has ended; the others have none.

use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::unix::fs::PermissionsExt;

use cli::{Text, Warnings, text};
use machine::Pid;
use machine::supervise::{Event, Job, NotStarted, Programs, Slot, Start, hook};
use svdir::record::{self, Observed, Process, Record, Script};
use svdir::{Exit, names};

use super::copies::Scene;
use super::kernel::Outcome;
use super::knobs::{self, Present};
use super::name::{is_logger, name};
use super::start::{Failure, Made, Plan};
use crate::service::tick;

/// The first argument of `finish`, in place of an exit code, if `run` was ended by a signal, or it is unknown how it ended. As in s6.
const NO_CODE: u32 = 256;

const fn file(script: Script) -> &'static CStr {
    match script {
        Script::Start => c"./start",
        Script::Up => c"control/u",
        Script::Finish => c"./finish",
        Script::Stop => c"./stop",
    }
}

/// Finds out which programs of a start there are. Without `start`, `control/` and names of other services, it asks the system for nothing.
pub fn programs(present: Present, dir: &OsStr, said: &mut Warnings) -> Programs {
    let start = present.start && is_script(names::START, dir, said);
    let may_lack_run = start || (!present.start && present.names_others() && !is_logger(dir));
    Programs {
        start,
        up: present.control && is_script(names::CONTROL_UP, dir, said),
        run: !may_lack_run || std::fs::symlink_metadata(names::RUN).is_ok(),
    }
}

/// Returns whether this file of the current directory is a script that its owner may execute, as in daemontools-encore and runit. A warning tells of one that is not.
pub fn is_script(name: &'static str, dir: &OsStr, said: &mut Warnings) -> bool {
    let allowed = match std::fs::metadata(name) {
        Ok(file) if file.is_file() && file.permissions().mode() & 0o100 != 0 => Ok(true),
        Ok(_) => Err(io::Error::from_raw_os_error(sys::EACCES)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    };
    match allowed {
        // Whether it can be executed is seen when it is.
        Ok(true) => true,
        Ok(false) => {
            said.over(name);
            false
        }
        Err(error) => {
            said.warning(name, text!("unable to run ", dir, "/", name, ", going on without"), &error);
            false
        }
    }
}

/// Returns whether `log` is the logger of a service of daemontools-encore: an executable file.
pub fn has_encores_log() -> bool {
    std::fs::metadata(names::LOG).is_ok_and(|log| log.is_file() && log.permissions().mode() & 0o100 != 0)
}

/// Starts a script that comes before `run`. If it cannot be executed it ends at once, as one that fails. If there can be no process, or nobody would know of it, the start is
/// to be tried again.
#[inline(never)]
pub fn start_before(script: Script, scene: &mut Scene<'_>) -> Outcome {
    let limit = if script == Script::Up { Some(hook::CONTROL_LIMIT) } else { None };
    let made = match make(script, limit, scene) {
        Ok(made) => made,
        Err(error) => {
            let text = text!("unable to fork for ", scene.dir, ", sleeping 60 seconds");
            scene.said.warning("fork", text, &error);
            return not_started(Slot::Main, NotStarted::Fork);
        }
    };
    scene.said.over("fork");
    if let Err(why) = scene.note_record(&made) {
        return refused(&why);
    }
    if let Some(Failure::Exec(error)) = &made.failed {
        let next = if script == Script::Up { ", going on without" } else { "" };
        scene.said.warning(script.name(), text!("unable to run ", scene.dir, "/", script.name(), next), error);
    } else {
        scene.said.over(script.name());
    }
    started(script, &made, limit, scene)
}

/// Starts a script that comes after `run`: for `finish`, about the copy that has ended. If that fails, supervise warns and goes on without it.
#[inline(never)]
pub fn start_after(script: Script, scene: &mut Scene<'_>) -> Outcome {
    let slot = Slot::Job(Job::Hook(script));
    let name = script.name();
    if script == Script::Stop && !(scene.present.stop && is_script(name, scene.dir, scene.said)) {
        return not_started(slot, NotStarted::Gone);
    }
    let limit = knobs::finish_limit(scene.dir, scene.said);
    let made = make(script, limit, scene);
    made.iter().for_each(|made| scene.note_written(made));
    match made.and_then(Made::executed) {
        Ok(made) => {
            scene.said.over(name);
            started(script, &made, limit, scene)
        }
        Err(error) => {
            scene.said.warning(name, text!("unable to run ", scene.dir, "/", name, ", going on without"), &error);
            not_started(slot, NotStarted::Refused)
        }
    }
}

fn started(script: Script, made: &Made, limit: Option<u64>, scene: &Scene<'_>) -> Outcome {
    log::info!("{}: running {} as pid {}", scene.dir.display(), script.name(), made.pid.0);
    let event = Event::Started(Slot::Job(Job::Hook(script)), Start { limit, ..Start::plain(made.pid) });
    let seen = Process { born: made.born, ..Process::default() };
    Outcome { event, seen: Some(seen), why: record::Text::default() }
}

/// The outcome of a start of the service for which something is missing.
pub fn refused(Text(why): &Text) -> Outcome {
    Outcome { why: record::Text::new(why), ..not_started(Slot::Main, NotStarted::Refused) }
}

/// The outcome of a start that has made no process.
pub fn not_started(slot: Slot, why: NotStarted) -> Outcome {
    Outcome { event: Event::NotStarted(slot, why), seen: None, why: record::Text::default() }
}

fn make(script: Script, limit: Option<u64>, scene: &Scene<'_>) -> io::Result<Made> {
    let words = match script {
        Script::Finish => words(scene.machine.last_exit(), scene.machine.hook().group(), scene.dir),
        Script::Start | Script::Up | Script::Stop => Vec::new(),
    };
    let plan = Plan::new(file(script), &words, &[], &[]).map_err(io::Error::other)?.in_group();
    let (machine, at, announcer, observed) = (scene.machine, tick(), &*scene.announcer, scene.now.observed);
    let slot = Slot::Job(Job::Hook(script));
    plan.start(Some(&|pid, born| {
        let decided = machine.decided_once_started(at, slot, Start { limit, ..Start::plain(pid) });
        announcer.prepare(&Record { decided, observed: Observed { hook: born, ..observed } })
    }))
}

/// The arguments `CODE SIGNAL NAME [PGID]` of `finish`, as in s6.
fn words(exit: Option<Exit>, group: Option<Pid>, dir: &OsStr) -> Vec<CString> {
    let (code, signal) = match exit {
        Some(Exit::Code(code)) => (u32::from(code), 0),
        Some(Exit::Signal(signal)) => (NO_CODE, signal),
        Some(Exit::Unknown) | None => (NO_CODE, 0),
    };
    let first = [code.to_string().into_bytes(), signal.to_string().into_bytes(), name(dir)];
    let words = first.into_iter().chain(group.map(|Pid(group)| group.to_string().into_bytes()));
    words.map(|word| CString::new(word).unwrap_or_default()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_those_of_s6() {
        let words = |exit, group| {
            let words = words(exit, group, OsStr::new("web"));
            words.iter().map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(words(Some(Exit::Code(3)), None), "3 0 web");
        assert_eq!(words(Some(Exit::Signal(9)), Some(Pid(12))), "256 9 web 12");
        assert_eq!(words(Some(Exit::Unknown), None), "256 0 web");
    }
}
