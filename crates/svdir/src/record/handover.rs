//! The state that a supervise hands over to its new file in an upgrade in place: its record, the descriptors that it leaves open, and the sockets
//! that it holds.
//!
//! The format is a line, [`MAGIC`], followed by [`super::sections`]: those of the record and these:
//!
//! | tag | contents |
//! |---|---|
//! | 0x20 | a descriptor: its [`Key`] (1 byte) and its number (4 bytes) |
//! | 0x21 | a socket of `sockets/`: its number (4), whether the copy that was started last got it (1), the length of its name (2), its name, and what stood in its file |
//! | 0x22 | the OOM score that children get (2), if it is not that of supervise |
//! | 0xa3 | nothing; it is there while `finish` runs |
//! | 0xa4 | nothing; it is there while what the service has left behind is waited for |
//! | 0xa5 | a descriptor that is kept for the service: its number (4), and its name; no name if it is to be closed |
//! | 0xb0 | nothing; it is there while `start`, `stop` or a script of `control/` runs |
//!
//! A new fact or a new descriptor gets a new tag or a new key. An older release skips tags that it does not know, and closes descriptors with keys
//! that it does not know. It refuses everything if the tag is [critical](super::sections::CRITICAL): a release that does not know `finish`, another script, or
//! what is left behind, would forget that, and start the service beside it; one that does not know of kept descriptors would leave them open for
//! ever. The layout of earlier releases (`uphold supervise 3`) can still be read.

use super::sections::{CRITICAL, Fields, Writer};
use super::{CONTROLS, Decided, Hook, Record, Script, layout1};

/// The first line.
pub const MAGIC: &[u8] = b"uphold supervise in sections\n";
/// The first line of the layout before there were sections.
const MAGIC_3: &[u8] = b"uphold supervise 3\n";

const DESCRIPTOR: u8 = 0x20;
const SOCKET: u8 = 0x21;
const OOM: u8 = 0x22;
const FINISH_RUNS: u8 = CRITICAL | 0x23;
const LEFT_BEHIND: u8 = CRITICAL | 0x24;
const STORED: u8 = CRITICAL | 0x25;
const HOOK_RUNS: u8 = CRITICAL | 0x30;

/// The purpose of a descriptor. An unknown number is from a later release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(pub u8);

impl Key {
    /// The read end of the control FIFO.
    pub const CONTROL: Key = Key(1);
    /// A write end of the control FIFO.
    pub const CONTROL_WRITER: Key = Key(2);
    /// The read end of the FIFO `ok`.
    pub const OK: Key = Key(3);
    /// The lock.
    pub const LOCK: Key = Key(4);
    /// The pidfd of the main copy, if it is not a child.
    pub const MAIN: Key = Key(5);
    /// The pidfd of the second copy, if it is not a child.
    pub const SECOND: Key = Key(6);
    /// The read end of the pipe to the logger.
    pub const LOG_PIPE: Key = Key(7);
    /// The read end of the pipe on which the main copy says that it is ready.
    pub const MAIN_READY: Key = Key(8);
    /// The read end of the pipe on which the second copy says that it is ready.
    pub const SECOND_READY: Key = Key(9);
    /// The notify socket.
    pub const NOTIFY: Key = Key(10);
    /// The read end of the pipe for signals.
    pub const SIGNALS: Key = Key(11);
    /// The write end of the pipe for signals.
    pub const SIGNALS_WRITER: Key = Key(12);
    /// The record file.
    pub const RECORD: Key = Key(13);
    /// The service directory, with the lock that remains when `supervise/` is removed.
    pub const DIRECTORY: Key = Key(14);
    /// The process of `finish`, or of another script for which the service waits, where it is not a child.
    pub const HOOK: Key = Key(15);
    /// The scan directory.
    pub const SCAN_DIRECTORY: Key = Key(34);
    /// The processes of the scripts of `control/`, where they are not children.
    pub const CONTROLS: [Key; CONTROLS] = [Key(32), Key(33)];
    /// The processes that may be no children.
    pub const WATCHED: [Key; 3 + CONTROLS] = [Key::MAIN, Key::SECOND, Key::HOOK, Key::CONTROLS[0], Key::CONTROLS[1]];
}

/// A socket of `sockets/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Socket {
    /// The number of its descriptor.
    pub number: i32,
    /// Whether the copy that was started last got it.
    pub given: bool,
    /// The name of its file.
    pub name: Vec<u8>,
    /// The contents of that file.
    pub line: Vec<u8>,
}

/// A descriptor that is kept for the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its number.
    pub number: i32,
    /// Its name. It is empty if the descriptor is kept no longer, and is only to be closed.
    pub name: Vec<u8>,
}

/// The whole state that is handed over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Handover {
    /// The record.
    pub record: Record,
    /// The descriptors, including those with unknown keys.
    pub descriptors: Vec<(Key, i32)>,
    /// The sockets.
    pub sockets: Vec<Socket>,
    /// The descriptors that are kept for the service.
    pub stored: Vec<Stored>,
    /// The OOM score that children get, if it is not that of supervise.
    pub oom: Option<i16>,
}

impl Handover {
    /// The number of the descriptor with this key.
    pub fn descriptor(&self, key: Key) -> Option<i32> {
        self.descriptors.iter().find(|&&(known, _)| known == key).map(|&(_, number)| number)
    }

    /// Encodes the state. `None` if a name or a line is longer than a section may be, which no file of a service
    /// directory is.
    pub fn encode(&self) -> Option<Vec<u8>> {
        /// The length of the longest record, in bytes.
        const RECORD: usize = 1024;
        let around = self.descriptors.len() * 8
            + self.sockets.iter().map(|one| 16 + one.name.len() + one.line.len()).sum::<usize>()
            + self.stored.iter().map(|one| 8 + one.name.len()).sum::<usize>();
        let mut bytes = vec![0; RECORD + around];
        let mut writer = Writer::new(&mut bytes);
        writer.put(MAGIC);
        self.record.encode(&mut writer);
        for (key, number) in &self.descriptors {
            writer.section(DESCRIPTOR, |section| {
                section.byte(key.0);
                section.put(&number.to_le_bytes());
            });
        }
        for socket in &self.sockets {
            let length = u16::try_from(socket.name.len()).ok()?;
            writer.section(SOCKET, |section| {
                section.put(&socket.number.to_le_bytes());
                section.byte(u8::from(socket.given));
                section.put(&length.to_le_bytes());
                section.put(&socket.name);
                section.put(&socket.line);
            });
        }
        for stored in &self.stored {
            writer.section(STORED, |section| {
                section.put(&stored.number.to_le_bytes());
                section.put(&stored.name);
            });
        }
        if let Some(oom) = self.oom {
            writer.section(OOM, |section| section.put(&oom.to_le_bytes()));
        }
        let Decided { hook, controls, .. } = self.record.decided;
        let is_finish = |hook: &Hook| hook.script == Script::Finish;
        if hook.as_ref().is_some_and(is_finish) {
            writer.section(FINISH_RUNS, |_| ());
        }
        if !self.record.decided.leftovers.is_empty() {
            writer.section(LEFT_BEHIND, |_| ());
        }
        if hook.is_some_and(|hook| !is_finish(&hook)) || controls.iter().any(Option::is_some) {
            writer.section(HOOK_RUNS, |_| ());
        }
        let length = writer.finish()?;
        bytes.truncate(length);
        Some(bytes)
    }

    /// Decodes the state from a supervise of this or any other release. `None` if it cannot be understood.
    pub fn decode(bytes: &[u8]) -> Option<Handover> {
        let Some(sections) = bytes.strip_prefix(MAGIC) else {
            return decode_3(bytes);
        };
        let mut handover = Handover::default();
        let record = Record::decode_with(sections, |tag, mut fields| {
            match tag {
                DESCRIPTOR => {
                    let (key, number) = (Key(fields.byte()), i32::from_le_bytes(fields.array()));
                    handover.descriptors.push((key, number));
                }
                SOCKET => handover.sockets.push(socket(fields)?),
                STORED => {
                    let number = i32::from_le_bytes(fields.array());
                    handover.stored.push(Stored { number, name: fields.rest().to_vec() });
                }
                OOM => handover.oom = Some(i16::from_le_bytes(fields.array())),
                FINISH_RUNS | LEFT_BEHIND | HOOK_RUNS => {}
                _ => return None,
            }
            Some(())
        })?;
        Some(Handover { record, ..handover })
    }
}

fn socket(mut fields: Fields<'_>) -> Option<Socket> {
    let (number, given) = (i32::from_le_bytes(fields.array()), fields.byte() != 0);
    let length = usize::from(u16::from_le_bytes(fields.array()));
    let (name, line) = fields.rest().split_at_checked(length)?;
    Some(Socket { number, given, name: name.to_vec(), line: line.to_vec() })
}

/// The number for no score.
const NO_SCORE: i32 = i32::MIN;

/// Decodes `uphold supervise 3`: the length of the status file (2 bytes) and its bytes, eleven numbers (4 bytes each, -1 for none), and the sockets
/// with two lengths each (2 bytes).
fn decode_3(bytes: &[u8]) -> Option<Handover> {
    const KEYS: [Key; 10] = [
        Key::CONTROL,
        Key::CONTROL_WRITER,
        Key::OK,
        Key::LOCK,
        Key::MAIN,
        Key::LOG_PIPE,
        Key::MAIN_READY,
        Key::NOTIFY,
        Key::SECOND,
        Key::SECOND_READY,
    ];
    let bytes = bytes.strip_prefix(MAGIC_3)?;
    let (&length, bytes) = bytes.split_first_chunk::<2>()?;
    let (status, mut rest) = bytes.split_at_checked(usize::from(u16::from_le_bytes(length)))?;
    let record = layout1::decode(status)?;
    let mut descriptors = Vec::new();
    for (at, key) in KEYS.into_iter().enumerate() {
        let number = next_number(&mut rest)?;
        // The first four are always there.
        if number >= 0 || at < 4 {
            descriptors.push((key, number));
        }
    }
    let oom = match next_number(&mut rest)? {
        NO_SCORE => None,
        score => Some(i16::try_from(score).ok()?),
    };
    let mut sockets = Vec::new();
    while !rest.is_empty() {
        let number = next_number(&mut rest)?;
        let (name, line) = (next_text(&mut rest)?, next_text(&mut rest)?);
        sockets.push(Socket { number, given: true, name, line });
    }
    Some(Handover { record, descriptors, sockets, stored: Vec::new(), oom })
}

fn next_number(rest: &mut &[u8]) -> Option<i32> {
    let (&number, behind) = rest.split_first_chunk::<4>()?;
    *rest = behind;
    Some(i32::from_le_bytes(number))
}

fn next_text(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let (&length, behind) = rest.split_first_chunk::<2>()?;
    let (text, behind) = behind.split_at_checked(usize::from(u16::from_le_bytes(length)))?;
    *rest = behind;
    Some(text.to_vec())
}

#[cfg(test)]
mod tests {
    use super::super::Leftovers;
    use super::super::tests::example;
    use super::*;

    fn handover() -> Handover {
        let socket =
            |number: i32| Socket { number, given: number % 2 == 0, name: b"web".into(), line: b"tcp *:80".into() };
        Handover {
            record: example(),
            descriptors: vec![(Key::CONTROL, 3), (Key::LOCK, 6), (Key(200), 77)],
            sockets: vec![socket(20), socket(21)],
            stored: [&b"conn"[..], b""].map(|name| Stored { number: 30, name: name.to_vec() }).to_vec(),
            oom: Some(-17),
        }
    }

    #[test]
    fn what_is_handed_over_is_understood() {
        let bytes = handover().encode().expect("short");
        assert_eq!(Handover::decode(&bytes), Some(handover()));
        let plain = Handover { record: example(), ..Handover::default() };
        assert_eq!(Handover::decode(&plain.encode().expect("short")), Some(plain));
        for length in (0..bytes.len()).step_by(if cfg!(miri) { 17 } else { 1 }) {
            let _ = Handover::decode(&bytes[..length]);
        }
    }

    #[test]
    fn what_is_not_known_is_left_alone_unless_it_is_critical() {
        let with = |tag: u8| [handover().encode().expect("short"), vec![tag, 1, 0, 7]].concat();
        assert_eq!(Handover::decode(&with(0x7e)), Some(handover()));
        assert_eq!(Handover::decode(&with(0xfe)), None);
    }

    /// A release that does not know `finish`, or what is left behind, reads sections as a record is read: it skips what it does not know. It would
    /// start the service beside that.
    #[test]
    fn a_release_that_does_not_know_what_the_next_start_waits_for_refuses() {
        let understands_with = |decided: Decided, stored: Vec<Stored>| {
            let record = Record { decided, ..example() };
            let bytes = Handover { record, stored, ..handover() }.encode().expect("short");
            Record::decode(bytes.strip_prefix(MAGIC).expect("sections")).is_some()
        };
        let understands = |decided: Decided| understands_with(decided, Vec::new());
        let Decided { hook, leftovers, controls, .. } = example().decided;
        let (none, nothing) = ([None; CONTROLS], Leftovers::default());
        let without = Decided { hook: None, leftovers: nothing, controls: none, ..example().decided };
        for script in [Script::Finish, Script::Start, Script::Up, Script::Stop] {
            let hook = hook.map(|hook| Hook { script, ..hook });
            assert!(hook.is_some() && !understands(Decided { hook, ..without }), "{script:?}");
        }
        assert!(!leftovers.is_empty() && !understands(Decided { leftovers, ..without }));
        assert!(controls != none && !understands(Decided { controls, ..without }));
        assert!(understands(without));
        assert!(!understands_with(without, handover().stored), "nor while descriptors are kept");
    }

    #[test]
    fn what_the_release_before_sections_handed_over_is_understood() {
        let mut bytes = MAGIC_3.to_vec();
        let mut status = vec![0; 20];
        status.extend([1, 0, 0, 0, 7, 0, 0, 0]);
        status.resize(layout1::LONGEST, 0);
        bytes.extend((status.len() as u16).to_le_bytes());
        bytes.extend(&status);
        bytes.extend([3, 4, 5, 6, -1, 9, -1, 10, -1, -1, NO_SCORE].map(i32::to_le_bytes).concat());
        bytes.extend(20_i32.to_le_bytes());
        bytes.extend([3, 0, b'w', b'e', b'b', 8, 0]);
        bytes.extend(b"tcp *:80");
        let read = Handover::decode(&bytes).expect("it is one");
        assert_eq!(read.record.observed.supervise.pid, 7);
        let known = [Key::CONTROL, Key::LOCK, Key::LOG_PIPE, Key::NOTIFY, Key::MAIN].map(|key| read.descriptor(key));
        assert_eq!(known, [Some(3), Some(6), Some(9), Some(10), None]);
        let socket = Socket { number: 20, given: true, name: b"web".into(), line: b"tcp *:80".into() };
        assert_eq!((read.sockets, read.oom), (vec![socket], None));
        assert!(Handover::decode(&[&bytes[..], b"more"].concat()).is_none());
    }
}
