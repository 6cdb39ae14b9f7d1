//! The texts of `uphold boot`: its name and options, lines on stdout, and refusals.

use cli::{Program, Text};

/// The page for `--help`.
pub const PROGRAM: Program = Program {
    name: "uphold boot",
    synopsis: "install|remove|takeover|stop|reload|status [--init NAME] [--scan-dir DIR] [--timeout TIME] [--root DIR] [--print] [--force]",
    usage: "uphold boot: usage: uphold boot install|remove|takeover|stop|reload|status [--init systemd|sysvinit|openrc|upstart|rc.d|busybox] [--scan-dir dir] [--timeout time] [--root dir] [--print] [--force]",
    usage_exit: cli::USAGE,
    about: "Makes init start svscan at boot and stop it in order, and undoes that.",
    options: &[
        ("install", "write the files that make init start svscan, and the scan directory if it is missing"),
        ("remove", "undo install"),
        ("takeover", "replace a running daemontools by this suite, one service after another"),
        ("stop", "stop the svscan of the scan directory with all its services, and wait until they have ended"),
        ("reload", "let the svscan of the scan directory execute its new file; no service notices"),
        ("status", "exit 0 if a svscan serves the scan directory, 3 if not"),
        ("--init NAME", "systemd, sysvinit, openrc, upstart, rc.d or busybox; without it, the init that is found"),
        ("--scan-dir DIR", "the scan directory; else $SVDIR, else /service, or /etc/service if only that exists"),
        (
            "--timeout TIME",
            "how long stop waits, and how long takeover waits for each service: seconds, or a number with ms, s, m, h; default 90",
        ),
        ("--root DIR", "the root of the system to install into"),
        ("--print", "print what would be installed, and change nothing"),
        ("--force", "replace what exists, and mask what starts svscan already; remove puts it back"),
    ],
};

/// Prints a line on stdout.
pub fn tell(pieces: &[&dyn cli::Piece]) {
    let mut line = Text::of(pieces);
    line.add(&[&"\n"]);
    // If stdout cannot be written, there is nobody to tell.
    let _ = sys::fd::write_all(sys::fd::stdout(), &line.0);
}

/// Prints a fatal message and returns the error with exit code 100, for what cannot succeed by trying again.
pub fn refuse(pieces: &[&dyn cli::Piece]) -> anyhow::Error {
    let Text(text) = Text::of(pieces);
    PROGRAM.voice().say(&[&"fatal: ", &text.as_slice()]);
    cli::Exit(cli::USAGE).into()
}
