//! A program of the suite: its name, its texts, and how it runs, from `argv` to the exit code.

use std::cell::Cell;
use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::path::Path;
use std::rc::Rc;

use crate::message::print_error;
use crate::{Text, Voice, WrongOption, help, reason};

/// The exit code for wrong usage, and for what cannot succeed by trying again.
pub const USAGE: u8 = 100;
/// The exit code for a system error: trying again might help.
pub const TEMPORARY: u8 = 111;

/// A word of a command line, which lives as long as the process.
pub type Word = &'static OsStr;

/// The command line of a program.
#[derive(Clone, Debug)]
pub struct Call {
    /// `argv`, the name first. Never empty.
    argv: Vec<Word>,
    /// Whether the program is a part of the all-in-one file.
    pub all_in_one: bool,
    /// Where the texts of the program go in place of its help page, if it is [asked](Program::of) for them.
    pub(crate) texts: Option<Rc<Cell<Option<Program>>>>,
}

impl From<Vec<Word>> for Call {
    /// Makes the call of a program that has a file of its own.
    fn from(mut argv: Vec<Word>) -> Call {
        if argv.is_empty() {
            argv.push(OsStr::new(""));
        }
        Call { argv, all_in_one: false, texts: None }
    }
}

impl Call {
    /// Turns this call into one of a program in the all-in-one file, without the first `skip` words.
    #[must_use]
    pub fn of_all_in_one(mut self, skip: usize) -> Call {
        self.argv.drain(..skip.min(self.argv.len() - 1));
        Call { all_in_one: true, ..self }
    }

    /// Returns the call without its first word, if that word only says what the others are for.
    #[must_use]
    pub fn without_first_word(&self) -> Call {
        let (name, rest) = self.argv.split_at(1);
        Call { argv: [name, rest.get(1..).unwrap_or_default()].concat(), ..self.clone() }
    }

    /// The last component of `argv[0]`.
    pub fn name(&self) -> &OsStr {
        let name = self.argv[0];
        Path::new(name).file_name().unwrap_or(name)
    }

    /// `argv[0]`: the path of the file, where it was executed by its path.
    pub fn path(&self) -> &Path {
        Path::new(self.argv[0])
    }

    /// The words after the name.
    pub fn words(&self) -> &[Word] {
        &self.argv[1..]
    }
}

/// The texts of a program of the suite, for its messages and its help page.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// The name in its messages, whatever the file is called.
    pub name: &'static str,
    /// The words after the name in the usage line, such as `dir child`.
    pub synopsis: &'static str,
    /// The whole line that is printed on wrong usage, without the newline.
    pub usage: &'static str,
    /// The exit code of wrong usage: [`USAGE`] except for envdir.
    pub usage_exit: u8,
    /// What the program does, in one line.
    pub about: &'static str,
    /// The options and operands, each with its meaning, in the order of the man page.
    pub options: &'static [(&'static str, &'static str)],
}

/// An error that ends a program with this exit code and without a message.
#[derive(Clone, Copy, Debug)]
pub struct Exit(pub u8);

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit {}", self.0)
    }
}

impl std::error::Error for Exit {}

/// An error that ends a program with its usage line.
#[derive(Clone, Copy, Debug)]
pub struct Usage;

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("wrong usage")
    }
}

impl std::error::Error for Usage {}

/// An error that ends a program as wrong usage, with a line that says which word is wrong, and why.
#[derive(Clone, Debug)]
pub struct WrongWord(pub Text);

impl fmt::Display for WrongWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for WrongWord {}

impl Program {
    /// Asks a program for its texts: `main` gets a call for its help page, which is then not printed. `None` if it does not answer such a call.
    pub fn of(main: impl FnOnce(Call) -> i32) -> Option<Program> {
        let texts = Rc::new(Cell::new(None));
        let argv = vec![OsStr::new(""), OsStr::new("--help")];
        main(Call { argv, all_in_one: true, texts: Some(Rc::clone(&texts)) });
        texts.get()
    }

    /// The name of the program for its messages.
    pub const fn voice(&self) -> Voice {
        Voice(self.name)
    }

    /// Runs `body` and returns the exit code. `--help` and `--version` as the only word are answered here.
    ///
    /// An error of `body` is printed here: [`Usage`] and [`WrongOption`] as the usage line, [`WrongWord`] as `PROG: fatal: TEXT` with the exit
    /// code of wrong usage, [`Exit`] not at all, any other as `PROG: fatal: CONTEXT: REASON` with exit code 111.
    pub fn run(&self, call: &Call, body: impl FnOnce(&Call) -> anyhow::Result<u8>) -> i32 {
        if let Some(code) = help::answer(self, call) {
            return i32::from(code);
        }
        i32::from(body(call).unwrap_or_else(|error| self.complain(call, &error)))
    }

    /// Prints the page of `--help`, for a program that has another option for it too.
    pub fn show_help(&self) {
        help::show_page(self);
    }

    /// Prints why the program cannot go on, and returns its exit code. [`run`](Program::run) does this for the error of its
    /// body.
    pub fn complain(&self, call: &Call, error: &anyhow::Error) -> u8 {
        if let Some(wrong) = error.downcast_ref::<WrongOption>() {
            print_error(&wrong.line(call.name()));
            return self.complain_usage();
        }
        if error.is::<Usage>() {
            return self.complain_usage();
        }
        if let Some(&Exit(code)) = error.downcast_ref::<Exit>() {
            return code;
        }
        if let Some(WrongWord(text)) = error.downcast_ref() {
            self.voice().say(&[&"fatal: ", &text.0.as_slice()]);
            return self.usage_exit;
        }
        self.voice().say(&[&"fatal: ", &describe(error).as_slice()]);
        TEMPORARY
    }

    fn complain_usage(&self) -> u8 {
        print_error(format!("{}\n", self.usage).as_bytes());
        self.usage_exit
    }
}

/// The text `CONTEXT: REASON` of an error, with the bytes of the context as they are.
fn describe(error: &anyhow::Error) -> Vec<u8> {
    let Some(Text(context)) = error.downcast_ref::<Text>() else {
        return format!("{error:#}").into_bytes();
    };
    let mut line = context.clone();
    if let Some(cause) = error.downcast_ref::<io::Error>() {
        line.extend_from_slice(b": ");
        line.extend_from_slice(reason(cause).as_bytes());
    }
    line
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;
    use crate::text;

    #[test]
    fn an_error_is_its_context_and_its_reason() {
        let error = Err::<(), _>(io::Error::from_raw_os_error(libc::EACCES))
            .context(text!("unable to chdir to ", "web"))
            .expect_err("an error");
        assert_eq!(describe(&error), b"unable to chdir to web: access denied");
        assert_eq!(describe(&anyhow::Error::new(text!("unknown account x"))), b"unknown account x");
    }

    #[test]
    fn a_call_of_the_all_in_one_file_loses_its_first_word() {
        let call =
            Call::from(vec![OsStr::new("/bin/uphold"), OsStr::new("bin/svc"), OsStr::new("-d")]).of_all_in_one(1);
        assert_eq!(call.name(), "svc");
        assert_eq!(call.words(), ["-d"]);
        assert!(call.all_in_one);
        assert_eq!(Call::from(Vec::new()).name(), "");
    }

    #[test]
    fn a_program_tells_its_texts_to_who_asks() {
        const PROGRAM: Program = Program {
            name: "svok",
            synopsis: "dir",
            usage: "svok: usage: svok dir",
            usage_exit: USAGE,
            about: "Tells.",
            options: &[("dir", "the service directory")],
        };
        let asked = Program::of(|call| PROGRAM.run(&call, |_| panic!("it does nothing else")));
        assert_eq!(asked.map(|program| program.name), Some("svok"));
        assert!(Program::of(|_| 0).is_none());
    }
}
