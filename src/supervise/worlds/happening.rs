//! What may happen in a world of supervise, and random worlds.

use machine::supervise::health::Settings;
use machine::supervise::restarts::Limit;
use machine::supervise::{Knobs, Programs, Rules, controls};
use machine::{SECOND, Signal};
use proptest::bool::weighted;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use svdir::Command;
use svdir::KillMode;
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
    /// A `check` or `health` that runs ends with this code.
    CheckEnds(u8),
    /// A script that runs, and for which the service waits, ends with this code.
    HookEnds(u8),
    /// A script of `control/` that runs ends with this code. It is never 0: what is kept back for ever, the service need not obey.
    ControlEnds(u8),
    /// From now on the directory has these scripts.
    Scripts(Scripts),
    /// From now on `health` is run so; there is none if the interval is 0.
    Health(Settings),
    /// From now on a copy that is started must be ready within this many nanoseconds; 0 for no limit.
    Patience(u64),
    /// From now on these rules apply to the end of the service.
    Rules(Rules),
    /// How long `finish` and `stop` may take from their next start on, in nanoseconds.
    FinishLimit(Option<u64>),
    /// From now on a copy that is started has this mode, and makes another process in its group, or none.
    Mode(KillMode, bool),
    /// Such a process ends by itself.
    HelperEnds,
    /// From now on the service is essential, or not.
    Essential(bool),
    /// From now on a start waits for another service: at most so many nanoseconds in all, or for ever if that is 0. `None`: that service is ready.
    Missing(Option<u64>),
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

/// The scripts that the service directory has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scripts {
    /// Those of a start.
    pub programs: Programs,
    /// `stop`
    pub stop: bool,
    /// Those of `control/`.
    pub controls: controls::Scripts,
}

impl Default for Scripts {
    fn default() -> Scripts {
        Scripts {
            programs: Programs { start: false, up: false, run: true },
            stop: false,
            controls: controls::Scripts::default(),
        }
    }
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NewFile {
    #[default]
    Understands,
    Refuses,
    Hangs,
}

/// Any script of less than `length` happenings. What is simpler comes first, since a world that fails is reduced to that.
pub fn any_script(length: usize) -> impl Strategy<Value = Script> {
    vec((any_delay(), any_happening()), 0..length)
}

/// Mostly things happen when the loop is at rest, or soon after another thing.
fn any_delay() -> impl Strategy<Value = u32> {
    prop_oneof![Just(0), 0..8_u32, 0..30_u32, 0..1000_u32]
}

fn any_happening() -> impl Strategy<Value = Happening> {
    let declares = (weighted(1.0 / 3.0), any::<bool>(), weighted(0.25));
    let foreign = select(&[Happening::ListenerEnds, Happening::StrangerEnds][..]);
    let new_file = select(&[NewFile::Understands, NewFile::Refuses, NewFile::Hangs][..]);
    prop_oneof![
        3 => any_time().prop_map(Happening::Pass),
        7 => any_commands().prop_map(Happening::Commands),
        4 => (any_place(), any_code()).prop_map(|(place, code)| Happening::Ends(place, code)),
        1 => any_place().prop_map(Happening::Stops),
        1 => any_place().prop_map(Happening::Continues),
        2 => any_place().prop_map(Happening::WritesReady),
        3 => (any_place(), any_word(), weighted(1.0 / 3.0)).prop_map(|(place, word, ends)| Happening::Tells(place, word, ends)),
        2 => (any_place(), any::<bool>()).prop_map(|(place, ends)| Happening::Moves(place, ends)),
        2 => any_code().prop_map(Happening::CheckEnds),
        1 => foreign,
        1 => Just(Happening::FilesRemoved),
        3 => (select(&Ability::ALL[..]), weighted(2.0 / 3.0)).prop_map(|(what, can)| Happening::Can(what, can)),
        1 => declares.prop_map(|(pipe, socket, check)| Happening::Declares { pipe, socket, check }),
        1 => select(&[0, SECOND, 3 * SECOND][..]).prop_map(Happening::Watchdog),
        1 => any_knobs().prop_map(Happening::Knobs),
        1 => new_file.prop_map(Happening::NewFile),
        3 => select(&[0, 1, 125][..]).prop_map(Happening::HookEnds),
        3 => any_rules().prop_map(Happening::Rules),
        1 => select(&[None, Some(SECOND), Some(5 * SECOND)][..]).prop_map(Happening::FinishLimit),
        1 => any::<bool>().prop_map(Happening::Essential),
        3 => select(&[None, None, Some(0), Some(3 * SECOND)][..]).prop_map(Happening::Missing),
        2 => any_code().prop_map(|code| Happening::ControlEnds(code.max(1))),
        3 => any_scripts().prop_map(Happening::Scripts),
        2 => any_health().prop_map(Happening::Health),
        3 => any_mode().prop_map(|(mode, helps)| Happening::Mode(mode, helps)),
        1 => Just(Happening::HelperEnds),
        1 => select(&[0, SECOND, 3 * SECOND][..]).prop_map(Happening::Patience),
        1 => Just(Happening::Killed),
    ]
}

/// The place of the first copy, or of the second.
fn any_place() -> impl Strategy<Value = usize> {
    prop_oneof![2 => Just(0_usize), 1 => Just(1_usize)]
}

fn any_code() -> impl Strategy<Value = u8> {
    select(&[0, 1, 99, 111][..])
}

fn any_time() -> impl Strategy<Value = u64> {
    prop_oneof![0..SECOND / 50, 0..SECOND, 0..2 * SECOND, 0..12 * SECOND, 0..100 * SECOND]
}

fn any_commands() -> impl Strategy<Value = Vec<u8>> {
    // After an `x`, little else can happen.
    let letter = prop_oneof![
        90 => select(&b"uuudddoottkkrrRRRRRpchai12qwg\x80\xff?"[..]),
        9 => Just(svdir::UPGRADE),
        1 => Just(b'x'),
    ];
    vec(letter, 1..=4)
}

fn any_health() -> impl Strategy<Value = Settings> {
    let interval = select(&[0, SECOND / 2, SECOND, 20 * SECOND][..]);
    (interval, 1..3_u8).prop_map(|(interval, fails)| Settings { interval, fails })
}

fn any_scripts() -> impl Strategy<Value = Scripts> {
    let letters = b"tdxkpcahiq12".iter().filter_map(|&letter| Command::from_letter(letter)).collect::<Vec<_>>();
    let scripts = (weighted(0.5), weighted(0.3), weighted(0.7), weighted(0.5), subsequence(letters, 0..6));
    scripts.prop_map(|(start, up, run, stop, controls)| Scripts {
        programs: Programs { start, up, run },
        stop,
        controls: controls.into_iter().fold(controls::Scripts::default(), controls::Scripts::with),
    })
}

fn any_rules() -> impl Strategy<Value = Rules> {
    let finals = prop_oneof![3 => Just(Finals::default()), 1 => Just(Finals::ANY)];
    let restarts = prop_oneof![2 => Just(None), 1 => Just(Some(Limit { times: 3, within: 10 * SECOND }))];
    let backoff = select(&[None, Some(4 * SECOND), Some(60 * SECOND)][..]);
    let rules = (select(&[0, 100][..]), weighted(2.0 / 3.0), finals, backoff, restarts);
    rules.prop_map(|(tally, finish, finals, backoff, restarts)| Rules {
        tally,
        finish,
        finals,
        backoff,
        restarts,
        signals: None,
    })
}

fn any_mode() -> impl Strategy<Value = (KillMode, bool)> {
    (select(&[KillMode::Process, KillMode::Mixed, KillMode::Group, KillMode::Tree][..]), weighted(0.8))
}

fn any_word() -> impl Strategy<Value = &'static str> {
    const WORDS: &[&str] = &[
        "READY=1",
        "READY=1",
        "READY=1\nSTATUS=well",
        "RELOADING=1",
        "RELOADING=1\nMONOTONIC_USEC=700000",
        "FDSTORE=1\nREADY=1",
        "FDSTOREREMOVE=1\nFDNAME=stored",
        "STOPPING=1",
        "WATCHDOG=1",
        "WATCHDOG=trigger",
        "WATCHDOG_USEC=500000",
        "READY=1\nWATCHDOG_USEC=500000",
        "EXTEND_TIMEOUT_USEC=3000000",
        "MAINPID=7",
        "READY=1\nWATCHDOG_USEC=0",
    ];
    select(WORDS)
}

fn any_knobs() -> impl Strategy<Value = Knobs> {
    let down_signal = select(&[Signal::TERM, Signal::INT, Signal::KILL][..]);
    let timeout_kill = select(&[None, Some(SECOND), Some(5 * SECOND)][..]);
    (down_signal, timeout_kill).prop_map(|(down_signal, timeout_kill)| Knobs {
        down_signal,
        timeout_kill,
        patience: Some(4 * SECOND),
        ..Knobs::default()
    })
}
