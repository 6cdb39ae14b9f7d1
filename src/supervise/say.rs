//! The messages of supervise about its service.

use std::ffi::OsStr;
use std::io;

use cli::{Text, Warnings, text};
use machine::Pid;
use machine::overlap::Why;
use machine::supervise::Say;
use svdir::record::Over;
use svdir::{Exit, KillMode, knob, names};

use super::voice::VOICE;
use crate::service::over;

/// The number of the signal by which the kernel kills for memory.
const KILL: u8 = 9;

/// Prints the message. `why` is the reason why the service cannot be started. If a replacement was given up, returns
/// the reason, for the record.
#[inline(never)]
pub fn say(dir: &OsStr, what: Say, why: &[u8]) -> Option<Text> {
    match what {
        Say::Hung(pid, Some(within)) => {
            let silence = format!(" has not told within {} that it is alive", knob::shown(within));
            VOICE.warn(&text!(dir, silence.as_str(), ", ending pid ", number(pid)));
            None
        }
        Say::Hung(pid, None) => {
            VOICE.warn(&text!(dir, " has told that it hangs", ", ending pid ", number(pid)));
            None
        }
        Say::Late(pid) => {
            VOICE.warn(&text!("unable to end ", dir, " in time, killing pid ", number(pid)));
            None
        }
        Say::LeftLate(_, KillMode::Tree) => {
            VOICE.warn(&text!("unable to end what ", dir, " has left behind in time, killing all of it"));
            None
        }
        Say::LeftLate(group, _) => {
            let late = " has left behind in time, killing process group ";
            VOICE.warn(&text!("unable to end what ", dir, late, number(group)));
            None
        }
        Say::HookLate(script, pid) => {
            VOICE.warn(&text!("unable to end ", dir, "/", script.name(), " in time, killing pid ", number(pid)));
            None
        }
        Say::ControlLate(script, pid) => {
            VOICE.warn(&text!(
                "unable to end ",
                dir,
                "/",
                names::control_name(script),
                " in time, killing pid ",
                number(pid)
            ));
            None
        }
        Say::Unasked(script) => {
            VOICE.warn(&text!(
                "not running ",
                dir,
                "/",
                names::control_name(script),
                ", since two others run, going on without"
            ));
            None
        }
        Say::Unhealthy(pid, fails) => {
            let row = if fails == 1 { " has failed".to_owned() } else { format!(" has failed {fails} times in a row") };
            VOICE.warn(&text!(dir, "/", names::HEALTH, row.as_str(), ", ending pid ", number(pid)));
            None
        }
        Say::NotReady(pid, within) => {
            let time = format!(" was not ready within {}", knob::shown(within));
            VOICE.warn(&text!(dir, time.as_str(), ", ending pid ", number(pid)));
            None
        }
        Say::Over(Over::Done) => {
            log::info!("{}: done", dir.display());
            None
        }
        Say::Over(over) => {
            VOICE.warn(&text!("not starting ", dir, " again: ", over::reason(over).as_str()));
            None
        }
        Say::NoInit => {
            VOICE.warn(&text!(dir, " is ", names::ESSENTIAL, ", but there is no svscan --init that ends with it"));
            None
        }
        // Whoever has cancelled it knows.
        Say::GaveUp(Why::Cancelled(pid)) => {
            log::info!("{}: pid {} was called off", dir.display(), pid.0);
            None
        }
        Say::GaveUp(reason) => {
            let advice = match reason {
                Why::Died(_, Exit::Code(0)) => ", and must stay in the foreground",
                _ => "",
            };
            let why = gave_up(reason, why);
            VOICE.warn(&text!("unable to replace ", dir, ", going on as before: ", why.0.as_slice(), advice));
            Some(why)
        }
    }
}

fn gave_up(reason: Why, why: &[u8]) -> Text {
    match reason {
        // If the start was refused, `why` has the reason.
        Why::NotStarted if why.is_empty() => text!("there can be no new process"),
        Why::NotStarted => text!(why),
        Why::Died(pid, Exit::Code(code)) => {
            text!("pid ", number(pid), " exited ", u64::from(code), " before it was ready")
        }
        Why::Died(pid, Exit::Signal(signal)) => {
            text!("pid ", number(pid), " was killed by signal ", u64::from(signal), " before it was ready")
        }
        Why::Died(pid, Exit::Unknown) => text!("pid ", number(pid), " ended before it was ready"),
        Why::NotReady(pid) => text!("pid ", number(pid), " was not ready in time"),
        Why::Cancelled(pid) => text!("pid ", number(pid), " was called off"),
    }
}

/// Warns if a signal could not be sent. `sent` is `None` if there was nobody to send it to.
pub fn signalled(dir: &OsStr, sent: Option<io::Result<()>>, said: &mut Warnings) {
    match sent {
        None => {}
        Some(Ok(())) => said.over("kill"),
        Some(Err(error)) => said.warning("kill", text!("unable to signal ", dir), &error),
    }
}

/// Prints that `run` could not be executed, in the words of daemontools. Returns the reason, for the record.
#[inline(never)]
pub fn unable_to_start(dir: &OsStr, error: &io::Error) -> Text {
    VOICE.fatal(&text!("unable to start ", dir, "/", names::RUN), error);
    text!("unable to start ", names::RUN, ": ", cli::reason(error).as_ref())
}

/// Prints that the kernel has killed the copy `pid`, which has ended so, or another process of its life, because memory ran out.
#[inline(never)]
pub fn killed_for_memory(dir: &OsStr, pid: Pid, exit: Exit) {
    let what = if exit == Exit::Signal(KILL) { "pid " } else { "a process of the life of pid " };
    VOICE.warn(&text!(dir, ": ", what, number(pid), " was killed for memory"));
}

fn number(Pid(pid): Pid) -> u64 {
    u64::from(pid)
}
