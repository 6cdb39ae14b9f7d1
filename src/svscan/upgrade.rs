//! What a svscan hands over to its new file: the services, their supervises, and which descriptors it holds.
//!
//! In bytes it is a row of words with a NUL behind each, since names may hold anything else: first what it is, with a version; then
//! each service and each supervise that is no child, and what else there may be, behind a word that says what follows.

use std::ffi::OsStr;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::rc::Rc;
use std::str::FromStr;

use machine::scan::{Id, Kept, KeptSupervise, Life, Reader, Role};
use machine::{Pid, Tick};

use crate::service::log_pipe::PipeEnds;

/// Another layout gets another one.
const MAGIC: &[u8] = b"uphold svscan 1";
const SERVICE: &[u8] = b"service";
const OTHER: &[u8] = b"other";
const OOM: &[u8] = b"oom";
const COPIERS: &[u8] = b"copiers";
const LINES: &[u8] = b"lines";
/// In place of a number: none.
const NONE: &[u8] = b"-";

/// The state.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ScanState {
    /// The lock on the scan directory, where there is one.
    pub lock: Option<RawFd>,
    /// The soft limit on open files that was inherited.
    pub open_files: Option<u64>,
    /// The OOM score that children get, if it is not that of svscan. A svscan that had lowered none left this out.
    pub oom: Option<i16>,
    /// Whether it is told which log supervises are copiers. Older svscans left this out, and so do those without any.
    pub tells_copiers: bool,
    /// What the copiers lock to write. Older svscans left this out.
    pub lines: Option<RawFd>,
    /// All services.
    pub services: Vec<Kept<PipeEnds>>,
    /// The FIFOs of the supervises that are no children.
    pub others: Vec<(Id, Role, RawFd)>,
}

impl ScanState {
    /// As bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut words = Words::default();
        words.word(MAGIC);
        words.option(self.lock);
        words.option(self.open_files);
        if let Some(oom) = self.oom {
            words.word(OOM);
            words.number(oom);
        }
        let copiers: Vec<Id> =
            self.services.iter().filter(|kept| kept.reader == Reader::Copier).map(|kept| kept.id).collect();
        if self.tells_copiers {
            words.word(COPIERS);
            words.number(copiers.len());
            copiers.iter().for_each(|&id| words.id(id));
        }
        if let Some(lines) = self.lines {
            words.word(LINES);
            words.number(lines);
        }
        for service in &self.services {
            words.word(SERVICE);
            words.service(service);
        }
        for &(id, role, fd) in &self.others {
            words.word(OTHER);
            words.id(id);
            words.number(u8::from(role == Role::Log));
            words.number(fd);
        }
        words.0
    }

    /// What [`encode`](ScanState::encode) made; `None` for anything else.
    pub fn decode(bytes: &[u8]) -> Option<ScanState> {
        let mut reader = Source(bytes);
        if reader.word()? != MAGIC {
            return None;
        }
        let (lock, open_files) = (reader.option()?, reader.option()?);
        let mut state = ScanState { lock, open_files, ..ScanState::default() };
        let mut copiers = Vec::new();
        while !reader.0.is_empty() {
            match reader.word()? {
                SERVICE => state.services.push(reader.service()?),
                OOM => state.oom = Some(reader.number()?),
                COPIERS => (state.tells_copiers, copiers) = (true, reader.ids()?),
                LINES => state.lines = Some(reader.number()?),
                OTHER => state.others.push((reader.id()?, reader.role()?, reader.number()?)),
                _ => return None,
            }
        }
        for kept in state.services.iter_mut().filter(|kept| copiers.contains(&kept.id)) {
            kept.reader = Reader::Copier;
        }
        Some(state)
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

    fn service(&mut self, service: &Kept<PipeEnds>) {
        self.id(service.id);
        self.supervise(service.main);
        self.supervise(service.log);
        self.option(service.pipe.map(|(reader, _)| reader));
        self.option(service.pipe.and_then(|(_, writer)| writer));
        self.number(u8::from(service.released));
        self.number(service.names.len());
        for name in &service.names {
            self.word(name.as_bytes());
        }
    }

    fn supervise(&mut self, supervise: KeptSupervise) {
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

    fn ids(&mut self) -> Option<Vec<Id>> {
        let count: usize = self.number()?;
        (0..count).map(|_| self.id()).collect()
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

    fn service(&mut self) -> Option<Kept<PipeEnds>> {
        let (id, main, log) = (self.id()?, self.supervise()?, self.supervise()?);
        let (input, writer) = (self.option()?, self.option()?);
        let released = self.flag()?;
        let count: usize = self.number()?;
        let mut names = Vec::new();
        for _ in 0..count {
            names.push(Rc::from(OsStr::from_bytes(self.word()?)));
        }
        Some(Kept { id, names, main, log, reader: Reader::Logger, pipe: input.map(|input| (input, writer)), released })
    }

    fn supervise(&mut self) -> Option<KeptSupervise> {
        let (life, pid) = (self.number::<u8>()?, self.option()?.map(Pid));
        let life = match (life, pid) {
            (0, None) => Life::None,
            (1, Some(pid)) => Life::Child(pid),
            (2, pid) => Life::Other(pid),
            _ => return None,
        };
        Some(KeptSupervise { life, earliest: Tick(self.number()?) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> ScanState {
        let id = |inode| Id { device: 7, inode };
        let kept = |life, earliest| KeptSupervise { life, earliest: Tick(earliest) };
        let name = |name: &[u8]| Rc::from(OsStr::from_bytes(name));
        ScanState {
            lock: Some(3),
            open_files: None,
            oom: Some(-17),
            tells_copiers: true,
            lines: Some(9),
            services: vec![
                Kept {
                    id: id(1),
                    names: vec![name(b"a"), name(b"\xff\n-")],
                    main: kept(Life::Child(Pid(9)), 5),
                    log: kept(Life::Other(None), u64::MAX),
                    reader: Reader::Logger,
                    pipe: Some((4, Some(5))),
                    released: false,
                },
                Kept {
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
        assert_eq!((state.tells_copiers, state.services.len()), (false, 1));
    }

    #[test]
    fn what_is_cut_short_or_something_else_is_not() {
        let bytes = example().encode();
        let whole = |length: usize| ScanState::decode(&bytes[..length]).is_some();
        // Between two things that follow a word it is a shorter state, nowhere else.
        assert_eq!((0..bytes.len()).filter(|&length| whole(length)).count(), 7);
        for (at, _) in bytes.iter().enumerate() {
            let mut spoilt = bytes.clone();
            spoilt[at] ^= 0x80;
            let _ = ScanState::decode(&spoilt);
        }
        assert!(ScanState::decode(b"uphold svscan 2\0-\0-\0").is_none());
    }
}
