//! `svok`: says by its exit code whether a supervise runs in a service directory. It only checks whether `supervise/ok`
//! has a reader; it looks neither at the lock nor at the state of the service.

use std::path::Path;

use anyhow::Context;
use cli::text;

use crate::service::home;

use super::supervised::is_supervised;

const PROGRAM: cli::Program = cli::Program {
    name: "svok",
    synopsis: "dir",
    usage: "svok: usage: svok dir",
    usage_exit: cli::USAGE,
    about: "Exits 0 if a supervise runs in the service directory, 100 if not, 111 if it cannot find out.",
    options: &[("dir", "the service directory; further words are ignored")],
};

/// The program.
pub fn main(call: cli::Call) -> i32 {
    PROGRAM.run(&call, run)
}

fn run(call: &cli::Call) -> anyhow::Result<u8> {
    let dir = Path::new(call.words().first().ok_or(cli::Usage)?);
    home::enter(dir).with_context(|| text!("unable to chdir to ", dir))?;
    Ok(if is_supervised(dir)? { 0 } else { cli::USAGE })
}
