//! What may stand at the cursor of a command line.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use cli::Program;
use svdir::names;

use super::super::scan::Scan;
use super::super::shown;
use super::grammar::{Grammar, Kind};

/// The programs that the scripts are for: `uphold`, and those that take service directories.
pub const CLIENTS: [&str; 5] = ["uphold", "svc", "svok", "svstat", "svup"];

/// A word and the program that answers it.
type Entry = (&'static str, Program);

/// Everything that can be called.
pub struct Table {
    /// `uphold` itself.
    pub uphold: Program,
    /// The words that `-C` may stand before.
    pub words: Vec<Entry>,
    /// The other words.
    pub others: Vec<Entry>,
    /// The programs of the suite.
    pub programs: Vec<Entry>,
}

/// A command line, without quotes.
pub struct Line<'a> {
    /// How the program is called.
    pub called: &'a [u8],
    /// The words up to the cursor.
    pub before: &'a [&'a [u8]],
    /// The one that is being typed, as far as the cursor.
    pub typed: &'a [u8],
}

/// A word that may stand at the cursor.
#[derive(Debug, PartialEq, Eq)]
pub struct Candidate {
    pub word: Vec<u8>,
    pub meaning: &'static str,
}

/// What the shell is to add.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum More {
    #[default]
    Nothing,
    Files,
    Directories,
    Users,
    Commands,
}

impl More {
    /// What the scripts call it.
    pub const fn word(self) -> &'static str {
        match self {
            More::Nothing => "nothing",
            More::Files => "files",
            More::Directories => "directories",
            More::Users => "users",
            More::Commands => "commands",
        }
    }
}

/// What may stand at the cursor.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Offer {
    pub candidates: Vec<Candidate>,
    pub more: More,
}

impl Offer {
    fn only(more: More) -> Offer {
        Offer { candidates: Vec::new(), more }
    }

    fn add(&mut self, word: &[u8], meaning: &'static str) {
        self.candidates.push(Candidate { word: word.to_vec(), meaning });
    }
}

impl Table {
    /// What may stand at the cursor.
    pub fn offer(&self, line: &Line) -> Offer {
        let called = Path::new(OsStr::from_bytes(line.called)).file_name().unwrap_or_default().as_bytes();
        let is_client = |name: &str| CLIENTS.contains(&name);
        if called != self.uphold.name.as_bytes() {
            return match find(&self.programs, called) {
                Some(&(name, program)) => {
                    let rules =
                        Rules { grammar: Grammar::of(&program, is_client(name)), anywhere: false, scan_dir: None };
                    rules.offer(line.before, line.typed)
                }
                None => Offer::only(More::Files),
            };
        }
        let (scan_dir, before) = match line.before {
            [b"-C"] => return Offer::only(More::Directories),
            [b"-C", dir, before @ ..] => (Some(*dir), before),
            [word, before @ ..] if word.starts_with(b"-C") => (Some(&word[2..]), before),
            before => (None, before),
        };
        let Some((word, before)) = before.split_first() else {
            return self.first_words(line.typed, scan_dir.is_some());
        };
        if let Some(&(_, program)) =
            find(&self.words, word).or_else(|| find(&self.others, word).filter(|_| scan_dir.is_none()))
        {
            let grammar = Grammar::of(&program, false);
            return Rules { grammar, anywhere: true, scan_dir: scan_dir.map(path) }.offer(before, line.typed);
        }
        if scan_dir.is_none() && find(&self.programs, word).is_some() {
            return self.offer(&Line { called: word, before, typed: line.typed });
        }
        // It is somebody else's: uphold-WORD.
        Offer::only(More::Files)
    }

    /// What may stand where no word is yet.
    fn first_words(&self, typed: &[u8], is_directory_named: bool) -> Offer {
        let mut offer = Offer::default();
        if typed.starts_with(b"-") && !is_directory_named {
            let own = Rules { grammar: Grammar::of(&self.uphold, false), anywhere: false, scan_dir: None };
            own.add_options(&mut offer, true);
        } else {
            let others = self.others.iter().chain(&self.programs).filter(|_| !is_directory_named);
            self.words
                .iter()
                .chain(others)
                .for_each(|(name, program)| offer.add(name.as_bytes(), first_sentence(program.about)));
        }
        offer
    }
}

/// The first sentence of a text, without its full stop.
fn first_sentence(text: &'static str) -> &'static str {
    text.split(". ").next().unwrap_or(text).trim_end_matches('.')
}

fn find<'a>(entries: &'a [Entry], word: &[u8]) -> Option<&'a Entry> {
    entries.iter().find(|(name, _)| name.as_bytes() == word)
}

/// A path that may begin with `~/`.
fn path(word: &[u8]) -> PathBuf {
    let home = word.strip_prefix(b"~/").zip(std::env::var_os("HOME"));
    home.map_or_else(
        || PathBuf::from(OsString::from_vec(word.to_vec())),
        |(rest, home)| Path::new(&home).join(OsStr::from_bytes(rest)),
    )
}

/// The rules of one word or program.
struct Rules {
    grammar: Grammar,
    /// Options may stand behind operands.
    anywhere: bool,
    scan_dir: Option<PathBuf>,
}

/// Where in its command line the cursor is.
#[derive(Default)]
struct At<'a> {
    /// Behind an option that wants this value.
    value: Option<&'a Kind>,
    /// Behind so many operands.
    operands: usize,
    /// Behind `--`, before which so many of them stand.
    dashes: Option<usize>,
    /// Behind all options.
    ended: bool,
}

impl Rules {
    fn offer(&self, before: &[&[u8]], typed: &[u8]) -> Offer {
        let at = before.iter().fold(At::default(), |at, word| self.behind(at, word));
        let mut offer = Offer::default();
        if let Some(kind) = at.value {
            self.add(kind, typed, &at, &mut offer);
        } else if let Some((equals, kind)) = self.with_value(typed).filter(|_| !at.ended) {
            let (name, value) = typed.split_at(equals + 1);
            self.add(kind, value, &at, &mut offer);
            offer.candidates.iter_mut().for_each(|candidate| candidate.word = [name, &candidate.word].concat());
        } else if typed.starts_with(b"-") && !at.ended {
            self.add_options(&mut offer, before.is_empty());
        } else {
            for kind in self.grammar.operand(at.operands, at.dashes) {
                self.add(kind, typed, &at, &mut offer);
            }
        }
        offer
    }

    /// Where the cursor is behind one more word.
    fn behind<'a>(&'a self, at: At<'a>, word: &[u8]) -> At<'a> {
        if at.value.is_some() {
            return At { value: None, ..at };
        }
        let is_option = !at.ended && word.len() > 1 && word.starts_with(b"-");
        match word {
            b"--" if !at.ended => At { ended: true, dashes: Some(at.operands), ..at },
            _ if is_option && word.starts_with(b"--") => At { value: self.wanted(word), ..at },
            [_, letters @ ..] if is_option => At { value: self.wanted_by_letters(letters), ..at },
            _ => At { operands: at.operands + 1, ended: at.ended || !self.anywhere, ..at },
        }
    }

    /// The value that an option wants from the next word.
    fn wanted(&self, name: &[u8]) -> Option<&Kind> {
        self.grammar.choice(name)?.value.as_ref()
    }

    /// As [`wanted`](Rules::wanted), of the letters of a word: the first that wants a value has the rest of the word for it, if there is any.
    fn wanted_by_letters(&self, letters: &[u8]) -> Option<&Kind> {
        let at = letters.iter().position(|&letter| self.wanted(&[b'-', letter]).is_some())?;
        self.wanted(&[b'-', letters[at]]).filter(|_| at + 1 == letters.len())
    }

    /// Where in `--name=value` the `=` is, and what the value may be.
    fn with_value(&self, word: &[u8]) -> Option<(usize, &Kind)> {
        let at = word.iter().position(|&byte| byte == b'=').filter(|_| word.starts_with(b"--"))?;
        Some((at, self.wanted(&word[..at])?))
    }

    fn add_options(&self, offer: &mut Offer, is_first: bool) {
        for choice in &self.grammar.choices {
            choice.names.iter().for_each(|name| offer.add(name.as_bytes(), choice.meaning));
        }
        if is_first {
            offer.add(b"--help", "print a page of help");
            offer.add(b"--version", "print the version");
        }
    }

    fn add(&self, kind: &Kind, typed: &[u8], at: &At, offer: &mut Offer) {
        match kind {
            Kind::Service => self.add_services(typed, at, offer),
            Kind::Directory => offer.more = More::Directories,
            Kind::File => offer.more = More::Files,
            Kind::User => offer.more = More::Users,
            Kind::Command => offer.more = More::Commands,
            Kind::Words(words) => words.iter().for_each(|&(word, meaning)| offer.add(word.as_bytes(), meaning)),
            Kind::Other => {}
        }
    }

    /// Adds the services of the scan directory; behind `NAME/` its logger; and directories where a path is typed.
    fn add_services(&self, typed: &[u8], at: &At, offer: &mut Offer) {
        let scan = Scan::open(self.scan_dir.clone()).ok();
        let service = typed.iter().position(|&byte| byte == b'/').map(|slash| &typed[..slash]);
        for name in scan.iter().flat_map(|scan| &scan.names) {
            // What a terminal would obey cannot be typed either; what looks like an option would be taken for one.
            let is_plain = shown::name(name).as_bytes() == name.as_bytes();
            if !is_plain || name.as_bytes().starts_with(b"-") && !at.ended {
                continue;
            }
            let logger = Path::new(name).join(names::LOG);
            match service {
                None => offer.add(name.as_bytes(), ""),
                Some(service) if service == name.as_bytes() => {
                    if scan.as_ref().is_some_and(|scan| scan.dir.join(&logger).is_dir()) {
                        offer.add(logger.as_os_str().as_bytes(), "");
                    }
                }
                Some(_) => {}
            }
        }
        if (service.is_some() && offer.candidates.is_empty()) || typed.starts_with(b".") || typed.starts_with(b"~") {
            offer.more = More::Directories;
        }
    }
}
