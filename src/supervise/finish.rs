//! Runs `finish`: its arguments say how `run` has ended; otherwise it is run like `run`.

use std::ffi::{CString, OsStr};
use std::io;

use cli::text;
use machine::Pid;
use machine::supervise::{Event, NotStarted, Slot, Start};
use svdir::record::{Observed, Process, Record, Text};
use svdir::{Exit, names};

use super::copies::Scene;
use super::kernel::Outcome;
use super::name::name;
use super::start::{Made, Plan};
use crate::service::tick;

/// The first argument, in place of an exit code, if `run` was ended by a signal, or it is unknown how it ended. As in
/// s6.
const NO_CODE: u32 = 256;

/// Starts `finish` for the copy that has ended. If that fails, supervise warns and goes on without it.
#[inline(never)]
pub fn start_finish(slot: Slot, scene: &mut Scene<'_>) -> Outcome {
    let (event, seen) = match try_to_start(slot, scene).and_then(Made::executed) {
        Ok(Made { pid, born, .. }) => {
            scene.said.over(names::FINISH);
            log::info!("{}: finishing as pid {}", scene.dir.display(), pid.0);
            (Event::Started(slot, Start::plain(pid)), Some(Process { born, ..Process::default() }))
        }
        Err(error) => {
            let text = text!("unable to run ", scene.dir, "/", names::FINISH, ", going on without");
            scene.said.warning(names::FINISH, text, &error);
            (Event::NotStarted(slot, NotStarted::Refused), None)
        }
    };
    Outcome { event, seen, why: Text::default() }
}

fn try_to_start(slot: Slot, scene: &mut Scene<'_>) -> io::Result<Made> {
    let words = words(scene.machine.last_exit(), scene.machine.finish().group(), scene.dir);
    let plan = Plan::new(c"./finish", &words, &[], &[]).map_err(io::Error::other)?.in_group();
    let (machine, at, announcer, observed) = (scene.machine, tick(), &*scene.announcer, scene.now.observed);
    let made = plan.start(Some(&|pid, born| {
        let decided = machine.decided_once_started(at, slot, Start::plain(pid));
        announcer.prepare(&Record { decided, observed: Observed { finish: born, ..observed } })
    }))?;
    scene.note_written(&made);
    Ok(made)
}

/// The arguments `CODE SIGNAL NAME [PGID]`, as in s6.
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
