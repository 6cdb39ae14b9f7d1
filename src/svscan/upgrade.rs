//! The state that svscan hands over to its new file: the services, their supervises, and the descriptors that it holds.
//!
//! The bytes are the line [`MAGIC`], followed by [`svdir::record::sections`]. Each section is a sequence of words, each of which ends with a NUL,
//! since names may contain any other byte. Unknown sections are skipped, unless their tag is critical, and so are unknown words at the end of a
//! section, so that a later release can add to the state. The older layout, a sequence of words without sections (`uphold svscan 1`), stays
//! readable for ever.

use std::ffi::OsStr;
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::rc::Rc;
use std::str::FromStr;

use cli::{Warnings, text};
use machine::scan::{HandedOverService, HandedOverSupervise, Id, Life, Reader, Role};
use machine::{Pid, Tick};
use svdir::record::sections::{self, Sections};
use sys::process::Signal;
use sys::sealed;
use sys::signals::Signals;

use super::arguments::VOICE;
use crate::service::log_pipe::PipeEnds;

/// The line with which the state begins.
const MAGIC: &[u8] = b"uphold svscan in sections\n";
/// The tag of the section with the lock and the limit on open files. The tags of the other sections follow.
const SVSCAN: u8 = 1;
/// A service.
const SERVICE: u8 = 2;
/// One more name of the service in the last [`SERVICE`].
const NAME: u8 = 3;
/// A supervise that is not a child.
const OTHER: u8 = 4;
/// The OOM score for children.
const OOM: u8 = 5;
/// The state says which log supervises are copiers.
const COPIERS: u8 = 6;
/// The log supervise of the service in the last [`SERVICE`] is a copier.
const COPIER: u8 = 7;
/// The descriptor of the copiers' lock.
const LINES: u8 = 8;
/// A descriptor: its [`Key`], and its number.
const DESCRIPTOR: u8 = 9;

/// The word for a number that is `None`.
const NONE: &[u8] = b"-";

/// The purpose of a descriptor. Numbers without a constant belong to later releases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(pub u8);

impl Key {
    /// The read end of the pipe for signals.
    pub const SIGNALS: Key = Key(1);
    /// The write end of the pipe for signals.
    pub const SIGNALS_WRITER: Key = Key(2);
}

/// The state that is handed over.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ScanState {
    /// The descriptor of the lock on the scan directory, if there is a lock.
    pub lock: Option<RawFd>,
    /// The inherited soft limit on open files, if svscan has changed it.
    pub open_files: Option<u64>,
    /// The OOM score that children get, if it is not that of svscan. A svscan that has not lowered its own score leaves this out.
    pub oom: Option<i16>,
    /// Whether the state says which log supervises are copiers. Older svscans left this out, and so do svscans without copiers.
    pub tells_copiers: bool,
    /// The descriptor of the copiers' lock. Older svscans left this out.
    pub lines: Option<RawFd>,
    /// Descriptors that svscan itself needs, including those with unknown keys. Older svscans left this out.
    pub descriptors: Vec<(Key, RawFd)>,
    /// All services.
    pub services: Vec<HandedOverService<PipeEnds>>,
    /// The FIFOs of the supervises that are not children.
    pub others: Vec<(Id, Role, RawFd)>,
}

impl ScanState {
    /// Returns the state as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        let mut section = |tag: u8, fill: &dyn Fn(&mut Words)| {
            let mut words = Words::default();
            fill(&mut words);
            // It fits: the longest section has one file name.
            let length = u16::try_from(words.0.len()).unwrap_or(0);
            bytes.push(tag);
            bytes.extend(length.to_le_bytes());
            bytes.extend(&words.0[..usize::from(length)]);
        };
        section(SVSCAN, &|words| {
            words.option(self.lock);
            words.option(self.open_files);
        });
        if let Some(oom) = self.oom {
            section(OOM, &|words| words.number(oom));
        }
        if self.tells_copiers {
            section(COPIERS, &|_| {});
        }
        if let Some(lines) = self.lines {
            section(LINES, &|words| words.number(lines));
        }
        for &(Key(key), number) in &self.descriptors {
            section(DESCRIPTOR, &|words| {
                words.number(key);
                words.number(number);
            });
        }
        for service in &self.services {
            section(SERVICE, &|words| words.service(service));
            for name in &service.names {
                section(NAME, &|words| words.word(name.as_bytes()));
            }
            if service.reader == Reader::Copier {
                section(COPIER, &|_| {});
            }
        }
        for &(id, role, fd) in &self.others {
            section(OTHER, &|words| {
                words.id(id);
                words.number(u8::from(role == Role::Log));
                words.number(fd);
            });
        }
        if cfg!(feature = "from-the-future") {
            section(sections::UNKNOWN, &|words| words.word(b"more than is known"));
        }
        bytes
    }

    /// Parses the bytes that [`encode`](ScanState::encode) of any release has made. Returns `None` for anything else.
    pub fn decode(bytes: &[u8]) -> Option<ScanState> {
        let Some(sections) = bytes.strip_prefix(MAGIC) else {
            return decode_1(bytes);
        };
        let (mut state, mut is_there) = (ScanState::default(), false);
        for section in Sections(sections) {
            let (tag, fields) = section.ok()?;
            let mut source = Source(fields.rest());
            match tag {
                SVSCAN => (state.lock, state.open_files, is_there) = (source.option()?, source.option()?, true),
                SERVICE => state.services.push(source.service()?),
                NAME => state.services.last_mut()?.names.push(source.name()?),
                COPIER => state.services.last_mut()?.reader = Reader::Copier,
                OTHER => state.others.push((source.id()?, source.role()?, source.number()?)),
                OOM => state.oom = Some(source.number()?),
                COPIERS => state.tells_copiers = true,
                LINES => state.lines = Some(source.number()?),
                DESCRIPTOR => state.descriptors.push((Key(source.number()?), source.number()?)),
                _ if tag & sections::CRITICAL != 0 => return None,
                _ => {}
            }
        }
        is_there.then_some(state)
    }
}

/// Catches the signals `caught` again, with the pipe among `descriptors`. Other descriptors, which only a later release knows, are closed. An older
/// svscan has left no pipe: then a new one is made, however long that takes, since the services need svscan.
pub fn catch_again(caught: &[Signal], descriptors: &[(Key, RawFd)]) -> Signals {
    let inherit = |&(key, number): &(Key, RawFd)| Some((key, sealed::inherit(number).ok()?));
    let mut open: Vec<(Key, OwnedFd)> = descriptors.iter().filter_map(inherit).collect();
    let mut take = |key| open.iter().position(|&(known, _)| known == key).map(|at| open.swap_remove(at).1);
    let mut pipe = take(Key::SIGNALS).zip(take(Key::SIGNALS_WRITER));
    let mut said = Warnings::new(VOICE);
    loop {
        let signals = match pipe.take() {
            Some(pipe) => Signals::catch_with(caught, pipe),
            None => Signals::catch(caught),
        };
        match signals {
            Ok(signals) => return signals,
            Err(error) => {
                said.warning("signals", text!("unable to create pipe, trying again in a second"), &error);
                sys::poll::rest();
            }
        }
    }
}

#[derive(Default)]
struct Words(Vec<u8>);

impl Words {
    fn word(&mut self, word: &[u8]) {
        self.0.extend_from_slice(word);
        self.0.push(0);
    }

    fn number(&mut self, number: impl ToString) {
        self.word(number.to_string().as_bytes());
    }

    fn option(&mut self, number: Option<impl ToString>) {
        match number {
            Some(number) => self.number(number),
            None => self.word(NONE),
        }
    }

    fn id(&mut self, id: Id) {
        self.number(id.device);
        self.number(id.inode);
    }

    fn service(&mut self, service: &HandedOverService<PipeEnds>) {
        self.id(service.id);
        self.supervise(service.main);
        self.supervise(service.log);
        self.option(service.pipe.map(|(reader, _)| reader));
        self.option(service.pipe.and_then(|(_, writer)| writer));
        self.number(u8::from(service.released));
    }

    fn supervise(&mut self, supervise: HandedOverSupervise) {
        let (life, pid) = match supervise.life {
            Life::None => (0, None),
            Life::Child(pid) => (1, Some(pid)),
            Life::Other(pid) => (2, pid),
        };
        self.number(life);
        self.option(pid.map(|Pid(pid)| pid));
        self.number(supervise.earliest.0);
    }
}

struct Source<'a>(&'a [u8]);

impl<'a> Source<'a> {
    fn word(&mut self) -> Option<&'a [u8]> {
        let end = self.0.iter().position(|&byte| byte == 0)?;
        let word = &self.0[..end];
        self.0 = &self.0[end + 1..];
        Some(word)
    }

    fn number<T: FromStr>(&mut self) -> Option<T> {
        std::str::from_utf8(self.word()?).ok()?.parse().ok()
    }

    fn option<T: FromStr>(&mut self) -> Option<Option<T>> {
        let before = self.0;
        if self.word()? == NONE {
            return Some(None);
        }
        self.0 = before;
        self.number().map(Some)
    }

    fn id(&mut self) -> Option<Id> {
        Some(Id { device: self.number()?, inode: self.number()? })
    }

    fn flag(&mut self) -> Option<bool> {
        match self.number::<u8>()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    fn role(&mut self) -> Option<Role> {
        Some(if self.flag()? { Role::Log } else { Role::Main })
    }

    fn service(&mut self) -> Option<HandedOverService<PipeEnds>> {
        let (id, main, log) = (self.id()?, self.supervise()?, self.supervise()?);
        let (input, writer) = (self.option()?, self.option()?);
        let (names, pipe) = (Vec::new(), input.map(|input| (input, writer)));
        Some(HandedOverService { id, names, main, log, reader: Reader::Logger, pipe, released: self.flag()? })
    }

    fn name(&mut self) -> Option<Rc<OsStr>> {
        Some(Rc::from(OsStr::from_bytes(self.word()?)))
    }

    fn supervise(&mut self) -> Option<HandedOverSupervise> {
        let (life, pid) = (self.number::<u8>()?, self.option()?.map(Pid));
        let life = match (life, pid) {
            (0, None) => Life::None,
            (1, Some(pid)) => Life::Child(pid),
            (2, pid) => Life::Other(pid),
            _ => return None,
        };
        Some(HandedOverSupervise { life, earliest: Tick(self.number()?) })
    }
}

/// Parses the older layout without sections. The first word is the name of the layout; the lock and the limit on open files follow. Then comes
/// each item, such as a service or a supervise that is not a child, after a word that names its kind.
fn decode_1(bytes: &[u8]) -> Option<ScanState> {
    let mut source = Source(bytes);
    if source.word()? != b"uphold svscan 1" {
        return None;
    }
    let (lock, open_files) = (source.option()?, source.option()?);
    let mut state = ScanState { lock, open_files, ..ScanState::default() };
    let mut copiers: Vec<Id> = Vec::new();
    while !source.0.is_empty() {
        match source.word()? {
            b"service" => {
                let mut service = source.service()?;
                let count: usize = source.number()?;
                service.names = (0..count).map(|_| source.name()).collect::<Option<_>>()?;
                state.services.push(service);
            }
            b"oom" => state.oom = Some(source.number()?),
            b"copiers" => {
                let count: usize = source.number()?;
                copiers = (0..count).map(|_| source.id()).collect::<Option<_>>()?;
                state.tells_copiers = true;
            }
            b"lines" => state.lines = Some(source.number()?),
            b"other" => state.others.push((source.id()?, source.role()?, source.number()?)),
            _ => return None,
        }
    }
    for kept in state.services.iter_mut().filter(|kept| copiers.contains(&kept.id)) {
        kept.reader = Reader::Copier;
    }
    Some(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> ScanState {
        let id = |inode| Id { device: 7, inode };
        let kept = |life, earliest| HandedOverSupervise { life, earliest: Tick(earliest) };
        let name = |name: &[u8]| Rc::from(OsStr::from_bytes(name));
        ScanState {
            lock: Some(3),
            open_files: None,
            oom: Some(-17),
            tells_copiers: true,
            lines: Some(9),
            descriptors: vec![(Key::SIGNALS, 11), (Key::SIGNALS_WRITER, 12), (Key(200), 77)],
            services: vec![
                HandedOverService {
                    id: id(1),
                    names: vec![name(b"a"), name(b"\xff\n-")],
                    main: kept(Life::Child(Pid(9)), 5),
                    log: kept(Life::Other(None), u64::MAX),
                    reader: Reader::Logger,
                    pipe: Some((4, Some(5))),
                    released: false,
                },
                HandedOverService {
                    id: id(2),
                    names: Vec::new(),
                    main: kept(Life::None, 0),
                    log: kept(Life::Other(Some(Pid(8))), 0),
                    reader: Reader::Copier,
                    pipe: Some((6, None)),
                    released: true,
                },
            ],
            others: vec![(id(1), Role::Log, 7), (id(2), Role::Main, 8)],
        }
    }

    #[test]
    fn what_is_handed_over_is_understood() {
        for state in [example(), ScanState::default()] {
            assert_eq!(ScanState::decode(&state.encode()), Some(state));
        }
    }

    #[test]
    fn what_an_older_svscan_hands_over_is_understood() {
        let old =
            b"uphold svscan 1\x003\0-\0oom\0-17\0service\x007\x001\x001\x009\x005\x000\0-\x000\0-\0-\x000\x001\0a\0";
        let state = ScanState::decode(old).expect("it is one");
        assert_eq!((state.tells_copiers, state.services.len(), state.descriptors.len()), (false, 1, 0));
    }

    #[test]
    fn what_is_not_known_is_left_alone_unless_it_is_critical() {
        let with = |tag: u8| [example().encode(), vec![tag, 2, 0, b'1', 0]].concat();
        assert_eq!(ScanState::decode(&with(0x7e)), Some(example()));
        assert_eq!(ScanState::decode(&with(0xfe)), None);
        // A known section has one more word at its end.
        let longer = [MAGIC, &[SVSCAN, 6, 0], b"3\0-\x009\0"].concat();
        assert_eq!(ScanState::decode(&longer), Some(ScanState { lock: Some(3), ..ScanState::default() }));
    }

    #[test]
    fn what_is_cut_short_or_something_else_is_not() {
        let bytes = example().encode();
        let whole = |length: usize| ScanState::decode(&bytes[..length]).is_some();
        // Cut between two sections, the bytes are a shorter state. Cut anywhere else, they are none.
        let sections = Sections(&bytes[MAGIC.len()..]).count();
        assert_eq!((0..bytes.len()).filter(|&length| whole(length)).count(), sections - 1);
        for (at, _) in bytes.iter().enumerate() {
            let mut spoilt = bytes.clone();
            spoilt[at] ^= 0x80;
            let _ = ScanState::decode(&spoilt);
        }
        assert!(ScanState::decode(b"uphold svscan 2\0-\0-\0").is_none());
    }
}
