//! `uphold start`, `stop`, `restart`, `reload`, `replace`, `kill`, `pause`, `cont` and `signal`: what svc does, and what came of it, in a line for each service.

mod asked;
mod doing;
pub mod plan;
mod verbs;

use std::path::PathBuf;

use cli::{Call, Usage, Voice, Word, WrongWord, text};
use svdir::Command;
use sys::process::Signal;
use sys::signals;

use crate::service::client;
use crate::service::home::Home;

use super::scan::{Meant, Scan};
use super::{patience, shown};
use asked::Asked;
use doing::{Doing, End};
use plan::{Dependents, Job};
use verbs::Verb;

/// The exit code if a service is not as it is wanted, or a name means nothing.
const NOT_THERE: u8 = 1;

/// The words, with what answers them.
macro_rules! words {
    ($($word:ident $verb:ident),+) => {
        $(
            /// The word.
            pub fn $word(call: &Call, scan_dir: Option<PathBuf>) -> i32 {
                let verb = &verbs::$verb;
                verb.program.run(call, |call| run(verb, call, scan_dir))
            }
        )+
    };
}

words!(start START, stop STOP, restart RESTART, reload RELOAD, replace REPLACE, kill KILL, pause PAUSE, cont CONT, signal SIGNAL);

/// Takes the signal from the front of the names.
fn taken(names: &mut Vec<Word>) -> anyhow::Result<(Command, String)> {
    if names.is_empty() {
        return Err(Usage.into());
    }
    let word = names.remove(0);
    let command = word.to_str().and_then(verbs::sending).ok_or_else(|| {
        WrongWord(text!(
            "no command sends the signal ",
            word,
            ": those that can be sent are HUP, ALRM, INT, TERM, KILL, QUIT, USR1, USR2, WINCH, STOP and CONT"
        ))
    })?;
    Ok((command, shown::name(word)))
}

fn run(verb: &Verb, call: &Call, scan_dir: Option<PathBuf>) -> anyhow::Result<u8> {
    // If a supervise exits before it has read the letters, or nobody reads what is told, that is not the end.
    signals::ignore(Signal::SIGPIPE)?;
    let mut asked = Asked::read(verb, call.words())?;
    let (command, signal) = match verb.command {
        Some(command) => (command, None),
        None => taken(&mut asked.names).map(|(command, signal)| (command, Some(signal)))?,
    };
    if asked.names.is_empty() {
        // Nobody is to stop everything by an empty variable.
        return Err(Usage.into());
    }
    let voice = verb.program.voice();
    let scan = Scan::open(scan_dir)?;
    let (meant, right) = scan.meant(&asked.names, false, voice);
    let home = Home::open()?;
    let mut jobs = jobs(command, &asked, &scan, &meant, voice);
    if command == Command::Down && !asked.with_dependents {
        tell_who_needs(&home, &scan, &meant, voice)?;
    }
    if asked.rolling && !right {
        tell_untouched(voice, jobs.iter().map(|job| job.name.as_str()));
        return Ok(NOT_THERE);
    }
    let interrupt = if asked.wait { patience::begin()? } else { None };
    if asked.rolling {
        jobs.iter_mut().for_each(|job| job.first.clear());
    }
    let mut doing = Doing::new(verb, command, signal, &asked, scan.served, jobs);
    let end = doing.run(&home, interrupt.as_ref())?;
    let untouched: Vec<&str> = doing.untouched().collect();
    match end {
        End::Interrupted => {
            let waited = doing.waited().collect::<Vec<_>>().join(" ");
            let mut so_far = format!("{waited} told to {} and not waited for", verb.to);
            if !untouched.is_empty() {
                so_far += &format!("; not touched: {}", untouched.join(" "));
            }
            Ok(patience::interrupted(voice, &so_far))
        }
        End::Over => {
            // There are some only if another one has failed.
            tell_untouched(voice, untouched.into_iter());
            Ok(if right && !doing.has_failed() { 0 } else { NOT_THERE })
        }
    }
}

fn tell_untouched<'a>(voice: Voice, names: impl Iterator<Item = &'a str>) {
    let names = names.collect::<Vec<_>>().join(" ");
    if !names.is_empty() {
        voice.say(&[&"not touched: ", &names.as_str()]);
    }
}

/// Who is to be told, in which order.
fn jobs(command: Command, asked: &Asked, scan: &Scan, meant: &[Meant], voice: Voice) -> Vec<Job> {
    match command {
        Command::Up => plan::with(meant, |meant| {
            plan::needed(scan, meant).unwrap_or_else(|why| {
                voice.say(&[&"warning: ", &shown::name(&meant.name).as_str(), &": ", &why.as_str()]);
                Vec::new()
            })
        }),
        Command::Down if asked.with_dependents => {
            let dependents = Dependents::of(scan);
            plan::with(meant, |meant| dependents.of_one(meant))
        }
        _ => plan::alone(meant),
    }
}

/// Says which services that are up need those that are to be stopped, and are not to be stopped themselves.
fn tell_who_needs(home: &Home, scan: &Scan, meant: &[Meant], voice: Voice) -> anyhow::Result<()> {
    let dependents = Dependents::of(scan);
    for stopped in meant {
        let mut up = Vec::new();
        for other in dependents.of_one(stopped) {
            let is_up = || client::find().is_ok() && client::read().is_ok_and(|facts| facts.pid().is_some());
            if !meant.contains(&other) && home.visit(&other.dir, is_up)?.unwrap_or(false) {
                up.push(shown::name(&other.name));
            }
        }
        if !up.is_empty() {
            let (need, stay) = if up.len() == 1 { ("needs", "stays") } else { ("need", "stay") };
            let (name, up) = (shown::name(&stopped.name), up.join(", "));
            voice.say(&[
                &up.as_str(),
                &" ",
                &need,
                &" ",
                &name.as_str(),
                &" and ",
                &stay,
                &" up; --with-dependents stops what needs it first",
            ]);
        }
    }
    Ok(())
}
