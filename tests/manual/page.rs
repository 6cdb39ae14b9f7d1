//! A page of the manual, read without its fonts. What a page may be written with is what is known here.

use std::fs;
use std::path::{Path, PathBuf};

/// One page, without fonts.
pub struct Page {
    /// The file.
    pub path: PathBuf,
    /// `svscan(8)`, by the file's name.
    pub reference: String,
    /// The words of `.TH`.
    pub head: Vec<String>,
    /// Title and text of each section.
    pub sections: Vec<(String, String)>,
    /// The tags of its lists, that is the line after each `.TP` and `.TQ`, each with its section's title.
    pub tags: Vec<(String, String)>,
}

impl Page {
    pub fn read(path: &Path) -> Page {
        let name = path.file_stem().and_then(|stem| stem.to_str()).expect("a name");
        let section = path.extension().and_then(|end| end.to_str()).expect("a section");
        let mut page = Page {
            path: path.to_path_buf(),
            reference: format!("{name}({section})"),
            head: Vec::new(),
            sections: Vec::new(),
            tags: Vec::new(),
        };
        let source = fs::read_to_string(path).expect("a page").replace("\\\n", "");
        let mut tag = false;
        for line in source.lines() {
            tag = page.take(line, tag);
        }
        page
    }

    /// Takes in one line of the source; `tag` says that it is a tag. Returns whether the next one is.
    fn take(&mut self, line: &str, tag: bool) -> bool {
        let (name, words) = request(line);
        let text = match name {
            "" => plain(line),
            "B" | "I" => words.join(" "),
            "BI" | "BR" | "IB" | "IR" | "RB" | "RI" => words.concat(),
            "TH" => {
                self.head = words;
                return false;
            }
            "SH" => {
                self.sections.push((words.join(" "), String::new()));
                return false;
            }
            "SS" => words.join(" "),
            "TP" | "TQ" => return true,
            "\\\"" | "EE" | "EX" | "IP" | "PP" | "RE" | "RS" | "ad" | "nr" => return false,
            other => panic!("{}: .{other} is not known here", self.path.display()),
        };
        let (title, body) = self.sections.last_mut().expect("text stands in a section");
        if tag {
            self.tags.push((title.clone(), text.clone()));
        }
        body.push_str(&text);
        body.push('\n');
        false
    }

    pub fn name(&self) -> &str {
        self.reference.split('(').next().expect("a name")
    }

    /// The text of a section; empty if there is none.
    pub fn section(&self, title: &str) -> &str {
        self.sections.iter().find(|(known, _)| known == title).map_or("", |(_, text)| text)
    }

    pub fn text(&self) -> String {
        self.sections.iter().map(|(_, text)| text.as_str()).collect()
    }
}

/// The request or macro of a line, empty for text, and its words.
fn request(line: &str) -> (&str, Vec<String>) {
    let Some(line) = line.strip_prefix('.') else {
        return ("", Vec::new());
    };
    let (name, mut rest) = line.split_once(' ').unwrap_or((line, ""));
    let mut words = Vec::new();
    while !rest.trim_start().is_empty() {
        rest = rest.trim_start();
        let (word, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').expect("a closing quote"),
            None => rest.split_once(' ').unwrap_or((rest, "")),
        };
        words.push(plain(word));
        rest = after;
    }
    (name, words)
}

/// Text without fonts and escapes.
fn plain(text: &str) -> String {
    let mut parts = text.split('\\');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (sign, length) = match part.get(..1).unwrap_or_default() {
            "-" => ("-", 1),
            "e" => ("\\", 1),
            "&" | ":" => ("", 1),
            "f" => ("", 2),
            "(" => (special(&part[1..3]), 3),
            other => panic!("\\{other} is not known here: {text}"),
        };
        out.push_str(sign);
        out.push_str(&part[length..]);
    }
    out
}

fn special(name: &str) -> &'static str {
    match name {
        "aq" => "'",
        "bu" => "*",
        "dq" => "\"",
        "ha" => "^",
        other => panic!("\\({other} is not known here"),
    }
}
