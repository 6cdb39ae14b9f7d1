//! One log: its files as one stream of lines, also while they are rotated.
//!
//! A file keeps its identity over a rotation, and as long as it is open no other one has the same. So what was read under the name `current` or
//! `previous` stays open until it is seen under its own name. A processor makes another file of it: then the old one has lost its last name, and the
//! first new name belongs to it.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::rc::Rc;

use cli::{Voice, text};
use sys::inode::{self, Identity};
use tai::Label;

use super::back::{self, Last, Search};
use super::files::{CURRENT, LogDir, Old, PREVIOUS, PROCESSED};
use super::filter::{Ahead, Filter, stamp, without};
use super::lines::{Cut, Lines};
use super::packed::{self, Packed};
use super::place::unable;
use super::reader::{self, LeftOut, Reader};

/// The most files that are kept open before they are read, so that it does not matter when they are removed.
const OPEN: usize = 200;
/// The most files that are kept open until they are seen under their names.
const UNNAMED: usize = 64;
/// How often a directory is looked at once more because a rotation came between.
const LOOKS: usize = 1000;

/// A file that is to be read.
struct Part {
    name: OsString,
    /// When it was finished, if it was.
    label: Option<Label>,
    is_cut: bool,
    /// It is open already.
    file: Option<File>,
    /// Where to begin.
    at: u64,
}

impl Part {
    /// Whether it is this file, which was found under a name that is not its own.
    fn is(&self, identity: Identity) -> bool {
        let file = self.file.as_ref().filter(|_| self.label.is_none());
        file.and_then(|file| inode::of(file).ok()) == Some(identity)
    }
}

/// A log.
pub struct Source {
    /// What stands in front of its lines, where there are several logs.
    pub title: String,
    dir: LogDir,
    /// By how many seconds its labels are ahead.
    pub ahead: Ahead,
    filter: Rc<Filter>,
    has_processor: bool,
    follows: bool,
    voice: Voice,
    queue: VecDeque<Part>,
    reader: Option<Reader>,
    /// What is read was not yet seen under its own name.
    is_unnamed: bool,
    /// The reader was at its end when it was known already that there is another file behind it, so there is nothing more in it.
    is_drained: bool,
    /// The line that the end of a file has cut may go on in the next one, whose beginning is not known yet.
    cut_by: Option<bool>,
    /// The finished files that were queued, or seen to be what was read.
    known: BTreeSet<Label>,
    /// Files that were read, and not yet seen under their names.
    unnamed: VecDeque<File>,
    lines: Lines,
    /// The time of the last line that had one.
    time: Option<Label>,
    /// The line is meant whose pieces come.
    takes: bool,
    next: Option<Cut>,
    /// Something in it could not be read.
    pub is_lacking: bool,
}

/// How a source is read.
pub struct Way {
    /// By how many seconds the labels are ahead.
    pub ahead: Ahead,
    /// Finished files get their names after a processor.
    pub has_processor: bool,
    /// It is read on at its end.
    pub follows: bool,
    /// Which lines are meant.
    pub filter: Rc<Filter>,
    /// Who tells what cannot be read.
    pub voice: Voice,
}

impl Source {
    /// Makes a source of a log directory, with all of its files before it.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn new(title: String, dir: LogDir, way: Way) -> io::Result<Source> {
        let Way { ahead, has_processor, follows, filter, voice } = way;
        let mut source = Source {
            title,
            dir,
            ahead,
            filter,
            has_processor,
            follows,
            voice,
            queue: VecDeque::new(),
            reader: None,
            is_unnamed: false,
            is_drained: false,
            cut_by: None,
            known: BTreeSet::new(),
            unnamed: VecDeque::new(),
            lines: Lines::default(),
            time: None,
            takes: false,
            next: None,
            is_lacking: false,
        };
        source.refresh()?;
        source.leave_out();
        Ok(source)
    }

    /// Leaves out the files that have ended before the time that is asked for, or begun after it.
    fn leave_out(&mut self) {
        let time = |part: &Part| part.label.map(|label| without(label, self.ahead));
        if let Some(since) = self.filter.since {
            self.queue.retain(|part| time(part).is_none_or(|time| time >= since));
        }
        if let Some(until) = self.filter.until {
            let later = self.queue.iter().position(|part| time(part).is_some_and(|time| time > until));
            self.queue.truncate(later.map_or(usize::MAX, |at| at + 1));
        }
    }

    /// Puts the files into the queue that are there and were not read. Does nothing if there are no others than before.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn refresh(&mut self) -> io::Result<()> {
        let read = self.reader.as_ref().map(Reader::identity).transpose()?;
        let is_the_same = read.is_some() && self.dir.identity(CURRENT.as_ref()).ok() == read;
        if is_the_same && self.queue.is_empty() && self.unnamed.is_empty() {
            return Ok(());
        }
        for _ in 0..LOOKS {
            if let Some(parts) = self.look(read)? {
                self.is_drained &= parts.is_empty();
                self.queue.extend(parts);
                return Ok(());
            }
        }
        Err(io::Error::other("it is rotated again and again"))
    }

    /// Looks at the directory once. `None` if a rotation came between.
    fn look(&mut self, read: Option<Identity>) -> io::Result<Option<Vec<Part>>> {
        let current = self.dir.file_if_any(CURRENT)?;
        let current_identity = current.as_ref().map(inode::of).transpose()?;
        let previous = self.dir.file_if_any(PREVIOUS)?;
        let previous_identity = previous.as_ref().map(inode::of).transpose()?;
        // What a processor has made has no name of its own yet. Its name will be told.
        let is_between = previous.is_none() && self.dir.identity(PROCESSED.as_ref()).is_ok();
        if is_between && self.has_processor && read.is_some() {
            return Ok(Some(Vec::new()));
        }
        let mut all = self.dir.finished()?;
        // svlogd keeps a file until its processor has made the other one.
        all.dedup_by_key(|old| old.label);
        let is_rotated = self.dir.identity(CURRENT.as_ref()).ok() != current_identity;
        let is_processed = self.has_processor && previous.as_ref().is_some_and(reader::is_removed);
        if is_rotated || is_processed || previous_identity.is_some() && previous_identity == current_identity {
            return Ok(None);
        }
        let (mut new, mut own, mut named) = (Vec::new(), Vec::new(), false);
        for old in all.iter().filter(|old| !self.known.contains(&old.label)) {
            // It may be removed by now.
            let Ok(identity) = self.dir.identity(&old.name) else { continue };
            if Some(identity) == current_identity {
                return Ok(None);
            }
            named |= Some(identity) == previous_identity;
            if Some(identity) == read || self.is_queued(identity) {
                own.push((old.clone(), identity));
            } else {
                new.push(old.clone());
            }
        }
        // Nothing is changed before it is certain that this look counts.
        for (old, identity) in own {
            self.is_unnamed &= Some(identity) != read;
            self.unnamed.retain(|file| inode::of(file).ok() != Some(identity));
            for part in self.queue.iter_mut().filter(|part| part.is(identity)) {
                part.label = Some(old.label);
            }
            self.known.insert(old.label);
        }
        let labels: BTreeSet<Label> = all.iter().map(|old| old.label).collect();
        self.known.retain(|label| labels.contains(label));
        self.pair(&mut new);
        let is_first = self.reader.is_none() && self.queue.is_empty();
        let mut parts: Vec<Part> = Vec::new();
        for old in new {
            let file = if is_first || parts.len() >= OPEN { None } else { self.dir.file(&old.name).ok() };
            self.known.insert(old.label);
            parts.push(Part { name: old.name, label: Some(old.label), is_cut: old.is_cut, file, at: 0 });
        }
        for (name, file, identity) in [(PREVIOUS, previous, previous_identity), (CURRENT, current, current_identity)] {
            let Some((file, identity)) = file.zip(identity) else { continue };
            if Some(identity) == read || self.is_queued(identity) || name == PREVIOUS && named {
                continue;
            }
            parts.push(Part { name: name.into(), label: None, is_cut: false, file: Some(file), at: 0 });
        }
        Ok(Some(parts))
    }

    /// Whether a file was read, or will be, under another name than its own.
    fn is_queued(&self, identity: Identity) -> bool {
        self.queue.iter().any(|part| part.is(identity))
            || self.unnamed.iter().any(|file| inode::of(file).ok() == Some(identity))
    }

    /// Takes the files away that a processor has made of what was read, or will be.
    fn pair(&mut self, new: &mut Vec<Old>) {
        if !self.has_processor {
            // What was removed has lost its own name too.
            self.unnamed.retain(|file| !reader::is_removed(file));
            return;
        }
        while !new.is_empty() {
            let unnamed = self.queue.iter_mut().find(|part| part.label.is_none());
            if let Some(oldest) = self.unnamed.front() {
                if !reader::is_removed(oldest) {
                    return;
                }
                self.unnamed.pop_front();
            } else if let Some(reader) = self.reader.as_ref().filter(|_| self.is_unnamed) {
                if !reader.is_removed() {
                    return;
                }
                self.is_unnamed = false;
            } else if let Some(part) = unnamed {
                if !part.file.as_ref().is_some_and(reader::is_removed) {
                    return;
                }
                part.label = Some(new[0].label);
            } else {
                return;
            }
            self.known.insert(new.remove(0).label);
        }
    }

    /// Leaves in the queue what has the last `wanted` lines, and returns how many there are.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn rewind(&mut self, wanted: usize) -> io::Result<usize> {
        let mut count = 0;
        let mut at = self.queue.len();
        while at > 0 && (count < wanted || at == self.queue.len()) {
            at -= 1;
            let Some(file) = self.open(at) else { continue };
            let begins_amid = self.begins_amid(at, &file);
            let search = Search { filter: &self.filter, ahead: self.ahead, wanted: wanted - count, begins_amid };
            let found = match packed::program(&file) {
                None => back::last(&file, file.metadata()?.len(), search)?,
                Some(program) => match Packed::open(program, &file) {
                    Ok(mut packed) => back::last_of_stream(&mut packed, search)?,
                    // It is told when it is to be read.
                    Err(_) => Last { position: 0, count: 0 },
                },
            };
            count += found.count;
            let last = self.queue.len() - 1;
            let part = &mut self.queue[at];
            // The rest of a line belongs to the file before, which is looked at next.
            part.at = if begins_amid && count < wanted { 0 } else { found.position };
            if last - at < OPEN {
                part.file = Some(file);
            }
        }
        self.queue.drain(..at);
        Ok(count)
    }

    /// Opens a file of the queue. `None` if it is not there any more, or cannot be read, which is told when it is to be read.
    fn open(&self, at: usize) -> Option<File> {
        let part = self.queue.get(at)?;
        match &part.file {
            Some(file) => file.try_clone().ok(),
            None => self.dir.file(&part.name).ok(),
        }
    }

    /// Whether a file of the queue begins with the rest of a line.
    fn begins_amid(&self, at: usize, file: &File) -> bool {
        let before = at.checked_sub(1).and_then(|before| Some((self.open(before)?, self.queue[before].is_cut)));
        before.is_some_and(|(before, is_cut)| {
            packed::program(&before).is_none()
                && !reader::ends_with_a_line(&before)
                && reader::goes_on(is_cut, &reader::head(file))
        })
    }

    /// Finds the next line, or piece of one; `false` if there is none now.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn find(&mut self) -> io::Result<bool> {
        while self.next.is_none() {
            if let Some(cut) = self.lines.next() {
                self.judge(cut);
            } else if self.read()? {
                continue;
            } else if !self.queue.is_empty() {
                self.turn();
            } else if let Some(cut) = if self.follows { None } else { self.lines.rest() } {
                self.judge(cut);
            } else {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Reads once from the file that is read; `false` if there is nothing more in it.
    fn read(&mut self) -> io::Result<bool> {
        let Some(reader) = &mut self.reader else { return Ok(false) };
        if let Some(is_cut) = self.cut_by {
            let head = reader.head();
            if !head.is_empty() || reader.is_packed() {
                if reader.is_packed() || !reader::goes_on(is_cut, &head) {
                    self.lines.end_line();
                    self.cut_by = None;
                    return Ok(true);
                }
                self.cut_by = None;
            }
        }
        if self.follows {
            reader.begin_again_if_emptied()?;
        }
        if self.lines.fill(reader)? {
            self.is_drained = false;
            return Ok(true);
        }
        // What was written before the next file was made is read now.
        let again = !self.queue.is_empty() && !std::mem::replace(&mut self.is_drained, true);
        Ok(again)
    }

    /// Turns to the next file.
    fn turn(&mut self) {
        let Some(part) = self.queue.pop_front() else { return };
        if let Some(mut last) = self.reader.take() {
            if !last.was_whole() {
                self.lack(&text!("a compressed file in ", self.dir.path, " is damaged"));
            }
            if self.lines.is_amid() {
                self.cut_by.get_or_insert(last.is_cut());
            }
            if std::mem::take(&mut self.is_unnamed) {
                self.unnamed.push_back(last.into_file());
                if self.unnamed.len() > UNNAMED {
                    self.unnamed.pop_front();
                }
            }
        }
        self.is_drained = false;
        let file = part.file.map_or_else(|| self.dir.file(&part.name), Ok);
        let path = self.dir.path.join(&part.name);
        match file.map_err(LeftOut::from).and_then(|file| Reader::new(file, part.is_cut, part.at)) {
            Ok(reader) => {
                self.is_unnamed = part.label.is_none();
                self.reader = Some(reader);
            }
            // The oldest files are removed when there are too many.
            Err(LeftOut::Unreadable(error)) if error.kind() == io::ErrorKind::NotFound => {}
            Err(LeftOut::Unreadable(error)) => self.lack(&unable("read", &path, &error)),
            Err(LeftOut::NoProgram(program, error)) => {
                let reason = cli::reason(&error);
                self.lack(&text!(path, " is left out: unable to run ", program, " -dc: ", reason.as_ref()));
            }
        }
    }

    fn lack(&mut self, text: &cli::Text) {
        self.voice.say(&[&text.0.as_slice()]);
        self.is_lacking = true;
    }

    /// Judges whether a line is meant.
    fn judge(&mut self, cut: Cut) {
        if cut.begins {
            let line = self.lines.bytes(&cut);
            self.time = stamp(line).map(|label| without(label, self.ahead)).or(self.time);
            self.takes = self.filter.takes(self.time, line);
        }
        self.next = Some(cut).filter(|_| self.takes);
    }

    /// Where the next line belongs among those of other logs. What continues a line comes first. Lines without a time come with the line before them.
    pub fn place(&self) -> Label {
        let begins = self.next.as_ref().is_none_or(|cut| cut.begins);
        self.time.filter(|_| begins).unwrap_or_default()
    }

    /// Takes what was found, with its bytes.
    pub fn take(&mut self) -> Option<(Cut, &[u8])> {
        let cut = self.next.take()?;
        let bytes = self.lines.bytes(&cut);
        Some((cut, bytes))
    }

    /// Where it lies.
    pub fn path(&self) -> &std::path::Path {
        &self.dir.path
    }
}
