//! envini, of daemontools-encore: runs a program with environment variables that an ini file sets.

use std::ffi::OsStr;

use anyhow::Context;
use cli::{Call, LongWords, Options, Program, text};

use super::envdir;
use crate::service::exec::{self, Environment};

const PROGRAM: Program = Program {
    name: "envini",
    synopsis: "[-p prefix] inifile child [arg ...]",
    usage: "envini: usage: envini [ -p prefix ] inifile child",
    usage_exit: cli::TEMPORARY,
    about: "Runs a program with environment variables that are set by an ini file. Behind a line [SECTION] each name begins with SECTION_.",
    options: &[
        ("-p prefix", "put this in front of each name"),
        ("inifile", "its lines NAME = VALUE set variables; one that does not exist sets none"),
        ("child", "the program to run"),
        ("arg ...", "its arguments"),
    ],
};

/// How many bytes an ini file may have. No kernel takes an environment as large as this.
const MOST: usize = 16 << 20;

/// The program.
pub fn main(call: Call) -> i32 {
    PROGRAM.run(&call, run)
}

fn run(call: &Call) -> anyhow::Result<u8> {
    let mut options = Options::new(call.words(), "p:", LongWords::Dropped);
    let mut prefix: &[u8] = b"";
    while let Some((_, value)) = options.next()? {
        prefix = value;
    }
    let (file, child) = exec::operand(options.operands())?;
    let mut environment = Environment::inherited();
    change(&mut environment, prefix, file)?;
    Err(exec::pathexec(child, Some(&environment)))
}

/// Sets the variables that the file names, in the order of its lines.
fn change(environment: &mut Environment, prefix: &[u8], file: &OsStr) -> anyhow::Result<()> {
    let mut contents = Vec::new();
    envdir::read(file, &mut contents, MOST).with_context(|| text!("unable to read ", file))?;
    let mut section = Vec::new();
    for (number, line) in (1u32..).zip(contents.split(|&byte| byte == b'\n')) {
        if line.contains(&0) {
            // No variable can hold it, and no text does: this is another file than was meant.
            let number = number.to_string();
            return Err(text!("unable to read ", file, ": there is a NUL in line ", number.as_str()).into());
        }
        match Line::parse(line) {
            Line::Section(name) => section = [name, b"_"].concat(),
            Line::Variable(name, value) => environment.change(&[prefix, &section, name].concat(), Some(value))?,
            Line::Other => {}
        }
    }
    Ok(())
}

/// What a line says.
#[derive(Debug, PartialEq, Eq)]
enum Line<'a> {
    /// `[NAME]`
    Section(&'a [u8]),
    /// `NAME = VALUE`
    Variable(&'a [u8], &'a [u8]),
    /// A comment, or anything else; both are passed over.
    Other,
}

impl Line<'_> {
    fn parse(line: &[u8]) -> Line<'_> {
        let line = trim(line);
        match line {
            [b'[', name @ .., b']'] => return Line::Section(name),
            [b';', ..] => return Line::Other,
            _ => {}
        }
        let end = line.iter().position(|&byte| byte == b'=' || is_blank(byte)).unwrap_or(line.len());
        let (name, rest) = line.split_at(end);
        trim(rest).strip_prefix(b"=").map_or(Line::Other, |value| Line::Variable(name, trim(value)))
    }
}

fn is_blank(byte: u8) -> bool {
    b" \t\r".contains(&byte)
}

/// Cuts the blanks at both ends.
fn trim(text: &[u8]) -> &[u8] {
    let Some(first) = text.iter().position(|&byte| !is_blank(byte)) else { return b"" };
    let last = text.iter().rposition(|&byte| !is_blank(byte)).unwrap_or(first);
    text.get(first..=last).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::Line::{Other, Section, Variable};
    use super::*;

    #[test]
    fn a_line_is_a_section_a_variable_or_nothing() {
        for (line, says) in [
            ("a=b", Variable(b"a", b"b")),
            (" \ta \t=\t b c \r", Variable(b"a", b"b c")),
            ("a==b=", Variable(b"a", b"=b=")),
            ("a=\"b\" ; c", Variable(b"a", b"\"b\" ; c")),
            ("a=", Variable(b"a", b"")),
            ("a= [b]", Variable(b"a", b"[b]")),
            ("#a=b", Variable(b"#a", b"b")),
            ("[a=b", Variable(b"[a", b"b")),
            ("\u{b}a=b", Variable(b"\x0ba", b"b")),
            ("=b", Variable(b"", b"b")),
            (" [a b] ", Section(b"a b")),
            ("[[]]", Section(b"[]")),
            ("[]", Section(b"")),
            ("[a] = b", Variable(b"[a]", b"b")),
            ("[", Other),
            ("]", Other),
            ("a", Other),
            ("a b=c", Other),
            ("a b", Other),
            ("; a=b", Other),
            (";[a]", Other),
            (" \t\r", Other),
            ("", Other),
        ] {
            assert_eq!(Line::parse(line.as_bytes()), says, "{line:?}");
        }
    }
}
