//! `uphold boot`: makes an init start svscan, and undoes that.
//!
//! `install` writes the files under `examples/boot`, which are compiled in, with the program's own path and the scan directory filled
//! in. It does nothing else: it does not tell init, and starts or stops no service. It changes nothing that exists unless `--force` is
//! given, and it lists what it made in the installed file itself, so that `remove` leaves nothing behind.

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
