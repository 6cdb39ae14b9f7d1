//! What is told of a service: an object, of which the fields that change by themselves come last.

use std::num::NonZeroU32;
use std::os::unix::ffi::OsStrExt;

use svdir::record::Role;
use svdir::{Exit, Want};
use tai::Label;

use crate::service::details::{Details, LastExit};
use crate::service::over;
use crate::service::summary::{State, Summary};
use crate::words::around::Logger;
use crate::words::clock::Clock;
use crate::words::whole::{Whole, path};

use super::text::Object;

/// The object about a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The object.
    pub text: String,
    /// So long is the part of it that is news when it changes: what a service uses changes always.
    pub stable: usize,
}

impl Line {
    /// The object about this service.
    pub fn of(whole: &Whole, clock: &mut Clock) -> Line {
        let Summary { state, since, pid, ready, starts, supervise, awaited, changed, why, .. } = &whole.row.summary;
        let details = whole.row.details.as_ref();
        let mut object = Object::default();
        object.text("name", whole.meant.name.as_bytes());
        object.text("path", path(&whole.meant.dir).as_bytes());
        object.text("state", state.word().as_bytes());
        if let Some(Details { want, normally_up, .. }) = details {
            object.text("want", word(*want).as_bytes());
            object.flag("normally_up", *normally_up);
            time(&mut object, "since", *since);
        }
        add_pid(&mut object, *pid);
        if let Some(ready) = ready {
            time(&mut object, "ready_since", *ready);
        }
        if let Some(starts) = starts {
            object.number("starts", *starts);
        }
        if let Some(last) = whole.last_exit() {
            object.object("last_exit", end(last));
        }
        if let Some(deaths) = &whole.deaths {
            let ends =
                deaths.iter().map(|death| LastExit { exit: death.exit, memory: death.memory, at: Some(death.at) });
            object.objects("deaths", ends.map(end));
        }
        if let Some(next) = details.and_then(|details| details.next_start) {
            time(&mut object, "next_start", clock.label(next));
        }
        if supervise.is_some() {
            object.texts("waiting_for", awaited.as_deref());
        }
        if let Some(needed_by) = &whole.needed_by {
            object.texts("needed_by", needed_by.iter().map(|name| name.as_bytes()));
        }
        if let Some(second) = details.and_then(|details| details.second) {
            let mut inner = Object::default();
            inner.number("pid", second.pid.get());
            inner.text("role", role(second.role).as_bytes());
            time(&mut inner, "since", second.since);
            object.object("second", inner);
        }
        if let Some((failures, first)) = details.and_then(|details| details.health) {
            let mut inner = Object::default();
            inner.number("failures", failures);
            time(&mut inner, "since", clock.label(first));
            object.object("health", inner);
        }
        if let Some((pid, version)) = supervise {
            let mut inner = Object::default();
            inner.number("pid", *pid);
            if !version.is_empty() {
                inner.text("version", version.as_bytes());
            }
            object.object("supervise", inner);
        }
        if let Some(logger) = &whole.logger {
            object.object("logger", about(logger));
        }
        if let Some(Details { is_paused, .. }) = details {
            object.flag("paused", *is_paused);
        }
        if !changed.is_empty() {
            object.texts("changed", changed.iter().map(|name| name.as_bytes()));
        }
        // These reasons count seconds, and the times that they count to or from are told.
        let counts = matches!(state, State::BackingOff | State::Unhealthy);
        let mut stable = object.length();
        if !why.is_empty() {
            object.text("why", why.as_bytes());
            stable = if counts { stable } else { object.length() };
        }
        if let Some(used) = &whole.row.used {
            object.millionths("cpu_seconds", used.processor);
            object.number("memory_bytes", used.memory);
            if let Some(processes) = used.processes {
                object.number("processes", processes as u64);
            }
        }
        Line { text: object.end(), stable }
    }

    /// The part that is news when it changes.
    pub fn news(&self) -> &str {
        &self.text[..self.stable]
    }
}

fn time(object: &mut Object, name: &str, label: Label) {
    object.text(name, &label.utc());
}

fn add_pid(object: &mut Object, pid: Option<NonZeroU32>) {
    if let Some(pid) = pid {
        object.number("pid", pid.get());
    }
}

const fn word(want: Want) -> &'static str {
    match want {
        Want::Up => "up",
        Want::Down => "down",
        Want::Once => "once",
    }
}

const fn role(role: Role) -> &'static str {
    match role {
        Role::Warming => "new",
        Role::EndingOld => "old",
        Role::EndingNew => "given up",
    }
}

/// An end of a service: when, and its exit code, its signal, or what else is known.
fn end(LastExit { exit, memory, at }: LastExit) -> Object {
    let mut object = Object::default();
    if let Some(at) = at {
        time(&mut object, "at", at);
    }
    match exit {
        Exit::Code(code) => object.number("code", code),
        Exit::Signal(_) => object.text("signal", over::ended_short(exit).trim_start_matches("signal ").as_bytes()),
        Exit::Unknown => object.text("cause", over::ended_short(exit).as_bytes()),
    }
    if memory {
        object.text("cause", over::NO_MEMORY.as_bytes());
    }
    object
}

fn about(logger: &Logger) -> Object {
    let mut object = Object::default();
    object.text("state", logger.state.word().as_bytes());
    add_pid(&mut object, logger.pid);
    if let Some(directory) = &logger.directory {
        object.text("directory", path(directory).as_bytes());
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_service_has_what_is_known_of_it() {
        let shown = |exit, memory| end(LastExit { exit, memory, at: None }).end();
        assert_eq!(shown(Exit::Code(3), false), r#"{"code":3}"#);
        assert_eq!(shown(Exit::Signal(11), false), r#"{"signal":"SEGV"}"#);
        assert_eq!(shown(Exit::Signal(40), false), r#"{"signal":"40"}"#);
        assert_eq!(shown(Exit::Signal(9), true), r#"{"signal":"KILL","cause":"no memory"}"#);
        assert_eq!(shown(Exit::Unknown, false), r#"{"cause":"unseen"}"#);
        assert!(
            !end(LastExit { exit: Exit::Code(0), memory: false, at: Some(Label::from_unix(1, 0)) }).end().is_empty()
        );
    }
}
