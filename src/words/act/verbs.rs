//! The words that do something: what each sends, what it waits for, and how it says that.

use cli::Program;
use machine::wait::Wanted;
use svdir::Command;

/// A word that does something.
pub struct Verb {
    /// Its texts.
    pub program: Program,
    /// What it sends; `None` if the command line names a signal.
    pub command: Option<Command>,
    /// What it waits for.
    pub wanted: Wanted,
    /// What is said of a service that has got there; `None` if that depends on the service.
    pub done: Option<&'static str>,
    /// What is said of one that has not.
    pub not: &'static str,
    /// What it is told to do.
    pub to: &'static str,
}

type OptionText = (&'static str, &'static str);

const NO_WAIT: OptionText = ("--no-wait", "return as soon as each service was told");
const TIMEOUT: OptionText =
    ("--timeout TIME", "how long to wait for each service: seconds, or a number with ms, s, m or h; default: 60s");
const NAME: OptionText =
    ("NAME", "a service of the scan directory, NAME/log for its logger, a pattern of the shell, or a path");
const WITH_DEPENDENTS: OptionText =
    ("--with-dependents", "stop what needs it first, and what needs that, each when those before it are down");
const ROLLING: OptionText =
    ("--rolling", "one after another, the next when the last is ready; end at the first that is not");
const PARALLEL: OptionText = ("--parallel N", "with --rolling: so many at a time");
const SIG: OptionText =
    ("SIG", "HUP, ALRM, INT, TERM, KILL, QUIT, USR1, USR2, WINCH, STOP or CONT, also as SIGHUP or 1");

const PLAIN: &[OptionText] = &[NO_WAIT, TIMEOUT, NAME];
const IN_TURN: &[OptionText] = &[ROLLING, PARALLEL, NO_WAIT, TIMEOUT, NAME];

/// The texts of a word.
macro_rules! program {
    ($word:literal, $synopsis:literal, $about:literal, $options:expr) => {
        Program {
            name: concat!("uphold ", $word),
            synopsis: $synopsis,
            usage: concat!("uphold ", $word, ": usage: uphold [-C DIR] ", $word, " ", $synopsis),
            usage_exit: cli::USAGE,
            about: $about,
            options: $options,
        }
    };
}

pub const START: Verb = Verb {
    program: program!(
        "start",
        "[--no-wait] [--timeout TIME] NAME ...",
        "Starts services, and what they need first, and waits until they are ready.",
        PLAIN
    ),
    command: Some(Command::Up),
    wanted: Wanted::Ready,
    done: None,
    not: "not ready",
    to: "start",
};

pub const STOP: Verb = Verb {
    program: program!(
        "stop",
        "[--with-dependents] [--no-wait] [--timeout TIME] NAME ...",
        "Stops services, and waits until they are down.",
        &[WITH_DEPENDENTS, NO_WAIT, TIMEOUT, NAME]
    ),
    command: Some(Command::Down),
    wanted: Wanted::Down,
    done: Some("down"),
    not: "not down",
    to: "stop",
};

pub const RESTART: Verb = Verb {
    program: program!(
        "restart",
        "[--rolling] [--parallel N] [--no-wait] [--timeout TIME] NAME ...",
        "Ends the process of each service, and waits until a new one is ready.",
        IN_TURN
    ),
    command: Some(Command::Restart),
    wanted: Wanted::Restarted,
    done: None,
    not: "not ready",
    to: "restart",
};

pub const REPLACE: Verb = Verb {
    program: program!(
        "replace",
        "[--rolling] [--parallel N] [--no-wait] [--timeout TIME] NAME ...",
        "Starts a new copy of each service beside the old one, and waits until it has taken its place.",
        IN_TURN
    ),
    command: Some(Command::Replace),
    wanted: Wanted::Replaced,
    done: Some("replaced"),
    not: "not replaced",
    to: "replace itself",
};

pub const RELOAD: Verb = Verb {
    program: program!(
        "reload",
        "[--no-wait] [--timeout TIME] NAME ...",
        "Lets services read their configuration again, and waits until those that tell have done so.",
        PLAIN
    ),
    command: Some(Command::Reload),
    wanted: Wanted::Ready,
    done: None,
    not: "not reloaded",
    to: "reload",
};

pub const KILL: Verb = Verb {
    program: program!(
        "kill",
        "[--no-wait] [--timeout TIME] NAME ...",
        "Sends KILL to the process of each service, and waits until it has ended.",
        PLAIN
    ),
    command: Some(Command::Kill),
    wanted: Wanted::Ended,
    done: Some("killed"),
    not: "not killed",
    to: "end by KILL",
};

pub const PAUSE: Verb = Verb {
    program: program!(
        "pause",
        "[--no-wait] [--timeout TIME] NAME ...",
        "Sends STOP to the process of each service, and waits until it is paused.",
        PLAIN
    ),
    command: Some(Command::Pause),
    wanted: Wanted::Paused,
    done: Some("paused"),
    not: "not paused",
    to: "pause",
};

pub const CONT: Verb = Verb {
    program: program!(
        "cont",
        "[--no-wait] [--timeout TIME] NAME ...",
        "Sends CONT to the process of each service, and waits until it is not paused.",
        PLAIN
    ),
    command: Some(Command::Continue),
    wanted: Wanted::Continued,
    done: Some("continued"),
    not: "not continued",
    to: "continue",
};

pub const SIGNAL: Verb = Verb {
    program: program!(
        "signal",
        "[--no-wait] [--timeout TIME] SIG NAME ...",
        "Sends a signal to the process of each service, and waits until its supervise has done so.",
        &[NO_WAIT, TIMEOUT, SIG, NAME]
    ),
    command: None,
    wanted: Wanted::Told,
    done: Some("sent"),
    not: "not sent",
    to: "send it on",
};

/// The command that sends the signal with this name, with or without SIG, or this number; `None` if none does.
pub fn sending(signal: &str) -> Option<Command> {
    let number = match signal.parse::<u8>() {
        Ok(number) => number,
        Err(_) => {
            let name = signal.to_ascii_uppercase();
            sys::process::signal_named(&format!("SIG{}", name.strip_prefix("SIG").unwrap_or(&name)))?
        }
    };
    SENT.iter().find(|(name, _)| sys::process::signal_named(name) == Some(number)).map(|&(_, command)| command)
}

/// The signals that a letter sends.
const SENT: [(&str, Command); 11] = [
    ("SIGHUP", Command::Hup),
    ("SIGALRM", Command::Alarm),
    ("SIGINT", Command::Interrupt),
    ("SIGTERM", Command::Term),
    ("SIGKILL", Command::Kill),
    ("SIGQUIT", Command::Quit),
    ("SIGUSR1", Command::Usr1),
    ("SIGUSR2", Command::Usr2),
    ("SIGWINCH", Command::Winch),
    ("SIGSTOP", Command::Pause),
    ("SIGCONT", Command::Continue),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_has_three_names() {
        for name in ["HUP", "SIGHUP", "hup", "1"] {
            assert_eq!(sending(name), Some(Command::Hup), "{name}");
        }
        assert_eq!(sending("STOP"), Some(Command::Pause));
        for wrong in ["", "0", "-1", "999", "SEGV", "11", "RTMIN", "SIG", "SIGSIGHUP", "HUP "] {
            assert_eq!(sending(wrong), None, "{wrong}");
        }
    }
}
