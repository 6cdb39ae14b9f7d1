//! What may happen in a world of supervise, and worlds at random.

use machine::supervise::Knobs;
use machine::{SECOND, Signal};

/// So many calls of the loop to the kernel pass before something happens, unless nothing else is left to be done.
pub type Script = Vec<(u32, Happening)>;

/// What may happen. A copy, or what was one, is named by its place among those that run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// These bytes are written to the control FIFO.
    Commands(Vec<u8>),
    /// A copy ends by itself with this code.
    Ends(usize, u8),
    /// Somebody else stops a copy, or continues it.
    Stops(usize),
    Continues(usize),
    /// A copy writes on its pipe that it is ready.
    WritesReady(usize),
    /// A copy tells something, and perhaps ends at once.
    Tells(usize, &'static str, bool),
    /// A copy starts another process, which it names as its own, and perhaps ends at once.
    Moves(usize, bool),
    /// A check that runs ends with this code.
    CheckEnds(u8),
    /// A child ends that is none of the service: one that helps to hear words, or one that was there before.
    ListenerEnds,
    StrangerEnds,
    /// Another process takes away the files, and tells of it.
    FilesRemoved,
    /// From now on this works, or does not.
    Can(Ability, bool),
    /// From now on what is started tells in these ways that it is ready.
    Declares {
        pipe: bool,
        socket: bool,
        check: bool,
    },
    /// From now on what is started tells within so many nanoseconds that it is alive.
    Watchdog(u64),
    /// The knob files are others now.
    Knobs(Knobs),
    /// From now on the new file of this program does this.
    NewFile(NewFile),
    /// Nanoseconds pass. Between two calls to the kernel, supervise does not get to run before they have passed.
    Pass(u64),
    /// Supervise is killed, and another one begins.
    Killed,
}

/// What may be impossible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ability {
    /// There can be another process.
    Fork,
    /// What the service needs can be had.
    Provide,
    /// A new process can become `run`.
    Execute,
    /// The record can be written.
    Write,
    /// A process can be signalled.
    Signal,
    /// The control FIFO can be read.
    Read,
    /// It can be waited.
    Wait,
    /// The files can be made anew.
    Renew,
    /// It can be told how a process that is no child has ended.
    TellExit,
    /// A copy that is started ends when it is told to.
    Obey,
    /// A new file that understands the state can be executed.
    Succeed,
    /// The pipe for signals has room.
    Wake,
}

impl Ability {
    /// All of it.
    pub const ALL: [Ability; 12] = [
        Ability::Fork,
        Ability::Provide,
        Ability::Execute,
        Ability::Write,
        Ability::Signal,
        Ability::Read,
        Ability::Wait,
        Ability::Renew,
        Ability::TellExit,
        Ability::Obey,
        Ability::Succeed,
        Ability::Wake,
    ];
}

/// What a new file of this program answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewFile {
    Understands,
    Refuses,
    Hangs,
}

/// A row of numbers that looks random and is the same for the same seed, so that a world which fails does so again.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn one_in(&mut self, of: u64) -> bool {
        self.below(of) == 0
    }

    fn one_of<T: Clone>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.below(all.len() as u64)).expect("it is small")].clone()
    }

    fn place(&mut self) -> usize {
        usize::from(self.one_in(3))
    }

    fn code(&mut self) -> u8 {
        self.one_of(&[0, 1, 99, 111])
    }

    /// A world in which so many things happen.
    pub fn script(&mut self, length: u64) -> Script {
        (0..length).map(|_| (self.delay(), self.happening())).collect()
    }

    /// Most things happen when all is quiet, or close upon another.
    fn delay(&mut self) -> u32 {
        let most = self.one_of(&[1, 8, 30, 1000]);
        u32::try_from(self.below(most)).expect("it is small")
    }

    fn happening(&mut self) -> Happening {
        match self.below(34) {
            0..=6 => Happening::Commands(self.commands()),
            7..=10 => Happening::Ends(self.place(), self.code()),
            11 => Happening::Stops(self.place()),
            12 => Happening::Continues(self.place()),
            13 | 14 => Happening::WritesReady(self.place()),
            15..=17 => Happening::Tells(self.place(), self.word(), self.one_in(3)),
            18 | 19 => Happening::Moves(self.place(), self.one_in(2)),
            20 => Happening::CheckEnds(self.code()),
            21 => self.one_of(&[Happening::ListenerEnds, Happening::StrangerEnds]),
            22 => Happening::FilesRemoved,
            23..=25 => Happening::Can(self.one_of(&Ability::ALL), !self.one_in(3)),
            26 => Happening::Declares { pipe: self.one_in(3), socket: self.one_in(2), check: self.one_in(4) },
            27 => Happening::Watchdog(self.one_of(&[0, SECOND, 3 * SECOND])),
            28 => Happening::Knobs(self.knobs()),
            29 => Happening::NewFile(self.one_of(&[NewFile::Understands, NewFile::Refuses, NewFile::Hangs])),
            30..=32 => Happening::Pass(self.time()),
            _ => Happening::Killed,
        }
    }

    fn time(&mut self) -> u64 {
        let most = self.one_of(&[SECOND / 50, SECOND, 2 * SECOND, 12 * SECOND, 100 * SECOND]);
        self.below(most)
    }

    fn commands(&mut self) -> Vec<u8> {
        let letters = b"uuudddooxttkkrrRRRRpchai12qwgGGG\x80\xff?";
        let count = self.one_of(&[1, 1, 2, 3, 5]);
        // An `x` is the end of most that may happen.
        let letter = |random: &mut Random| match random.one_of(letters) {
            b'x' if !random.one_in(3) => b'R',
            b'G' => svdir::UPGRADE,
            letter => letter,
        };
        (0..count).map(|_| letter(self)).collect()
    }

    fn word(&mut self) -> &'static str {
        self.one_of(&[
            "READY=1",
            "READY=1",
            "READY=1\nSTATUS=well",
            "RELOADING=1",
            "STOPPING=1",
            "WATCHDOG=1",
            "WATCHDOG=trigger",
            "WATCHDOG_USEC=500000",
            "READY=1\nWATCHDOG_USEC=500000",
            "EXTEND_TIMEOUT_USEC=3000000",
            "MAINPID=7",
            "READY=1\nWATCHDOG_USEC=0",
        ])
    }

    fn knobs(&mut self) -> Knobs {
        Knobs {
            down_signal: self.one_of(&[Signal::TERM, Signal::INT, Signal::KILL]),
            timeout_kill: self.one_of(&[None, Some(SECOND), Some(5 * SECOND)]),
            patience: Some(4 * SECOND),
            ..Knobs::default()
        }
    }
}
