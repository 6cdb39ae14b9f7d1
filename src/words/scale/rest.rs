//! What a call that was killed has left of an instance: it was told to be down and has its link still, or it has no link any more and runs.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use machine::{SECOND, Tick};
use svdir::names;
use sys::poll;

use super::family::Family;
use crate::service::home::Home;
use crate::service::running::RunningSupervise;
use crate::service::{client, record, tick};
use crate::words::look;

/// Tells a service to be up. The inner error is a text for the user: why it cannot be told.
///
/// # Errors
/// If the way back from the directory fails.
pub fn bring_back(home: &Home, dir: &Path) -> anyhow::Result<Result<(), String>> {
    let tell = || {
        let fifo = client::reach().map_err(|why| why.reason().into_owned())?;
        client::send(&fifo, b"u").map_err(|error| cli::reason(&error).into_owned())
    };
    Ok(home.visit(dir, tell)?.unwrap_or_else(|error| Err(look::no_way(dir, &error))))
}

/// Ends the service and then its logger, and waits for both. Returns whether they have ended; the inner error is a text for the user: why they cannot be told to.
///
/// # Errors
/// If the way back from a directory fails.
pub fn end(home: &Home, dir: &Path, timeout: Option<u64>) -> anyhow::Result<Result<bool, String>> {
    let deadline = tick().after(timeout.unwrap_or(0));
    let log = dir.join(names::LOG);
    for (dir, letters) in [(dir, &b"dx"[..]), (&log, b"x")] {
        let Ok(there) = home.visit(dir, || end_here(letters, deadline))? else {
            // There is none.
            continue;
        };
        if !matches!(there, Ok(true)) {
            return Ok(there);
        }
    }
    Ok(Ok(true))
}

fn end_here(letters: &[u8], deadline: Tick) -> Result<bool, String> {
    let reason = |error: &io::Error| cli::reason(error).into_owned();
    let Some(supervise) = RunningSupervise::find(Path::new(".")).map_err(|error| reason(&error))? else {
        return Ok(true);
    };
    match client::reach() {
        // One that has just ended needs nothing.
        Ok(fifo) => drop(client::send(&fifo, letters)),
        Err(client::Unreachable::NotRunning) => {}
        Err(why) => return Err(why.reason().into_owned()),
    }
    ends(&supervise, deadline).map_err(|error| reason(&error))
}

/// Waits until a supervise has ended; `false` if it has not at the deadline.
fn ends(supervise: &RunningSupervise, deadline: Tick) -> io::Result<bool> {
    loop {
        let left = tick().until(deadline);
        let (_, ended) = poll::readable_or_unread([], &[supervise.ok.as_fd()], Some(left))?;
        if !ended.is_empty() || left == 0 {
            return Ok(!ended.is_empty());
        }
    }
}

/// Returns whether something may run there: a supervise, or what one that was killed has left. A supervise that has told that it exits gets the time to do so.
pub fn is_there(dir: &Path) -> bool {
    let deadline = tick().after(SECOND);
    both(dir, |dir| match RunningSupervise::find(dir) {
        Ok(None) => record::was_left_behind(dir),
        Ok(Some(supervise)) => !ends(&supervise, deadline).unwrap_or(false) || record::was_left_behind(dir),
        Err(_) => true,
    })
}

/// Returns whether an instance has no link, and a supervise was killed there, so that its service or its logger may live without one.
pub fn is_lost(family: &Family, number: u16) -> bool {
    let was_killed = |dir: &Path| record::was_left_behind(dir) && matches!(RunningSupervise::find(dir), Ok(None));
    !family.is_linked(number) && both(&family.dir(number), was_killed)
}

fn both(dir: &Path, is: impl Fn(&Path) -> bool) -> bool {
    is(dir) || is(&dir.join(names::LOG))
}
