//! sv, of runit: commands services, waits for what comes of it, and tells their status, whether runsv or a supervise of this suite runs them. Lines and exit codes are those of
//! runit's sv, which scripts compare.
//!
//! Called under the name of a service, it is an LSB init script for that.

mod check;
mod judge;
mod look;
mod place;
mod said;
mod send;
mod verb;
mod waiting;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use cli::{LongWords, Options, Program, Text, Usage, reason, text};
use sys::process::Signal;

use place::Place;
use said::Said;
use verb::{Act, Verb};
use waiting::Waiting;

const PROGRAM: Program = Program {
    name: "sv",
    synopsis: "[-v] [-w sec] command service ...",
    // That of runit, with its empty line.
    usage: "usage: sv [-v] [-w sec] command service ...\n",
    usage_exit: cli::USAGE,
    about: "Tells the status of services, or commands them and waits for that. Exits with the number of services that are not as they were to be, 100 for wrong usage. Under the name of a service it is an init script for it.",
    options: &[
        ("-v", "wait for what comes of a command, and tell"),
        ("-w sec", "wait this long at most, in place of $SVWAIT, or 7 seconds; implies -v"),
        ("-V", "print the version and the usage, and exit 100"),
        (
            "command",
            "status, start, stop, restart, try-restart, reload, check, shutdown, force-stop, force-restart, force-reload, force-shutdown, up, down, once, pause, cont, hup, alarm, interrupt, quit, 1, 2, term, kill or exit; those from start on wait, those with force- kill what they wait for in vain, and of those from up on the first letter counts",
        ),
        (
            "service",
            "the name of a service in $SVDIR, or its directory: a path with a dot or slash in front, or a slash behind",
        ),
    ],
};

/// The exit codes of an LSB init script for wrong usage, and for what keeps sv from working at all.
const LSB_USAGE: u8 = 2;
const LSB_FATAL: u8 = 151;
/// How long is waited if nobody says how long, in seconds.
const WAIT: u64 = 7;

/// The program.
pub fn main(call: cli::Call) -> i32 {
    if call.name() == PROGRAM.name {
        return PROGRAM.run(&call, |call| run(call, false));
    }
    let usage = format!("usage: {} [-w sec] command\n", call.name().display());
    let script = Program { usage: Box::leak(usage.into_boxed_str()), usage_exit: LSB_USAGE, ..PROGRAM };
    script.run(&call, |call| run(call, true))
}

fn run(call: &cli::Call, lsb: bool) -> anyhow::Result<u8> {
    // If a supervise exits before it has read the letters, that is a warning, not the end of sv.
    sys::signals::survive(Signal::SIGPIPE);
    let mut options = Options::new(call.words(), "w:vV", LongWords::Dropped);
    let mut seconds = std::env::var_os("SVWAIT").map_or(WAIT, |value| number(value.as_bytes()));
    let mut verbose = false;
    while let Some((letter, value)) = options.next()? {
        match letter {
            b'V' => {
                cli::print_error(concat!("$Id: uphold ", env!("CARGO_PKG_VERSION"), " $\n").as_bytes());
                return Err(Usage.into());
            }
            b'w' => seconds = number(value),
            _ => {}
        }
        verbose = true;
    }
    let (word, services) = options.operands().split_first().ok_or(Usage)?;
    let services: Vec<&OsStr> = if lsb { vec![call.name()] } else { services.to_vec() };
    if services.is_empty() {
        return Err(Usage.into());
    }
    let verb = Verb::parse(word.as_bytes(), lsb).ok_or(Usage)?;
    let done = match verb {
        Verb::Status => tell(&services, lsb),
        Verb::Act(act) => command(Act { waits: act.waits || verbose, ..act }, seconds, &services),
    };
    done.or_else(|error| {
        let why = error.downcast_ref().map_or_else(|| error.to_string().into(), reason);
        let Text(line) = text!("fatal: ", format!("{error}").as_str(), ": ", why.as_ref(), "\n");
        cli::print_error(&line);
        Ok(if lsb { LSB_FATAL } else { cli::USAGE })
    })
}

/// Reads a number of seconds: the digits in front, so 0 for what is no number.
fn number(value: &[u8]) -> u64 {
    let digits = value.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |sum: u64, digit| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0')))
}

/// Tells the status of services. Returns the exit code.
fn tell(services: &[&OsStr], lsb: bool) -> anyhow::Result<u8> {
    let (place, mut said) = (Place::open()?, Said::default());
    let mut code = None;
    for name in services {
        code = place.visit(name, &mut said, |said| look::tell_status(name, said))?.flatten();
    }
    Ok(code.filter(|_| lsb).unwrap_or(said.code()))
}

/// Commands services, and waits if that is asked for. Returns the exit code.
fn command(act: Act, seconds: u64, services: &[&OsStr]) -> anyhow::Result<u8> {
    let (place, mut said) = (Place::open()?, Said::default());
    let mut waiting = act.waits.then(|| Waiting::begin(act, seconds));
    for &name in services {
        place.visit(name, &mut said, |said| match &mut waiting {
            Some(waiting) => waiting.add(name, said),
            None => {
                if let Some(reached) = send::reach(&act, name, said) {
                    send::send(&reached, name, said);
                }
            }
        })?;
    }
    if let Some(waiting) = waiting {
        waiting.wait(&place, &mut said)?;
    }
    Ok(said.code())
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn what_is_no_number_of_seconds_is_none() {
        for (value, expected) in
            [("7", 7), ("007x", 7), ("", 0), ("abc", 0), ("-1", 0), ("99999999999999999999", u64::MAX)]
        {
            assert_eq!(number(value.as_bytes()), expected, "{value}");
        }
    }
}
