//! Runs the scripts of `control/`, as runit has them: they are asked before a signal is sent, or told of a command. They are run like `run`, without arguments, but each in a
//! process group of its own.

use std::ffi::OsStr;
use std::io;

use cli::{Warnings, text};
use machine::supervise::controls::Scripts;
use machine::supervise::{Event, Job, NotStarted, Slot, Start};
use svdir::record::{Observed, Process, Record, Text};
use svdir::{Command, names};

use super::copies::Scene;
use super::hooks::{is_script, not_started};
use super::kernel::Outcome;
use super::knobs::Present;
use super::start::{Made, Plan};
use crate::service::tick;

/// Finds out which scripts there are for this command. Without `control/`, it asks the system for nothing.
pub fn find(command: Command, present: Present, dir: &OsStr, said: &mut Warnings) -> Scripts {
    let there = |script: &Command| present.control && is_script(names::control_name(*script), dir, said);
    let found = Scripts::of(command).iter().copied().filter(there);
    found.fold(Scripts::default(), Scripts::with)
}

/// Starts the script. If that fails, supervise warns and goes on without it.
#[inline(never)]
pub fn start(script: Command, place: usize, scene: &mut Scene<'_>) -> Outcome {
    let (slot, name) = (Slot::Job(Job::Control(script, place)), names::control_name(script));
    let made = make(script, place, scene);
    made.iter().for_each(|made| scene.note_written(made));
    match made.and_then(Made::executed) {
        Ok(made) => {
            scene.said.over(name);
            log::info!("{}: running {} as pid {}", scene.dir.display(), name, made.pid.0);
            let seen = Process { born: made.born, ..Process::default() };
            let event = Event::Started(slot, Start::plain(made.pid));
            Outcome { event, seen: Some(seen), why: Text::default() }
        }
        Err(error) => {
            let text = text!("unable to run ", scene.dir, "/", name, ", going on without");
            scene.said.warning(name, text, &error);
            not_started(slot, NotStarted::Refused)
        }
    }
}

fn make(script: Command, place: usize, scene: &Scene<'_>) -> io::Result<Made> {
    let plan = Plan::new(names::control(script), &[], &[], &[]).map_err(io::Error::other)?.in_group();
    let (machine, at, announcer, observed) = (scene.machine, tick(), &*scene.announcer, scene.now.observed);
    let slot = Slot::Job(Job::Control(script, place));
    plan.start(Some(&|pid, born| {
        let mut controls = observed.controls;
        controls.iter_mut().skip(place).take(1).for_each(|control| *control = born);
        let decided = machine.decided_once_started(at, slot, Start::plain(pid));
        announcer.prepare(&Record { decided, observed: Observed { controls, ..observed } })
    }))
}
