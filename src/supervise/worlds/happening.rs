//! What may happen in a world of supervise, and random worlds.

use machine::supervise::restarts::Limit;
use machine::supervise::{Knobs, Rules};
use machine::{SECOND, Signal};
use svdir::finals::Finals;

/// What happens, each with the number of calls of the loop to the kernel before it. It happens earlier if the loop has
/// nothing else to do.
pub type Script = Vec<(u32, Happening)>;

/// What may happen. A copy is named by its place among the processes of the service that live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// These bytes are written to the control FIFO.
    Commands(Vec<u8>),
    /// A copy ends by itself with this code.
    Ends(usize, u8),
    /// Another process stops a copy, or continues it.
    Stops(usize),
    Continues(usize),
    /// A copy writes to its pipe that it is ready.
    WritesReady(usize),
    /// A copy sends a message. If the flag is set, it ends at once.
    Tells(usize, &'static str, bool),
    /// A copy starts another process and names it as the main process. If the flag is set, the copy ends at once.
    Moves(usize, bool),
    /// A check that runs ends with this code.
    CheckEnds(u8),
    /// A `finish` that runs ends with this code.
    FinishEnds(u8),
    /// From now on these rules apply to the end of the service.
    Rules(Rules),
    /// A child ends that is not a process of the service: one that closes descriptors from datagrams, or one that was
    /// there before.
    ListenerEnds,
    StrangerEnds,
    /// Another process removes the files of supervise, and sends it the signal for that.
    FilesRemoved,
    /// From now on this works, or does not.
    Can(Ability, bool),
    /// From now on a copy that is started says in these ways that it is ready.
    Declares {
        pipe: bool,
        socket: bool,
        check: bool,
    },
    /// From now on a copy that is started has this watchdog interval, in nanoseconds; 0 for none.
    Watchdog(u64),
    /// The knob files have changed.
    Knobs(Knobs),
    /// From now on the new file of supervise does this.
    NewFile(NewFile),
    /// This many nanoseconds pass. If that happens between two calls to the kernel, supervise does not run meanwhile.
    Pass(u64),
    /// Supervise is killed, and another one begins.
    Killed,
}

/// What may work or fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ability {
    /// To make another process.
    Fork,
    /// To get what the service needs.
    Provide,
    /// To execute `run` in a new process.
    Execute,
    /// To write the record.
    Write,
    /// To send a signal.
    Signal,
    /// To read the control FIFO.
    Read,
    /// To wait.
    Wait,
    /// To make the files anew.
    Renew,
    /// To find out how a process that is not a child has ended.
    TellExit,
    /// A copy that is started ends when it is told to.
    Obey,
    /// To execute a new file that understands the state.
    Succeed,
    /// The pipe for signals has room.
    Wake,
}

impl Ability {
    /// All abilities.
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

/// What the new file of supervise answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewFile {
    Understands,
    Refuses,
    Hangs,
}

/// A sequence of pseudo-random numbers. It is the same for the same seed, so a world that fails can be run again.
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

    /// Returns a number below `end`.
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

    /// Makes a script in which `length` things happen.
    pub fn script(&mut self, length: u64) -> Script {
        (0..length).map(|_| (self.delay(), self.happening())).collect()
    }

    /// Mostly things happen when the loop is at rest, or soon after another thing.
    fn delay(&mut self) -> u32 {
        let most = self.one_of(&[1, 8, 30, 1000]);
        u32::try_from(self.below(most)).expect("it is small")
    }

    fn happening(&mut self) -> Happening {
        match self.below(40) {
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
            33..=35 => Happening::FinishEnds(self.one_of(&[0, 1, 125])),
            36..=38 => Happening::Rules(self.rules()),
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
        // After an `x`, little else can happen.
        let letter = |random: &mut Random| match random.one_of(letters) {
            b'x' if !random.one_in(3) => b'R',
            b'G' => svdir::UPGRADE,
            letter => letter,
        };
        (0..count).map(|_| letter(self)).collect()
    }

    fn rules(&mut self) -> Rules {
        Rules {
            finish: !self.one_in(3),
            finish_limit: self.one_of(&[None, Some(SECOND), Some(5 * SECOND)]),
            finals: self.one_of(&[Finals::default(), Finals::default(), Finals::default(), Finals::ANY]),
            backoff: self.one_of(&[None, Some(4 * SECOND), Some(60 * SECOND)]),
            restarts: self.one_of(&[None, None, Some(Limit { times: 3, within: 10 * SECOND })]),
        }
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
