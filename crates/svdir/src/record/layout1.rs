//! The record in the first layout, which followed the first 20 bytes of `supervise/status`. It can still be read, but is not written any more.
//!
//! | offset | size | contents |
//! |---|---|---|
//! | 20 | 1 | version of what follows: 1 |
//! | 21 | 1 | 1: exits when down; 2: a start is due that was asked for; 4: supervise has exited, nothing is to be taken over; 8: the process was told to end; 16: KILL is due when it does not; 32: it tells when it is ready; 64: supervise exits when `run` ends by itself; 128: and that has happened |
//! | 22 | 2 | how the last `run` ended: 0 not yet, 1 exited, 2 killed, 3 unknown; then its exit code or signal |
//! | 24 | 4 | pid of supervise |
//! | 28 | 4 | how often `run` was started |
//! | 32 | 16 | id of the boot |
//! | 48 | 16 | earliest and latest time of birth of the service's process: nanoseconds since the boot, 8 bytes each |
//! | 64 | 12 | TAI64N label of when it was ready; 0 for not (yet) |
//! | 76 | 16 | inode numbers of the pipe that is supervise's stdin and of the log pipe on its stdout, 8 bytes each; 0 for no pipe |
//! | 92 | 12 | version of supervise, in text, padded with NULs |
//! | 104 | 8 | inode number of the pipe on which the service says that it is ready; 0 for none |
//! | 112 | 8 | the last mark that came after commands |
//! | 120 | 8 | name of the notify socket, padded with NULs |
//! | 128 | 64 | why the service cannot be started, or was not replaced, in text, padded with NULs |
//! | 192 | 1 | the second copy: 0 none, 1 starting, 2 the old one that is ending, 3 a new one that was given up and is ending |
//! | 193 | 1 | 1: another replacement is asked for |
//! | 194 | 2 | 0 |
//! | 196 | 4 | pid of the second copy |
//! | 200 | 16 | earliest and latest time of its birth |
//! | 216 | 12 | TAI64N label of its start |
//! | 228 | 8 | inode number of the pipe on which it says that it is ready |
//! | 236 | 8 | watchdog interval of the process in nanoseconds; 0 for none |
//! | 244 | 8 | watchdog interval of the second copy |
//! | 252 | 1 | 1: the process has been ready, so its watchdog runs |
//!
//! Numbers are little-endian, except for labels. Records of earlier versions end at 104 bytes or later; missing fields are 0.

use std::num::NonZeroU32;

use tai::Label;

use super::sections::Fields;
use super::{Boot, Born, Copy, Decided, Exit, Observed, Pace, Process, Record, Role, Service, Supervise, Text};
use crate::{Mark, Status};

/// Length in bytes of the longest status file of this layout.
pub const LONGEST: usize = 253;
/// Length in bytes of the shortest status file of this layout.
const LEAST: usize = 104;
/// The version byte.
const LAYOUT: u8 = 1;

const EXITING: u8 = 1;
const START_DUE: u8 = 2;
const EXITED: u8 = 4;
const ENDING: u8 = 8;
const KILL_DUE: u8 = 16;
const DECLARES: u8 = 32;
const LAST_RUN: u8 = 64;
const ENDED: u8 = 128;

/// Decodes a whole status file of this layout. `None` if it is too short, or of another suite.
pub fn decode(file: &[u8]) -> Option<Record> {
    let status = Status::decode(file).ok()?;
    let mut rest = Fields::new(file.get(Status::SIZE..).filter(|_| file.len() >= LEAST)?);
    if rest.byte() != LAYOUT {
        return None;
    }
    let flags = rest.byte();
    let is = |bit: u8| flags & bit != 0;
    let last_exit = Exit::from_bytes(rest.array());
    let (supervise, starts, boot) = (rest.number(), rest.number(), rest.array());
    let born = Born::decode(&mut rest);
    let ready = Some(rest.array()).filter(|ready| *ready != [0; Label::PACKED]).map(Label::unpack);
    let (stdin, stdout, version) = (rest.long(), rest.long(), Text::new(&rest.array::<12>()));
    let (ready_pipe, mark) = (rest.long(), Mark(rest.long()));
    let (notify, why) = (Text::new(&rest.array::<8>()), Text::new(&rest.array::<64>()));
    let [role, replace_due, _, _] = rest.array();
    let (second, second_process) = (NonZeroU32::new(rest.number()), process(&mut rest));
    let (watchdog, second_watchdog, watched) = (rest.long(), rest.long(), rest.byte() != 0);
    let main = status.pid.map(|pid| Copy {
        declares: is(DECLARES),
        ready: ready.is_some(),
        // A supervise without watchdogs recorded only that the service is ready.
        watched: watched || ready.is_some(),
        watchdog,
        paused: status.paused,
        ending: is(ENDING),
        got_term: status.got_term,
        kill_due: is(KILL_DUE),
        asked: is(ENDING),
        ..Copy::up(pid)
    });
    let role = match role {
        1 => Some(Role::Warming),
        2 => Some(Role::EndingOld),
        3 => Some(Role::EndingNew),
        _ => None,
    };
    let second =
        second.and_then(|pid| Some((role?, Copy { watchdog: second_watchdog, undeclared: true, ..Copy::up(pid) })));
    let record = Record {
        decided: Decided {
            service: Service {
                want: status.want,
                exiting: is(EXITING),
                start_due: is(START_DUE),
                last_run: is(LAST_RUN),
                ended: is(ENDED),
                replace_due: replace_due != 0,
                below_init: false,
            },
            main,
            second,
            pace: Pace { starts, last_exit, next: None },
            ..Decided::default()
        },
        observed: Observed {
            main: Process { since: status.since, born, ready, ready_pipe, life: 0 },
            second: second_process,
            hook: Born::default(),
            controls: [Born::default(); 2],
            supervise: Supervise {
                pid: supervise,
                exited: is(EXITED),
                boot: Boot::Kernel(boot),
                stdin,
                stdout,
                version,
                directory: (0, 0),
            },
            why,
            notify,
            awaited: Text::default(),
            mark,
            heard: 0,
            memory: false,
        },
    };
    Some(record.without_ghost())
}

fn process(rest: &mut Fields<'_>) -> Process {
    let (born, since) = (Born::decode(rest), rest.label());
    Process { since, born, ready: None, ready_pipe: rest.long(), life: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Want;

    /// As supervise wrote it: up and told to end, ready, with a new copy beside it.
    fn known() -> Vec<u8> {
        let status = Status {
            since: Label::from_unix(20, 0),
            pid: NonZeroU32::new(21),
            paused: false,
            want: Want::Up,
            got_term: true,
            run: crate::Run::Run,
        };
        let mut bytes = status.encode().to_vec();
        bytes.extend([1, ENDING | DECLARES | EXITED, 2, 9]);
        bytes.extend(7_u32.to_le_bytes());
        bytes.extend(3_u32.to_le_bytes());
        bytes.extend([0xab; 16]);
        bytes.extend([5_u64, 6].map(u64::to_le_bytes).concat());
        bytes.extend(Label::from_unix(1, 2).pack());
        bytes.extend([8_u64, 9].map(u64::to_le_bytes).concat());
        bytes.extend(b"0.1.0\0\0\0\0\0\0\0");
        bytes.extend([10_u64, 11].map(u64::to_le_bytes).concat());
        bytes.extend(b"@00abc\0\0");
        bytes.extend([b'x'; 64]);
        bytes.extend([1, 1, 0, 0]);
        bytes.extend(12_u32.to_le_bytes());
        bytes.extend([13_u64, 14].map(u64::to_le_bytes).concat());
        bytes.extend(Label::from_unix(15, 16).pack());
        bytes.extend([17_u64, 18, 19].map(u64::to_le_bytes).concat());
        bytes.push(1);
        bytes
    }

    #[test]
    fn every_fact_of_the_first_layout_is_read() {
        assert_eq!(known().len(), LONGEST);
        let Record { decided, observed } = decode(&known()).expect("it is one");
        let main = Copy {
            declares: true,
            ready: true,
            watched: true,
            watchdog: 18,
            ending: true,
            got_term: true,
            asked: true,
            ..Copy::up(NonZeroU32::new(21).expect("not 0"))
        };
        assert_eq!(decided.main, Some(main));
        let new = Copy { watchdog: 19, undeclared: true, ..Copy::up(NonZeroU32::new(12).expect("not 0")) };
        assert_eq!(decided.second, Some((Role::Warming, new)));
        assert_eq!(decided.pace, Pace { starts: 3, last_exit: Some(Exit::Signal(9)), next: None });
        assert_eq!(decided.service, Service { replace_due: true, ..Service::default() });
        let supervise = Supervise {
            pid: 7,
            exited: true,
            boot: Boot::Kernel([0xab; 16]),
            stdin: 8,
            stdout: 9,
            version: Text::new(b"0.1.0"),
            directory: (0, 0),
        };
        assert_eq!(observed.supervise, supervise);
        let main = Process {
            since: Label::from_unix(20, 0),
            born: Born { earliest: 5, latest: 6 },
            ready: Some(Label::from_unix(1, 2)),
            ready_pipe: 10,
            life: 0,
        };
        assert_eq!(observed.main, main);
        let second = Process {
            since: Label::from_unix(15, 16),
            born: Born { earliest: 13, latest: 14 },
            ready: None,
            ready_pipe: 17,
            life: 0,
        };
        assert_eq!((observed.second, observed.mark, observed.notify), (second, Mark(11), Text::new(b"@00abc")));
        assert_eq!(observed.why, Text::new(&[b'x'; 64]));
    }

    #[test]
    #[cfg_attr(miri, ignore = "below an interpreter it takes minutes")]
    fn every_length_is_met_without_harm() {
        let bytes = [known(), vec![0xff; 40]].concat();
        for length in (0..bytes.len()).step_by(if cfg!(miri) { 17 } else { 1 }) {
            assert_eq!(decode(&bytes[..length]).is_some(), length >= LEAST, "{length} bytes");
        }
        let short = decode(&bytes[..LEAST]).expect("a version of ours that knew less wrote it");
        assert_eq!((short.decided.second, short.observed.mark), (None, Mark(0)));
        assert!(short.decided.main.is_some_and(|main| main.watched && main.watchdog == 0));
    }

    #[test]
    #[cfg_attr(miri, ignore = "below an interpreter it takes minutes")]
    fn another_layout_is_none_of_ours() {
        for layout in (0..=255).filter(|&layout| layout != LAYOUT) {
            let mut bytes = known();
            bytes[Status::SIZE] = layout;
            assert_eq!(decode(&bytes), None);
        }
    }
}
