//! Command letters, as `svc` writes them to the control FIFO.

/// The byte on the control FIFO that asks supervise to execute its new file. It is not a command about the service, and
/// other suites ignore it.
pub const UPGRADE: u8 = b'E';

/// A command, which is one byte on the control FIFO.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// `u`: want up; start if down.
    Up,
    /// `d`: want down; TERM and CONT if up.
    Down,
    /// `o`: once; start if down, do not restart.
    Once,
    /// `x`: exit as soon as the service is down. No later command cancels it.
    Exit,
    /// `p`: STOP.
    Pause,
    /// `c`: CONT.
    Continue,
    /// `h`: HUP.
    Hup,
    /// `a`: ALRM.
    Alarm,
    /// `i`: INT.
    Interrupt,
    /// `t`: TERM.
    Term,
    /// `k`: KILL.
    Kill,
    /// `q`: QUIT. daemontools-encore has this command and the next three too.
    Quit,
    /// `1`: USR1.
    Usr1,
    /// `2`: USR2.
    Usr2,
    /// `w`: WINCH.
    Winch,
    /// `r`: the signal that ends the service; what is wanted does not change. s6 has it too.
    Restart,
    /// `g`: the signal that makes the service read its configuration again. s6 has `l` for it, which is something else in encore.
    Reload,
    /// `R`: start a new copy beside the old one, and end the old one when the new one is ready; start if down.
    Replace,
}

impl Command {
    /// The commands of daemontools 0.76, in the order of its svc's usage text.
    pub const ORIGINAL: [Command; 11] = [
        Command::Up,
        Command::Down,
        Command::Once,
        Command::Exit,
        Command::Pause,
        Command::Continue,
        Command::Hup,
        Command::Alarm,
        Command::Interrupt,
        Command::Term,
        Command::Kill,
    ];

    /// The commands that daemontools 0.76 does not have.
    pub const NEW: [Command; 7] = [
        Command::Quit,
        Command::Usr1,
        Command::Usr2,
        Command::Winch,
        Command::Restart,
        Command::Reload,
        Command::Replace,
    ];

    /// Every command.
    pub fn all() -> impl Iterator<Item = Command> {
        Command::ORIGINAL.into_iter().chain(Command::NEW)
    }

    /// The letter that stands for the command.
    pub const fn letter(self) -> u8 {
        match self {
            Command::Up => b'u',
            Command::Down => b'd',
            Command::Once => b'o',
            Command::Exit => b'x',
            Command::Pause => b'p',
            Command::Continue => b'c',
            Command::Hup => b'h',
            Command::Alarm => b'a',
            Command::Interrupt => b'i',
            Command::Term => b't',
            Command::Kill => b'k',
            Command::Quit => b'q',
            Command::Usr1 => b'1',
            Command::Usr2 => b'2',
            Command::Winch => b'w',
            Command::Restart => b'r',
            Command::Reload => b'g',
            Command::Replace => b'R',
        }
    }

    /// The command with this letter; `None` for any other byte, which supervise ignores.
    pub fn from_letter(letter: u8) -> Option<Command> {
        Command::all().find(|command| command.letter() == letter)
    }
}

/// A mark, which a client sends after its commands: when it appears in the record, the commands were obeyed. It is eight
/// bytes, which are no commands in any suite since their highest bit is set; it holds 56 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark(pub u64);

impl Mark {
    /// Length in bytes.
    pub const SIZE: usize = 8;
    const BITS: u64 = (1 << 56) - 1;

    /// Makes a mark from the lower 56 bits of `number`.
    pub const fn new(number: u64) -> Mark {
        Mark(number & Mark::BITS)
    }

    /// The bytes of the mark as they are sent.
    pub fn bytes(self) -> [u8; Mark::SIZE] {
        std::array::from_fn(|at| 0x80 | (self.0 >> (7 * (Mark::SIZE - 1 - at))) as u8)
    }

    /// Adds one byte that was read; `None` if it is not a byte of a mark. After eight bytes the result is the whole
    /// mark.
    #[must_use]
    pub fn with(self, byte: u8) -> Option<Mark> {
        (byte & 0x80 != 0).then(|| Mark::new(self.0 << 7 | u64::from(byte & 0x7f)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn these_letters_are_commands_and_no_other_byte() {
        let known: Vec<u8> = (0..=255).filter(|&byte| Command::from_letter(byte).is_some()).collect();
        assert_eq!(known, b"12Racdghikopqrtuwx");
        for command in Command::all() {
            assert_eq!(Command::from_letter(command.letter()), Some(command));
        }
        assert_eq!(Command::from_letter(UPGRADE), None);
    }

    #[test]
    fn a_mark_is_read_as_it_was_sent_and_holds_no_command() {
        for number in [0, 1, 0x7f, 0x0012_3456_789a_bcde, u64::MAX] {
            let mark = Mark::new(number);
            assert!(mark.bytes().iter().all(|&byte| Command::from_letter(byte).is_none() && byte != UPGRADE));
            let read = mark.bytes().iter().try_fold(Mark(99), |mark, &byte| mark.with(byte));
            assert_eq!(read, Some(mark));
        }
        assert!((0..0x80).all(|byte| Mark::default().with(byte).is_none()));
    }
}
