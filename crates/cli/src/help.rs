//! `--help` and `--version`. Only here is clap called: building its tree touches memory that a supervisor
//! shall not pay for.

use std::io::{self, Write};

use clap::{Arg, ArgAction, Command};

use crate::{Call, Program};

/// Prints the answer to `--help` or `--version` as the only word, and returns the exit code.
pub(crate) fn answer(program: &Program, call: &Call) -> Option<u8> {
    let [word] = call.words() else {
        return None;
    };
    match word.to_str()? {
        "--help" => show(&page(program)),
        "--version" => show(&format!("{} (uphold) {}\n", program.name, env!("CARGO_PKG_VERSION"))),
        _ => return None,
    }
    Some(0)
}

fn page(program: &Program) -> String {
    let mut command = Command::new(program.name)
        .about(program.about)
        .override_usage(format!("{} {}", program.name, program.synopsis).trim_end().to_owned())
        .after_help(format!("The manual: man {}", program.name))
        .disable_help_flag(true)
        .disable_version_flag(true);
    for &(name, help) in program.options {
        command = command.arg(argument(name).help(help));
    }
    format!("{}\n", command.render_help())
}

/// `-x`, `-x VALUE`, `--long`, or an operand. clap only lays them out, it never parses.
fn argument(name: &'static str) -> Arg {
    let (option, value) = name.split_once(' ').unwrap_or((name, ""));
    if let Some(long) = option.strip_prefix("--") {
        return Arg::new(name).long(long).action(ArgAction::SetTrue);
    }
    match (option.as_bytes(), value) {
        (&[b'-', letter], "") => Arg::new(name).short(char::from(letter)).action(ArgAction::SetTrue),
        (&[b'-', letter], value) => Arg::new(name).short(char::from(letter)).value_name(value),
        _ => Arg::new(name).required(true),
    }
}

fn show(text: &str) {
    let mut stdout = io::stdout();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}
