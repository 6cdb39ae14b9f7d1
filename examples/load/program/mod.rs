//! The load generator. `tests/real` uses its parts too.
//!
//! Other generators count differently: some count every close of a connection as an error, some retry by themselves. This one
//! never retries, and an answer is right only if it is complete.

mod clients;
mod options;
mod request;
mod tally;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use sys::process::Signal;
use sys::signals::Signals;

pub use clients::Load;
pub use options::Options;
pub use request::Target;
pub use tally::{Outcome, Tally};

/// Runs the program with these words.
pub fn main(words: &[OsString]) -> ExitCode {
    match run(words) {
        Ok(tally) if tally.failed() == 0 && tally.asked() > 0 => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "load: fatal: {error:#}");
            ExitCode::from(100)
        }
    }
}

fn run(words: &[OsString]) -> anyhow::Result<Tally> {
    let options = Options::parse(words)?;
    // Before the clients exist, so that a signal wakes this thread.
    let signals = Signals::catch(&[Signal::SIGTERM, Signal::SIGINT])?;
    let load = Load::start(&options);
    let deadline = options.duration.map(|duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    sys::poll::readable([signals.fd()], deadline)?;
    let tally = load.finish();
    let text = if options.plain { tally.line() } else { tally.table() };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(tally)
}
