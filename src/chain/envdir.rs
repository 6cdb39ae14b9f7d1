//! envdir: runs a program with an environment that the files of a directory change: a file's name is the variable, its
//! first line the value, and an empty file removes the variable.
//!
//! Names that begin with a dot are passed over. A file that is gone when it is to be read changes nothing, and neither
//! does a dangling link.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anyhow::Context;
use cli::{Call, Program, Text, text};

use crate::service::exec::{self, Environment};

const PROGRAM: Program = Program {
    name: "envdir",
    synopsis: "[-p prefix] dir child [arg ...]",
    usage: "envdir: usage: envdir dir child",
    usage_exit: cli::TEMPORARY,
    about: "Runs a program with environment variables that are set and removed by files in a directory.",
    options: &[
        ("-p prefix", "put this in front of each name"),
        ("dir", "each file is a variable: its first line is the value; an empty file removes the variable"),
        ("child", "the program to run"),
        ("arg ...", "its arguments"),
    ],
};

/// The program.
pub fn main(call: Call) -> i32 {
    PROGRAM.run(&call, run)
}

fn run(call: &Call) -> anyhow::Result<u8> {
    let mut prefix: &[u8] = b"";
    let (dir, child) = exec::operand(super::later_option(call.words(), "p:", |value| prefix = value)?)?;
    let start = sys::fd::open_read(Path::new(".")).with_context(|| text!("unable to switch to current directory"))?;
    let mut environment = Environment::inherited();
    change(&mut environment, prefix, dir, " ", |error, reading| Err(error).context(reading))?;
    sys::fd::change_directory(start.as_fd()).with_context(|| text!("unable to switch to starting directory"))?;
    drop(start);
    Err(exec::pathexec(child, Some(&environment)))
}

/// Changes to the directory `dir`, and changes `environment` by its files, with `prefix` in front of their names. They are read in the order of the directory, which matters if two names mean the same
/// variable (`A` and `A=B`). In messages `before_name` stands between the text and the directory. A file that cannot be read is left to `unreadable`, with the reason and
/// the text for a message.
pub fn change(
    environment: &mut Environment,
    prefix: &[u8],
    dir: &OsStr,
    before_name: &str,
    unreadable: impl Fn(io::Error, Text) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    std::env::set_current_dir(dir).with_context(|| text!("unable to switch to directory", before_name, dir))?;
    let no_list = || text!("unable to read directory", before_name, dir);
    let mut contents = Vec::new();
    for entry in fs::read_dir(".").with_context(no_list)? {
        let name = entry.with_context(no_list)?.file_name();
        if name.as_bytes().starts_with(b".") {
            continue;
        }
        match read(&name, &mut contents, usize::MAX) {
            Ok(true) => environment.change(&[prefix, name.as_bytes()].concat(), value(&mut contents))?,
            Ok(false) => {}
            Err(error) => unreadable(error, text!("unable to read ", dir, "/", name))?,
        }
    }
    Ok(())
}

/// Reads the whole file into `contents`, if it has at most `most` bytes. Returns false if there is no such file (any more).
pub fn read(name: &OsStr, contents: &mut Vec<u8>, most: usize) -> io::Result<bool> {
    contents.clear();
    let file = match sys::fd::open_read(Path::new(name)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        opened => opened?,
    };
    // std would ask for size and position first, which takes longer than reading these few bytes.
    let mut piece = [0; 1_024];
    loop {
        match sys::fd::read(file.as_fd(), &mut piece)? {
            0 => return Ok(true),
            count if count > most - contents.len() => {
                return Err(io::Error::new(io::ErrorKind::FileTooLarge, "file too big"));
            }
            count => {
                contents.try_reserve(count).map_err(|_| io::ErrorKind::OutOfMemory)?;
                contents.extend_from_slice(piece.get(..count).unwrap_or_default());
            }
        }
    }
}

/// The value that a file with these contents gives its variable; `None` removes it.
///
/// The value is the first line without the blanks at its end. A NUL in the file is a newline in the value.
pub fn value(contents: &mut [u8]) -> Option<&[u8]> {
    if contents.is_empty() {
        return None;
    }
    let line = contents.split_mut(|&byte| byte == b'\n').next()?;
    let end = line.iter().rposition(|byte| !b" \t".contains(byte)).map_or(0, |last| last + 1);
    let value = line.get_mut(..end)?;
    value.iter_mut().filter(|byte| **byte == 0).for_each(|byte| *byte = b'\n');
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::value;

    fn text(contents: &str) -> Option<String> {
        value(&mut contents.as_bytes().to_vec()).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    #[test]
    fn an_empty_file_removes_and_a_blank_one_empties() {
        assert_eq!(text(""), None);
        for blank in ["\n", " ", "\t \n", "\nx"] {
            assert_eq!(text(blank).as_deref(), Some(""), "{blank:?}");
        }
    }

    #[test]
    fn the_first_line_counts_without_blanks_at_its_end() {
        assert_eq!(text(" a b \t \nc").as_deref(), Some(" a b"));
        assert_eq!(text("a\r\n").as_deref(), Some("a\r"));
    }

    #[test]
    fn a_nul_becomes_a_newline_after_the_line_was_cut() {
        assert_eq!(text("a\0b \0\nc").as_deref(), Some("a\nb \n"));
        assert_eq!(value(&mut b"\xff\0".to_owned()), Some(&b"\xff\n"[..]));
    }
}
