//! What the loop of supervise asks of the kernel, in the loop's own words. The loop decides in which order; how a thing is done, with which descriptors and calls, is
//! [`System`](super::system::System)'s to know. So the loop can be driven in worlds where whatever may fail does, at the worst moment.

use std::io;
use std::path::Path;

use cli::Warnings;
use machine::supervise::{Event, Knobs, Machine, Needs, Slot, Target};
use machine::{Pid, Signal, Tick};
use svdir::notify::Notice;
use svdir::record::{Born, Process, Record, Text};
use sys::notify::LONGEST;
use sys::process::Change;
use tai::Label;

use crate::service::successor::Answer;

/// All that happens outside the loop, and all that the loop does there. A copy is named by its slot; only copies have what is asked of one.
pub trait Kernel {
    /// The present moment.
    fn now(&self) -> Tick;

    /// The time of the wall clock.
    fn label(&self) -> Label;

    /// Waits until there is something to hear, or until then. Commands are waited for only with `commands`.
    ///
    /// # Errors
    /// If it cannot be waited. Then nothing is known.
    fn wait(&mut self, until: Option<Tick>, commands: bool) -> io::Result<Woken>;

    /// Lets a second pass, where it cannot be waited.
    fn rest(&mut self);

    /// The earliest moment at which something of the kernel's own is due: [`rewrite`](Kernel::rewrite), [`end_late`](Kernel::end_late), or to be asked again.
    fn deadline(&self) -> Option<Tick>;

    /// Reads commands. Returns how many bytes.
    ///
    /// # Errors
    /// WouldBlock if there are none, or what the system says.
    fn read_commands(&mut self, batch: &mut [u8]) -> io::Result<usize>;

    /// Whether a child may have changed since [`forget_signals`](Kernel::forget_signals).
    fn has_signal(&self) -> bool;

    /// Forgets that children may have changed: they are looked at now.
    fn forget_signals(&mut self);

    /// The next change of a child.
    fn reap(&mut self) -> Option<(Pid, Change)>;

    /// Whether the child that was just reaped was only to help to hear words.
    fn was_listener(&mut self, pid: Pid) -> bool;

    /// Whether the process of a copy, which is no child, is watched.
    fn is_watched(&self, slot: Slot) -> bool;

    /// The watched processes that have ended, and how, where that can be told. They are watched no more.
    fn take_ended(&mut self) -> [Option<(Pid, Option<Change>)>; 2];

    /// Whether the second copy, which has this pid, lives and leads a process group.
    fn leads_group(&self, second: Pid) -> bool;

    /// Whether the copy has written, since this was asked last, that it is ready.
    fn hear_ready(&mut self, slot: Slot) -> bool;

    /// Listens no more whether the copy writes that it is ready.
    fn forget_ready(&mut self, slot: Slot);

    /// Whether the service may tell of itself at all.
    fn hears_words(&self) -> bool;

    /// What was told next, judged for which of `copies` it counts.
    fn receive<'b>(
        &mut self,
        copies: [Option<Pid>; 2],
        buffer: &'b mut [u8; LONGEST],
    ) -> Option<Told<impl Iterator<Item = Notice<'b>> + use<'b, Self>>>;

    /// Takes the process `new` for that of the copy, in place of `old`, if a word of `user` may make it so. Returns when it was born.
    ///
    /// # Errors
    /// If it may not, or there is no such process.
    fn follow(&mut self, slot: Slot, old: Pid, new: Pid, user: u32) -> io::Result<Born>;

    /// The abstract name under which it is told; empty for none.
    fn notify_name(&self) -> Text<16>;

    /// What the service directory says now.
    fn knobs(&mut self, needs: Needs, said: &mut Warnings) -> Knobs;

    /// Starts a copy. `now` is what is recorded before the start.
    fn start(&mut self, slot: Slot, machine: &Machine, now: Record, said: &mut Warnings) -> Outcome;

    /// Starts `check` about the process of a copy. `slot` is its own.
    fn start_check(&mut self, slot: Slot, about: Pid, said: &mut Warnings) -> Event;

    /// Sends a signal.
    ///
    /// # Errors
    /// What the system says. That the process has just ended is none.
    fn signal(&self, target: Target, signal: Signal) -> io::Result<()>;

    /// The two copies change places, and nobody waits for the second to get ready.
    fn promote(&mut self);

    /// A process of the service has ended, which may have shut down what it shares.
    fn copy_ended(&mut self, said: &mut Warnings);

    /// Writes the record.
    fn announce(&mut self, record: &Record, said: &mut Warnings);

    /// When a record that could not be written is to be written again.
    fn rewrite(&self) -> Option<Tick>;

    /// Whether the files that others find us by are there.
    fn has_files(&self) -> bool;

    /// Makes them anew. Returns when that is to be tried again, if it failed.
    fn renew_files(&mut self, record: &Record, said: &mut Warnings) -> Option<Tick>;

    /// What another program needs to go on from here. `None` if that cannot be said.
    fn state(&self, record: Record) -> Option<Vec<u8>>;

    /// Asks the new file of this program whether it understands the state.
    fn ask_successor(&mut self, state: &[u8]);

    /// What a change of a child means for an upgrade.
    fn hear_successor(&mut self, pid: Pid, change: Change) -> Answer;

    /// Becomes the new file. Returns only if that failed, which was said.
    fn succeed(&mut self, program: &Path, state: &[u8]);

    /// Ends a new file that has not answered in time.
    fn end_late(&mut self);

    /// Nobody tells anything any more.
    fn leave(&mut self);

    /// The machine takes in this event now. Whoever is not a model of the kernel does not care.
    fn see(&mut self, _: &Event) {}
}

/// What there is to hear.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Woken {
    /// Commands.
    pub commands: bool,
    /// A child may have changed.
    pub signal: bool,
    /// A copy has written on its pipe.
    pub ready: bool,
    /// A watched process has ended.
    pub ended: bool,
    /// Something was told.
    pub word: bool,
}

impl Woken {
    /// Where nothing is known, everything is looked at: what is not there says nothing.
    pub const UNKNOWN: Woken = Woken { commands: true, signal: true, ready: true, ended: true, word: true };
}

/// Something that was told.
pub struct Told<W> {
    /// The copy that it counts for; `None` if it is none of theirs.
    pub by: Option<Pid>,
    /// Which process has told it.
    pub sender: Pid,
    /// Which user that was.
    pub user: u32,
    /// What was told.
    pub words: W,
}

/// What came of the start of a copy.
pub struct Outcome {
    /// What the machine is told.
    pub event: Event,
    /// What was seen of the new process, if it has become `run`.
    pub seen: Option<Process>,
    /// Why it has not, for the record.
    pub why: Text<64>,
}
