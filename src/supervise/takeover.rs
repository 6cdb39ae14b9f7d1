//! What supervise begins with: nothing, what a supervise that was killed has left behind, or what the program that it replaces hands
//! over.

use std::ffi::OsStr;
use std::io;
use std::num::NonZeroU32;
use std::os::fd::{OwnedFd, RawFd};

use anyhow::Context;
use cli::{Warnings, text};
use machine::Tick;
use machine::supervise::Machine;
use svdir::{Born, More, Status, Want};
use sys::adopted::{self, Adopted};
use sys::{clock, fd, process, sealed};
use tai::Label;

use super::hold::Held;
use super::knobs;
use super::sockets::Left;
use super::voice::VOICE;
use crate::service::{now, record, tick};

/// What supervise begins with.
pub struct Beginning {
    /// Where it stands.
    pub machine: Machine,
    /// The last stamp.
    pub since: Label,
    /// What stands in the record behind the status.
    pub more: More,
    /// The service's process, if it lives.
    pub adopted: Option<Adopted>,
    /// Its second copy, if there is one and it lives.
    pub beside: Option<Adopted>,
}

impl Beginning {
    /// Where the last supervise was killed, goes on from its record; else begins anew with `want`.
    ///
    /// # Errors
    /// If it cannot be found out whether the process lives that it has left behind.
    pub fn find(dir: &OsStr, want: Want, us: More, said: &mut Warnings) -> anyhow::Result<Beginning> {
        let Some((status, left)) = record::left_behind(us.boot) else {
            return Ok(Beginning { machine: Machine::new(want), since: now(), more: us, adopted: None, beside: None });
        };
        let adopted = match status.pid {
            Some(pid) => look_for(dir, pid, left.born)?,
            None => None,
        };
        let beside = match left.second {
            Some(second) => look_for(dir, second.pid, left.second_born)?,
            None => None,
        };
        let knobs = knobs::for_successor(dir, &left, said);
        let machine = Machine::resume(tick(), &status, &left, last_start(left.born), knobs);
        Ok(Beginning {
            machine,
            since: status.since,
            more: More {
                born: left.born,
                ready: left.ready,
                ready_pipe: left.ready_pipe,
                mark: left.mark,
                notify: left.notify,
                second_born: left.second_born,
                second_since: left.second_since,
                second_pipe: left.second_pipe,
                ..us
            },
            adopted,
            beside,
        })
    }
}

/// The process that a killed supervise has left behind, if it lives.
fn look_for(dir: &OsStr, pid: NonZeroU32, born: Born) -> anyhow::Result<Option<Adopted>> {
    match Adopted::find(process::Pid::from_raw(pid.get().cast_signed()), record::birth(born)) {
        Ok(Some(adopted)) => {
            log::info!("{}: taking over pid {pid}", dir.display());
            Ok(Some(adopted))
        }
        Ok(None) => Ok(None),
        // Trying again would not help.
        Err(error) if error.raw_os_error() == Some(sys::ENOENT) => {
            let text = text!("unable to tell whether pid ", u64::from(pid.get()), " is still ", dir, ", starting anew");
            VOICE.warning(&text, &error);
            Ok(None)
        }
        Err(error) => Err(error).with_context(|| text!("unable to take over pid ", u64::from(pid.get()), " of ", dir)),
    }
}

/// When a process that was born in this boot was started, on our clock.
pub fn last_start(born: Born) -> Option<Tick> {
    let ago = clock::since_boot().checked_sub(born.latest)?;
    tick().0.checked_sub(ago).map(Tick)
}

/// What stands in every record that this supervise writes. `log_pipe` is the one on stdout, if there is one to our logger: what else stands
/// there is nobody's to take over.
pub fn who_we_are(log_pipe: Option<u64>) -> More {
    More {
        supervise: process::own_pid().as_raw().unsigned_abs(),
        boot: adopted::boot_id().unwrap_or_default(),
        stdin: fd::pipe_id(fd::stdin()).unwrap_or(0),
        stdout: log_pipe.unwrap_or(0),
        version: More::version_of(env!("CARGO_PKG_VERSION")),
        ..More::default()
    }
}

/// What a supervise hands over to its new file: its record, and which descriptors it holds.
pub struct State {
    /// The status.
    pub status: Status,
    /// What stands behind it.
    pub more: More,
    /// Those of [`Held`].
    pub held: [RawFd; Held::COUNT],
    /// That of the process that is not our child.
    pub adopted: Option<RawFd>,
    /// The read end of the pipe to the logger.
    pub pipe: Option<RawFd>,
    /// The read end of the pipe on which the service tells that it is ready.
    pub ready: Option<RawFd>,
    /// The socket on which the service tells of itself.
    pub notify: Option<RawFd>,
    /// The process of the second copy, if that is not our child.
    pub beside: Option<RawFd>,
    /// The read end of the pipe on which that tells that it is ready.
    pub beside_ready: Option<RawFd>,
    /// The OOM score that children get, if it is not that of supervise.
    pub oom: Option<i16>,
    /// The sockets that are held for the service.
    pub sockets: Vec<Left>,
}

/// In place of a score: none.
const NO_SCORE: i32 = i32::MIN;

impl State {
    /// What it begins with. Another layout gets another one.
    const MAGIC: &[u8; 19] = b"uphold supervise 3\n";

    /// As bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = State::MAGIC.to_vec();
        // Its length in front of it: another version's may be longer.
        bytes.extend((Status::WHOLE as u16).to_le_bytes());
        bytes.extend(self.status.encode_with(&self.more));
        let others = [self.adopted, self.pipe, self.ready, self.notify, self.beside, self.beside_ready]
            .map(|number| number.unwrap_or(-1));
        let oom = self.oom.map_or(NO_SCORE, i32::from);
        for number in self.held.into_iter().chain(others).chain([oom]) {
            bytes.extend(number.to_le_bytes());
        }
        for Left { number, name, line } in &self.sockets {
            bytes.extend(number.to_le_bytes());
            for text in [name, line] {
                // Neither a name nor a line is longer than a kilobyte.
                bytes.extend((text.len() as u16).to_le_bytes());
                bytes.extend(text);
            }
        }
        bytes
    }

    /// Whether [`encode`](State::encode) made it.
    #[inline(never)]
    pub fn is_understood(bytes: &[u8]) -> bool {
        State::decode(bytes).is_some()
    }

    /// What [`encode`](State::encode) made; `None` for anything else.
    pub fn decode(bytes: &[u8]) -> Option<State> {
        let bytes = bytes.strip_prefix(State::MAGIC)?;
        let (&length, bytes) = bytes.split_first_chunk::<2>()?;
        let (record, numbers) = bytes.split_at_checked(usize::from(u16::from_le_bytes(length)))?;
        let (status, Some(more)) = Status::decode_with(record).ok()? else {
            return None;
        };
        let (numbers, sockets) = numbers.split_at_checked(4 * (Held::COUNT + 7))?;
        let numbers: Vec<RawFd> = numbers
            .chunks(4)
            .map(|number| Some(RawFd::from_le_bytes(number.try_into().ok()?)))
            .collect::<Option<_>>()?;
        let (&held, &[adopted, pipe, ready, notify, beside, beside_ready, oom]) =
            numbers.split_first_chunk::<{ Held::COUNT }>()?
        else {
            return None;
        };
        let [adopted, pipe, ready, notify, beside, beside_ready] =
            [adopted, pipe, ready, notify, beside, beside_ready].map(|number| (number >= 0).then_some(number));
        Some(State {
            status,
            more,
            held,
            adopted,
            pipe,
            ready,
            notify,
            beside,
            beside_ready,
            oom: if oom == NO_SCORE { None } else { Some(i16::try_from(oom).ok()?) },
            sockets: decode_sockets(sockets)?,
        })
    }

    /// The read end of the pipe to the logger.
    pub fn pipe(&self) -> io::Result<Option<OwnedFd>> {
        self.pipe.map(sealed::inherit).transpose()
    }

    /// The read end of the pipe on which the service tells that it is ready.
    pub fn ready(&self) -> io::Result<Option<OwnedFd>> {
        self.ready.map(sealed::inherit).transpose()
    }

    /// The socket on which the service tells of itself.
    pub fn notify(&self) -> io::Result<Option<OwnedFd>> {
        self.notify.map(sealed::inherit).transpose()
    }

    /// The process that was not the old program's child.
    pub fn adopted(&self) -> io::Result<Option<Adopted>> {
        let (Some(number), Some(pid)) = (self.adopted, self.status.pid) else {
            return Ok(None);
        };
        let fd = sealed::inherit(number)?;
        Adopted::inherit(fd, process::Pid::from_raw(pid.get().cast_signed()), record::birth(self.more.born)).map(Some)
    }

    /// The process of the second copy that was not the old program's child.
    pub fn beside(&self) -> io::Result<Option<Adopted>> {
        let (Some(number), Some(second)) = (self.beside, self.more.second) else {
            return Ok(None);
        };
        let (fd, birth) = (sealed::inherit(number)?, record::birth(self.more.second_born));
        Adopted::inherit(fd, process::Pid::from_raw(second.pid.get().cast_signed()), birth).map(Some)
    }

    /// The read end of the pipe on which the second copy tells that it is ready.
    pub fn beside_ready(&self) -> io::Result<Option<OwnedFd>> {
        self.beside_ready.map(sealed::inherit).transpose()
    }
}

fn decode_sockets(mut bytes: &[u8]) -> Option<Vec<Left>> {
    fn text<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
        let (&length, rest) = bytes.split_first_chunk::<2>()?;
        let (text, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(length)))?;
        *bytes = rest;
        Some(text)
    }
    let mut sockets = Vec::new();
    while !bytes.is_empty() {
        let (&number, rest) = bytes.split_first_chunk::<4>()?;
        bytes = rest;
        let (name, line) = (text(&mut bytes)?.to_vec(), text(&mut bytes)?.to_vec());
        sockets.push(Left { number: RawFd::from_le_bytes(number), name, line });
    }
    Some(sockets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_handed_over_is_understood_and_nothing_else_is() {
        let left = |number: RawFd| Left { number, name: b"web".into(), line: b"tcp *:80".into() };
        for (adopted, sockets) in [(None, vec![]), (Some(9), vec![left(20), left(21)])] {
            let status = Status { pid: NonZeroU32::new(7), ..Status::default() };
            let state = State {
                status,
                more: More { supervise: 3, ..More::default() },
                held: [3, 4, 5, 6],
                adopted,
                pipe: adopted,
                ready: adopted.map(|number| number + 1),
                notify: adopted.map(|number| number + 2),
                beside: adopted.map(|number| number + 3),
                beside_ready: adopted.map(|number| number + 4),
                oom: adopted.map(|_| -17),
                sockets: sockets.clone(),
            };
            let bytes = state.encode();
            let read = State::decode(&bytes).expect("it is one");
            assert_eq!((read.status, read.more, read.held, read.adopted), (status, state.more, state.held, adopted));
            assert_eq!(
                (read.pipe, read.ready, read.notify, read.oom),
                (state.pipe, state.ready, state.notify, state.oom)
            );
            assert_eq!((read.beside, read.beside_ready), (state.beside, state.beside_ready));
            assert_eq!(read.sockets, sockets);
            for length in 0..bytes.len() {
                // Cut behind a socket it is a state with fewer of them.
                let whole = State::decode(&bytes[..length]).is_none_or(|read| read.sockets.len() < sockets.len());
                assert!(whole, "{length} bytes");
            }
            assert!(State::decode(&[&bytes[..], b"more"].concat()).is_none());
        }
    }
}
