//! `uphold boot`: puts svscan among what an init starts, and takes it away again.
//!
//! What is installed are the files under `examples/boot`, which are compiled in, with the program's own path and the scan
//! directory filled in. It writes files and nothing else: no init is told, no service started or stopped. Nothing that exists is changed
//! unless `--force` is given, and what was made is written down in the installed file itself, so that `remove` leaves nothing behind.

mod arguments;
mod files;
mod init;
mod inittab;
mod install;
mod item;
mod mark;
mod remove;
mod running;
mod tree;

use cli::{Call, Program, Text};

use arguments::{Arguments, Verb};

const PROGRAM: Program = Program {
    name: "uphold boot",
    synopsis: "install|remove|stop|reload|status [--init NAME] [--scan-dir DIR] [--root DIR] [--print] [--force]",
    usage: "uphold boot: usage: uphold boot install|remove|stop|reload|status [--init systemd|sysvinit|openrc|upstart|rc.d|busybox] [--scan-dir dir] [--root dir] [--print] [--force]",
    usage_exit: cli::USAGE,
    about: "Makes init start svscan at boot and stop it in order, and undoes that.",
    options: &[
        ("install", "write the files that make init start svscan, and the scan directory if it is missing"),
        ("remove", "undo that"),
        ("stop", "stop the svscan of the scan directory with all its services, and wait for their end"),
        ("reload", "let the svscan of the scan directory become its new file; no service notices"),
        ("status", "exit 0 if a svscan serves the scan directory, 3 if not"),
        ("--init NAME", "systemd, sysvinit, openrc, upstart, rc.d or busybox; without it, the one that is found"),
        ("--scan-dir DIR", "the scan directory; else /etc/service if there is one, else /service"),
        ("--root DIR", "the root of the system to install into"),
        ("--print", "print what would be installed, and change nothing"),
        ("--force", "replace what exists; remove puts it back"),
    ],
};

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
        Verb::Reload => running::reload(&arguments),
        Verb::Status => running::status(&arguments),
    }
}

/// Prints a line on stdout.
fn tell(pieces: &[&dyn cli::Piece]) {
    let mut line = Text::of(pieces);
    line.add(&[&"\n"]);
    // Nobody is left to be told of a stdout that cannot be written.
    let _ = sys::fd::write_all(sys::fd::stdout(), &line.0);
}

/// Says why it cannot be done, where trying again would not help.
fn refuse(pieces: &[&dyn cli::Piece]) -> anyhow::Error {
    let Text(text) = Text::of(pieces);
    PROGRAM.voice().say(&[&"fatal: ", &text.as_slice()]);
    cli::Exit(cli::USAGE).into()
}
