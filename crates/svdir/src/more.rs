//! What our supervise writes behind the status record of the older suites, so that its successor finds everything again.
//!
//! | offset | size | contents |
//! |---|---|---|
//! | 20 | 1 | version of what follows: 1 |
//! | 21 | 1 | 1: exits when down; 2: a start is due that was asked for; 4: supervise has left, nothing is to be taken over; 8: the process was told to end; 16: KILL is due when it does not; 32: it tells when it is ready; 64: supervise leaves when `run` ends by itself; 128: and that has happened |
//! | 22 | 2 | how the last `run` ended: 0 not yet, 1 exited, 2 killed, 3 unknown; then its exit code or signal |
//! | 24 | 4 | pid of supervise |
//! | 28 | 4 | how often `run` was started |
//! | 32 | 16 | id of the boot |
//! | 48 | 16 | the service's process was born between these two: nanoseconds since the boot, 8 bytes each |
//! | 64 | 12 | TAI64N label of when it was ready; 0 for not (yet) |
//! | 76 | 16 | inode numbers of the pipe that is supervise's stdin and of the log pipe on its stdout, 8 bytes each; 0 for what is none |
//! | 92 | 12 | version of supervise, in text, with NULs behind it |
//! | 104 | 8 | inode number of the pipe on which the service tells that it is ready; 0 for none |
//! | 112 | 8 | the last mark that came behind commands |
//! | 120 | 8 | name of the socket on which the service tells of itself, with NULs behind it |
//! | 128 | 64 | why the service cannot be started, or was not replaced, in text, with NULs behind it |
//! | 192 | 1 | the second copy: 0 none, 1 starting, 2 the old one that is ending, 3 a new one that was given up and is ending |
//! | 193 | 1 | 1: another replacement is asked for |
//! | 194 | 2 | 0 |
//! | 196 | 4 | pid of the second copy |
//! | 200 | 16 | it was born between these two |
//! | 216 | 12 | TAI64N label of its start |
//! | 228 | 8 | inode number of the pipe on which it tells that it is ready |
//! | 236 | 8 | nanoseconds within which the process is to tell that it is alive; 0 for none |
//! | 244 | 8 | the same of the second copy |
//! | 252 | 1 | 1: the process has been ready, so it is held to that |
//!
//! Numbers are little-endian, but for the label.

use tai::Label;

use crate::Mark;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this code.
    Code(u8),
    /// By this signal.
    Signal(u8),
    /// Nobody who could be asked has seen it.
    Unknown,
}

impl Exit {
    const fn bytes(last: Option<Exit>) -> [u8; 2] {
        match last {
            None => [0, 0],
            Some(Exit::Code(code)) => [1, code],
            Some(Exit::Signal(signal)) => [2, signal],
            Some(Exit::Unknown) => [3, 0],
        }
    }

    const fn from_bytes(bytes: [u8; 2]) -> Option<Exit> {
        match bytes {
            [0, _] => None,
            [1, code] => Some(Exit::Code(code)),
            [2, signal] => Some(Exit::Signal(signal)),
            [_, _] => Some(Exit::Unknown),
        }
    }
}

/// What a second copy is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It shall take the place of the first.
    Starting,
    /// The first has taken its place.
    EndingOld,
    /// It was to take the place of the first, and was given up.
    EndingNew,
}

/// A copy of the service beside the one that serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Second {
    /// Its process.
    pub pid: std::num::NonZeroU32,
    /// What it is there for.
    pub role: Role,
}

/// A span of time in which a process was born: nanoseconds since the boot, sleep included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Born {
    /// Not before this.
    pub earliest: u64,
    /// Not after this.
    pub latest: u64,
}

/// What stands behind the first 20 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct More {
    /// It exits as soon as the service is down.
    pub exiting: bool,
    /// A start is due that `u` or `o` asked for.
    pub start_due: bool,
    /// Supervise has left because it was told to: its successor begins anew.
    pub left: bool,
    /// The service's process was sent what shall end it: TERM, KILL, or the signal that it has for that.
    pub ending: bool,
    /// The service tells when it is ready.
    pub declares: bool,
    /// It gets KILL if it takes too long over that.
    pub kill_due: bool,
    /// Supervise leaves when `run` ends by itself.
    pub last_run: bool,
    /// That has happened.
    pub ended: bool,
    /// How the last `run` ended.
    pub last_exit: Option<Exit>,
    /// The process id of supervise.
    pub supervise: u32,
    /// How often `run` was started; wraps.
    pub starts: u32,
    /// Which boot of the machine all of this is about.
    pub boot: [u8; 16],
    /// When the service's process, or the last one, was born.
    pub born: Born,
    /// Since when the service is ready.
    pub ready: Option<Label>,
    /// Inode number of the pipe that is supervise's stdin; 0 if that is no pipe.
    pub stdin: u64,
    /// Inode number of the log pipe that is supervise's stdout; 0 if that is none.
    pub stdout: u64,
    /// The version of supervise, in text.
    pub version: [u8; 12],
    /// Inode number of the pipe on which the service tells that it is ready; 0 for none.
    pub ready_pipe: u64,
    /// What a client has sent last behind its commands.
    pub mark: Mark,
    /// The name of the socket on which the service tells of itself; empty for none.
    pub notify: [u8; 8],
    /// Why the service cannot be started or, while it is up, was not replaced when that was last tried, in text; empty for nothing.
    pub why: [u8; 64],
    /// The copy beside the one that serves.
    pub second: Option<Second>,
    /// Another replacement is asked for.
    pub replace_due: bool,
    /// When the second copy was born.
    pub second_born: Born,
    /// When it was started.
    pub second_since: Label,
    /// Inode number of the pipe on which it tells that it is ready; 0 for none.
    pub second_pipe: u64,
    /// Within so many nanoseconds the service tells again that it is alive; 0 if it need not.
    pub watchdog: u64,
    /// The same of the second copy.
    pub second_watchdog: u64,
    /// The service has been ready, and is held to that.
    pub watched: bool,
}

impl Default for More {
    fn default() -> More {
        More {
            exiting: false,
            start_due: false,
            left: false,
            ending: false,
            declares: false,
            kill_due: false,
            last_run: false,
            ended: false,
            last_exit: None,
            supervise: 0,
            starts: 0,
            boot: [0; 16],
            born: Born::default(),
            ready: None,
            stdin: 0,
            stdout: 0,
            version: [0; More::VERSION],
            ready_pipe: 0,
            mark: Mark::default(),
            notify: [0; 8],
            why: [0; More::WHY],
            second: None,
            replace_due: false,
            second_born: Born::default(),
            second_since: Label::default(),
            second_pipe: 0,
            watchdog: 0,
            second_watchdog: 0,
            watched: false,
        }
    }
}

impl More {
    /// Length in bytes.
    pub const SIZE: usize = 233;
    /// Length in bytes of the shortest record of this layout. What is missing behind it is 0.
    pub const LEAST: usize = 84;
    /// Length in bytes of the text that says why.
    pub const WHY: usize = 64;
    /// Length in bytes of the text of a version.
    pub const VERSION: usize = 12;
    /// Of the layout.
    const LAYOUT: u8 = 1;

    const EXITING: u8 = 1;
    const START_DUE: u8 = 2;
    const LEFT: u8 = 4;
    const ENDING: u8 = 8;
    const KILL_DUE: u8 = 16;
    const DECLARES: u8 = 32;
    const LAST_RUN: u8 = 64;
    const ENDED: u8 = 128;

    /// As it stands in the file, from byte 20 on.
    pub fn encode(&self) -> [u8; More::SIZE] {
        let mut bytes = [0; More::SIZE];
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        let flags = flag(self.exiting, More::EXITING)
            | flag(self.start_due, More::START_DUE)
            | flag(self.left, More::LEFT)
            | flag(self.last_run, More::LAST_RUN)
            | flag(self.ended, More::ENDED)
            | flag(self.ending, More::ENDING)
            | flag(self.kill_due, More::KILL_DUE)
            | flag(self.declares, More::DECLARES);
        let [how, code] = Exit::bytes(self.last_exit);
        bytes[..4].copy_from_slice(&[More::LAYOUT, flags, how, code]);
        bytes[4..8].copy_from_slice(&self.supervise.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.starts.to_le_bytes());
        bytes[12..28].copy_from_slice(&self.boot);
        bytes[28..36].copy_from_slice(&self.born.earliest.to_le_bytes());
        bytes[36..44].copy_from_slice(&self.born.latest.to_le_bytes());
        bytes[44..56].copy_from_slice(&self.ready.map_or([0; Label::PACKED], Label::pack));
        bytes[56..64].copy_from_slice(&self.stdin.to_le_bytes());
        bytes[64..72].copy_from_slice(&self.stdout.to_le_bytes());
        bytes[72..84].copy_from_slice(&self.version);
        bytes[84..92].copy_from_slice(&self.ready_pipe.to_le_bytes());
        bytes[92..100].copy_from_slice(&self.mark.0.to_le_bytes());
        bytes[100..108].copy_from_slice(&self.notify);
        bytes[108..172].copy_from_slice(&self.why);
        let (role, pid) = match self.second {
            None => (0, 0),
            Some(Second { pid, role: Role::Starting }) => (1, pid.get()),
            Some(Second { pid, role: Role::EndingOld }) => (2, pid.get()),
            Some(Second { pid, role: Role::EndingNew }) => (3, pid.get()),
        };
        bytes[172..176].copy_from_slice(&[role, u8::from(self.replace_due), 0, 0]);
        bytes[176..180].copy_from_slice(&pid.to_le_bytes());
        bytes[180..188].copy_from_slice(&self.second_born.earliest.to_le_bytes());
        bytes[188..196].copy_from_slice(&self.second_born.latest.to_le_bytes());
        bytes[196..208].copy_from_slice(&self.second_since.pack());
        bytes[208..216].copy_from_slice(&self.second_pipe.to_le_bytes());
        bytes[216..224].copy_from_slice(&self.watchdog.to_le_bytes());
        bytes[224..232].copy_from_slice(&self.second_watchdog.to_le_bytes());
        bytes[232] = u8::from(self.watched);
        bytes
    }

    /// Reads what stands from byte 20 on. `None` if that is too short or of another layout: another suite's, or of a version
    /// that we do not know.
    pub fn decode(bytes: &[u8]) -> Option<More> {
        let (&[layout, flags, how, code], rest) = bytes.split_first_chunk::<4>()?;
        let (&supervise, rest) = rest.split_first_chunk::<4>()?;
        let (&starts, rest) = rest.split_first_chunk::<4>()?;
        let (&boot, rest) = rest.split_first_chunk::<16>()?;
        let (&earliest, rest) = rest.split_first_chunk::<8>()?;
        let (&latest, rest) = rest.split_first_chunk::<8>()?;
        let (&ready, rest) = rest.split_first_chunk::<{ Label::PACKED }>()?;
        let (&stdin, rest) = rest.split_first_chunk::<8>()?;
        let (&stdout, rest) = rest.split_first_chunk::<8>()?;
        let (&version, rest) = rest.split_first_chunk::<{ More::VERSION }>()?;
        let mut added = [0; More::SIZE - More::LEAST];
        for (place, &byte) in added.iter_mut().zip(rest) {
            *place = byte;
        }
        let (&ready_pipe, added) = added.split_first_chunk::<8>()?;
        let (&mark, added) = added.split_first_chunk::<8>()?;
        let (&notify, added) = added.split_first_chunk::<8>()?;
        let (&why, added) = added.split_first_chunk::<{ More::WHY }>()?;
        let (&[role, replace_due, _, _], added) = added.split_first_chunk::<4>()?;
        let (&second, added) = added.split_first_chunk::<4>()?;
        let (&second_earliest, added) = added.split_first_chunk::<8>()?;
        let (&second_latest, added) = added.split_first_chunk::<8>()?;
        let (&second_since, added) = added.split_first_chunk::<{ Label::PACKED }>()?;
        let (&second_pipe, added) = added.split_first_chunk::<8>()?;
        let (&watchdog, added) = added.split_first_chunk::<8>()?;
        let (&second_watchdog, added) = added.split_first_chunk::<8>()?;
        let (&[watched], _) = added.split_first_chunk::<1>()?;
        let role = match role {
            1 => Some(Role::Starting),
            2 => Some(Role::EndingOld),
            3 => Some(Role::EndingNew),
            _ => None,
        };
        let second = std::num::NonZeroU32::new(u32::from_le_bytes(second));
        (layout == More::LAYOUT).then_some(More {
            exiting: flags & More::EXITING != 0,
            start_due: flags & More::START_DUE != 0,
            left: flags & More::LEFT != 0,
            ending: flags & More::ENDING != 0,
            kill_due: flags & More::KILL_DUE != 0,
            declares: flags & More::DECLARES != 0,
            last_run: flags & More::LAST_RUN != 0,
            ended: flags & More::ENDED != 0,
            last_exit: Exit::from_bytes([how, code]),
            supervise: u32::from_le_bytes(supervise),
            starts: u32::from_le_bytes(starts),
            boot,
            born: Born { earliest: u64::from_le_bytes(earliest), latest: u64::from_le_bytes(latest) },
            ready: (ready != [0; Label::PACKED]).then(|| Label::unpack(ready)),
            stdin: u64::from_le_bytes(stdin),
            stdout: u64::from_le_bytes(stdout),
            version,
            ready_pipe: u64::from_le_bytes(ready_pipe),
            mark: Mark(u64::from_le_bytes(mark)),
            notify,
            why,
            second: second.and_then(|pid| Some(Second { pid, role: role? })),
            replace_due: replace_due != 0,
            second_born: Born {
                earliest: u64::from_le_bytes(second_earliest),
                latest: u64::from_le_bytes(second_latest),
            },
            second_since: Label::unpack(second_since),
            second_pipe: u64::from_le_bytes(second_pipe),
            watchdog: u64::from_le_bytes(watchdog),
            second_watchdog: u64::from_le_bytes(second_watchdog),
            watched: watched != 0,
        })
    }

    /// The name of the socket on which the service tells of itself.
    pub fn notify(&self) -> Option<&[u8]> {
        let end = self.notify.iter().position(|&byte| byte == 0).unwrap_or(self.notify.len());
        self.notify.get(..end).filter(|name| !name.is_empty())
    }

    /// A text as it stands in the record. What is too long is cut.
    pub fn why_of(text: &[u8]) -> [u8; More::WHY] {
        let mut why = [0; More::WHY];
        for (place, &byte) in why.iter_mut().zip(text) {
            *place = byte;
        }
        why
    }

    /// Why the service cannot be started, or was not replaced, with nothing in it that a terminal or a script would take for more than text.
    pub fn why(&self) -> Option<String> {
        let end = self.why.iter().position(|&byte| byte == 0).unwrap_or(More::WHY);
        let text = self.why.get(..end).filter(|text| !text.is_empty())?;
        Some(text.escape_ascii().to_string())
    }

    /// The text of a version as it stands in the record. What is too long is cut.
    pub fn version_of(text: &str) -> [u8; More::VERSION] {
        let mut version = [0; More::VERSION];
        for (place, byte) in version.iter_mut().zip(text.bytes()) {
            *place = byte;
        }
        version
    }

    /// The version of supervise, if it is printable.
    pub fn version(&self) -> Option<&str> {
        let end = self.version.iter().position(|&byte| byte == 0).unwrap_or(More::VERSION);
        let text = std::str::from_utf8(&self.version[..end]).ok()?;
        (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())).then_some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> More {
        More {
            exiting: true,
            start_due: false,
            left: true,
            ending: true,
            kill_due: false,
            last_run: true,
            ended: false,
            last_exit: Some(Exit::Signal(9)),
            supervise: 7,
            starts: 3,
            boot: [0xab; 16],
            born: Born { earliest: 5, latest: 6 },
            ready: Some(Label::from_unix(1, 2)),
            stdin: 8,
            stdout: 9,
            version: More::version_of("0.1.0"),
            declares: true,
            ready_pipe: 10,
            mark: Mark(11),
            notify: *b"@00abc\0\0",
            why: More::why_of(b"x"),
            second: std::num::NonZeroU32::new(12).map(|pid| Second { pid, role: Role::Starting }),
            replace_due: true,
            second_born: Born { earliest: 13, latest: 14 },
            second_since: Label::from_unix(15, 16),
            second_pipe: 17,
            watchdog: 18,
            second_watchdog: 19,
            watched: true,
        }
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        for last_exit in [None, Some(Exit::Code(0)), Some(Exit::Code(255)), Some(Exit::Signal(64)), Some(Exit::Unknown)]
        {
            for ready in [None, Some(Label::from_unix(-1, 7))] {
                let start_due = ready.is_some();
                let more = More {
                    last_exit,
                    ready,
                    start_due,
                    ended: start_due,
                    ending: !start_due,
                    kill_due: start_due,
                    ..example()
                };
                assert_eq!(More::decode(&more.encode()), Some(more));
            }
        }
    }

    #[test]
    fn every_role_is_decoded_as_it_was() {
        for role in [Role::Starting, Role::EndingOld, Role::EndingNew] {
            let more = More { second: example().second.map(|second| Second { role, ..second }), ..example() };
            assert_eq!(More::decode(&more.encode()), Some(more));
        }
    }

    #[test]
    fn every_length_is_met_without_harm() {
        let bytes = [example().encode().as_slice(), &[0xff; 40]].concat();
        for length in 0..bytes.len() {
            assert_eq!(More::decode(&bytes[..length]).is_some(), length >= More::LEAST, "{length} bytes");
        }
        let short = More {
            ready_pipe: 0,
            mark: Mark(0),
            notify: [0; 8],
            why: [0; More::WHY],
            second: None,
            replace_due: false,
            second_born: Born::default(),
            second_since: Label::unpack([0; Label::PACKED]),
            second_pipe: 0,
            watchdog: 0,
            second_watchdog: 0,
            watched: false,
            ..example()
        };
        assert_eq!(More::decode(&bytes[..More::LEAST]), Some(short), "a version of ours that knew less wrote it");
        let unwatched = More { watchdog: 0, second_watchdog: 0, watched: false, ..example() };
        assert_eq!(More::decode(&bytes[..216]), Some(unwatched), "so did one that knew no watchdog");
    }

    #[test]
    fn another_layout_is_none_of_ours() {
        for layout in (0..=255).filter(|&layout| layout != More::LAYOUT) {
            let mut bytes = example().encode();
            bytes[0] = layout;
            assert_eq!(More::decode(&bytes), None);
        }
    }

    #[test]
    fn a_version_is_shown_only_if_it_can_be() {
        assert_eq!(example().version(), Some("0.1.0"));
        for (hostile, shown) in [("", None), ("a\nb", None), ("\u{e4}", None), ("123456789.123", Some("123456789.12"))]
        {
            let more = More { version: More::version_of(hostile), ..example() };
            assert_eq!(more.version(), shown);
        }
    }
}
