//! The mark: comment lines that show that `uphold boot` has installed a file, and that list what was made with it.

use std::fmt::Write;
use std::path::PathBuf;

const WRITTEN: &str = "# Written by uphold boot install";
const ALSO: &str = ", which also made:";
const MADE: &str = "#   /";
const UNTIL: &str = "# uphold boot remove takes it away again.";

/// The text of a file, and the directories and links that were made with it, in the order in which they were made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marked {
    pub text: String,
    pub made: Vec<PathBuf>,
}

impl Marked {
    /// Returns the text with the mark, which comes after the first line if that names an interpreter.
    pub fn write(&self) -> String {
        let (first, rest) = self.text.split_at(interpreter(&self.text));
        format!("{first}{}{rest}", self.head())
    }

    fn head(&self) -> String {
        let mut head = String::from(WRITTEN);
        head.push_str(if self.made.is_empty() { "." } else { ALSO });
        for path in &self.made {
            // Writing to a String cannot fail.
            let _ = write!(head, "\n#   {}", path.display());
        }
        head.push('\n');
        head.push_str(UNTIL);
        head.push('\n');
        head
    }

    /// Splits a text with a mark; `None` if the text has no mark.
    pub fn read(text: &str) -> Option<Marked> {
        let (first, marked) = text.split_at(interpreter(text));
        let mut lines = marked.split_inclusive('\n');
        let mut length = lines.next().filter(|line| line.starts_with(WRITTEN))?.len();
        let mut made = Vec::new();
        loop {
            let line = lines.next()?;
            length += line.len();
            let line = line.trim_end();
            if line == UNTIL {
                let text = format!("{first}{}", &marked[length..]);
                return Some(Marked { text, made });
            }
            made.push(format!("/{}", line.strip_prefix(MADE)?).into());
        }
    }

    /// Returns whether a mark may begin at this line.
    pub fn begins(line: &[u8]) -> bool {
        line.starts_with(WRITTEN.as_bytes())
    }
}

/// The length of the line that names the interpreter, in bytes; 0 if there is none.
fn interpreter(text: &str) -> usize {
    if text.starts_with("#!") { text.find('\n').map_or(text.len(), |end| end + 1) } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for text in ["", "#!/bin/sh\necho\n", "[Unit]\nA=b\n", "#!/bin/sh\n"] {
            for made in [&[][..], &["/a"], &["/a", "/a/b c"]] {
                let marked = Marked { text: text.into(), made: made.iter().map(PathBuf::from).collect() };
                assert_eq!(Marked::read(&marked.write()), Some(marked));
            }
        }
    }

    #[test]
    fn the_interpreter_stays_the_first_line() {
        let marked = Marked { text: "#!/bin/sh\necho\n".into(), made: vec!["/service".into()] };
        assert_eq!(
            marked.write(),
            "#!/bin/sh\n# Written by uphold boot install, which also made:\n#   /service\n\
             # uphold boot remove takes it away again.\necho\n"
        );
    }

    #[test]
    fn other_files_bear_no_mark() {
        for text in ["", "#!/bin/sh", "[Unit]\n", WRITTEN, "# Written by uphold boot install.\nelse\n"] {
            assert_eq!(Marked::read(text), None, "{text}");
        }
    }
}
