//! Command letters, as `svc` writes them to the control FIFO.

/// The byte on the control FIFO that asks supervise to become its new file. It is no command about the service, and other
/// suites ignore it.
pub const UPGRADE: u8 = b'E';

/// What one byte on the control FIFO asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// `u`: want up; start if down.
    Up,
    /// `d`: want down; TERM and CONT if up.
    Down,
    /// `o`: once; start if down, do not restart.
    Once,
    /// `x`: exit as soon as the service is down. Cannot be taken back.
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
    /// `q`: QUIT. This and the next three are encore's too.
    Quit,
    /// `1`: USR1.
    Usr1,
    /// `2`: USR2.
    Usr2,
    /// `w`: WINCH.
    Winch,
    /// `r`: the signal that ends the service; what is wanted stays. s6's too.
    Restart,
    /// `g`: the signal that makes the service read its configuration again. s6 has `l` for it, which is something else in encore.
    Reload,
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
    pub const NEW: [Command; 6] =
        [Command::Quit, Command::Usr1, Command::Usr2, Command::Winch, Command::Restart, Command::Reload];

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
        }
    }

    /// The command of a letter; `None` for a byte that is none, which supervise ignores.
    pub fn from_letter(letter: u8) -> Option<Command> {
        Command::all().find(|command| command.letter() == letter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn these_letters_are_commands_and_no_other_byte() {
        let known: Vec<u8> = (0..=255).filter(|&byte| Command::from_letter(byte).is_some()).collect();
        assert_eq!(known, b"12acdghikopqrtuwx");
        for command in Command::all() {
            assert_eq!(Command::from_letter(command.letter()), Some(command));
        }
        assert_eq!(Command::from_letter(UPGRADE), None);
    }
}
