//! `uphold boot`: puts svscan among what an init starts, and takes it away again.
//!
//! What is installed are the files under `examples/boot`, which are compiled in, with the program's own path and the scan
//! directory filled in. It writes files and nothing else: no init is told, no service started or stopped. Nothing that exists is changed
//! unless `--force` is given, and what was made is written down in the installed file itself, so that `remove` leaves nothing behind.

mod arguments;
mod commands;
mod files;
mod foreign;
mod init;
mod inittab;
mod install;
mod item;
mod mark;
mod remove;
mod rivals;
mod running;
mod starter;
mod takeover;
mod tree;
mod voice;

use cli::Call;

use arguments::{Arguments, Verb};
use voice::PROGRAM;

/// The program.
pub fn main(call: Call) -> i32 {
    PROGRAM.run(&call, run)
}

fn run(call: &Call) -> anyhow::Result<u8> {
    let arguments = Arguments::parse(call.words())?;
    match arguments.verb {
        Verb::Install => install::run(&arguments),
        Verb::Remove => remove::run(&arguments),
        Verb::Stop => running::stop(&arguments),
        Verb::Takeover => takeover::run(call, &arguments),
        Verb::Reload => running::reload(&arguments),
        Verb::Status => running::status(&arguments),
    }
}
