//! `--help` and `--version`. clap is called only here: building its tree touches memory that a supervisor must not pay
//! for.

use std::io::{self, Write};

use clap::{Arg, ArgAction, Command};

use crate::{Call, Program};

/// Answers `--help` or `--version` as the only word, and returns the exit code; `None` for any other call.
pub(crate) fn answer(program: &Program, call: &Call) -> Option<u8> {
    let [word] = call.words() else {
        return None;
    };
    match word.to_str()? {
        "--help" => match &call.texts {
            Some(texts) => texts.set(Some(*program)),
            None => show(&page(program)),
        },
        "--version" => show(&format!("{} (uphold) {}\n", program.name, env!("CARGO_PKG_VERSION"))),
        _ => return None,
    }
    Some(0)
}

/// Prints the page on stdout.
pub(crate) fn show_page(program: &Program) {
    show(&page(program));
}

/// Lays out the page. Not inlined: otherwise every program would have room for it on its stack in every call.
#[inline(never)]
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

/// Makes the clap argument for a name in the table: `-x`, `--long` or both as `-x, --long`, each perhaps followed by ` VALUE`; or an operand.
/// clap only prints it, and parses nothing.
fn argument(name: &'static str) -> Arg {
    // multilog's `-PATTERN` is an operand.
    let first = name.split(' ').next().unwrap_or(name).trim_end_matches(',');
    if !(first.starts_with("--") || first.starts_with('-') && first.len() == 2) {
        return Arg::new(name).required(true);
    }
    let mut argument = Arg::new(name).action(ArgAction::SetTrue);
    for word in name.split(' ').map(|word| word.trim_end_matches(',')) {
        argument = match (word.strip_prefix("--"), word.as_bytes()) {
            (Some(long), _) => argument.long(long),
            (None, &[b'-', letter]) => argument.short(char::from(letter)),
            (None, _) => argument.action(ArgAction::Set).value_name(word),
        };
    }
    argument
}

fn show(text: &str) {
    let mut stdout = io::stdout();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}
