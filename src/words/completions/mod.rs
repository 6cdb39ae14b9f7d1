//! `uphold completions`: what a shell completes.
//!
//! The script for a shell (`uphold completions bash`) knows nothing by itself: at each key it asks the installed file what may stand at the cursor (`uphold completions for bash
//! WORD ...`). The answer comes from the tables of the help pages and from the scan directory, so no script gets out of date.

mod grammar;
mod offer;
mod quoting;

use std::os::unix::ffi::OsStrExt;

use cli::{Call, Program, Usage, Word};

use offer::{Candidate, Line, Offer};
use quoting::Typed;

pub use offer::Table;

const PROGRAM: Program = Program {
    name: "uphold completions",
    synopsis: "bash|zsh|fish",
    usage: "uphold completions: usage: uphold completions bash|zsh|fish",
    usage_exit: cli::USAGE,
    about: "Prints the script by which a shell completes words, options and names of services for uphold and its clients.",
    options: &[
        ("bash", "for bash: to be read by ~/.bashrc, or a file of bash-completion"),
        ("zsh", "for zsh: a file _uphold on its fpath, or to be read by ~/.zshrc"),
        ("fish", "for fish: a file of its completions directory"),
    ],
};

/// A shell.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl Shell {
    fn named(word: Word) -> Result<Shell, Usage> {
        match word.as_bytes() {
            b"bash" => Ok(Shell::Bash),
            b"zsh" => Ok(Shell::Zsh),
            b"fish" => Ok(Shell::Fish),
            _ => Err(Usage),
        }
    }

    const fn script(self) -> &'static str {
        match self {
            Shell::Bash => include_str!("uphold.bash"),
            Shell::Zsh => include_str!("uphold.zsh"),
            Shell::Fish => include_str!("uphold.fish"),
        }
    }
}

/// The word. `table` gathers what there is to complete, for which it asks this word too.
pub fn main(call: &Call, table: impl FnOnce() -> Table) -> i32 {
    PROGRAM.run(call, |call| {
        let told = match call.words() {
            &[shell] => Shell::named(shell)?.script().replace("PROGRAMS", &offer::CLIENTS.join(" ")).into_bytes(),
            [first, shell, words @ ..] if *first == "for" => answer(Shell::named(shell)?, words, &table())?,
            _ => return Err(Usage.into()),
        };
        // If stdout cannot be written, there is nobody to tell.
        let _ = sys::fd::write_all(sys::fd::stdout(), &told);
        Ok(0)
    })
}

/// The lines for a script about a command line, of which the last word is the one that is being typed: first what the shell is to add by itself, then a line for each word that
/// may stand there, with its meaning behind a tab where the shell shows that.
fn answer(shell: Shell, words: &[Word], table: &Table) -> Result<Vec<u8>, Usage> {
    // bash gives words as they were typed; in zsh and fish only the last one may still have quotes.
    let words: Vec<Typed> = words.iter().map(|word| Typed::read(word.as_bytes())).collect();
    let [called, before @ .., typed] = words.as_slice() else {
        return Err(Usage);
    };
    let before: Vec<&[u8]> = before.iter().map(|word| word.plain.as_slice()).collect();
    let Offer { candidates, more } = table.offer(&Line { called: &called.plain, before: &before, typed: &typed.plain });
    let mut told = format!("{}\n", more.word()).into_bytes();
    for Candidate { word, meaning } in candidates {
        if shell != Shell::Bash {
            told.extend([word.as_slice(), b"\t", meaning.as_bytes()].concat());
        } else if let Some(word) = typed.with(&word).filter(|_| word.starts_with(&typed.plain)) {
            told.extend(word);
        } else {
            continue;
        }
        told.push(b'\n');
    }
    Ok(told)
}
