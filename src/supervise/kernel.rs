//! What the loop of supervise needs from the kernel, in the terms of the loop. The loop decides the order;
//! [`System`](super::system::System) knows the descriptors and system calls. So tests can drive the loop in worlds
//! where everything that may fail does, at the worst moment.

use std::io;
use std::path::Path;

use cli::Warnings;
use machine::supervise::controls::Scripts;
use machine::supervise::health::Settings;
use machine::supervise::{Event, Job, Knobs, Machine, Needs, NotStarted, Rules, Slot, Target};
use machine::{Pid, Signal, Tick};
use svdir::notify::Notice;
use svdir::record::{Born, Observed, Process, Record, Text};
use svdir::tally::Death;
use svdir::{Command, Exit, KillMode};
use sys::notify::LONGEST;
use sys::process::Change;
use tai::Label;

use super::notices;
pub use super::processes::WATCHED;
use crate::service::successor::Answer;

/// Everything outside the loop. A copy is named by its slot; a method about a copy must get the slot of one.
pub trait Kernel {
    /// Returns the present time on the clock of the machine.
    fn now(&self) -> Tick;

    /// Returns the wall clock time, as a label.
    fn label(&self) -> Label;

    /// Waits until something happens, or until the time `until`. Commands count only if `commands`.
    ///
    /// # Errors
    /// If the wait fails. Then it is unknown what has happened.
    fn wait(&mut self, until: Option<Tick>, commands: bool) -> io::Result<Woken>;

    /// Lets a second pass after a wait that failed.
    fn rest(&mut self);

    /// The earliest time at which the kernel has something to do: [`rewrite`](Kernel::rewrite),
    /// [`end_late`](Kernel::end_late), [`hear_gate`](Kernel::hear_gate), or a source that is to be read again.
    fn deadline(&self) -> Option<Tick>;

    /// Reads command bytes into `batch`. Returns how many.
    ///
    /// # Errors
    /// WouldBlock if there are none, or the error of the system.
    fn read_commands(&mut self, batch: &mut [u8]) -> io::Result<usize>;

    /// Returns whether a child may have changed since [`forget_signals`](Kernel::forget_signals).
    fn has_signal(&self) -> bool;

    /// Forgets that children may have changed: the caller looks at them now.
    fn forget_signals(&mut self);

    /// Returns the next change of a child. One that has ended is reaped by the next call of this, or of
    /// [`look`](Kernel::look), at the latest.
    fn reap(&mut self) -> Option<(Pid, Change)>;

    /// Looks for what is left of the copy that was started as `first`, with this mode, and has ended. `known` was found
    /// before. Returns the event for the machine, which knows which processes are not left behind.
    fn look(&mut self, first: Pid, mode: KillMode, known: Option<Pid>, machine: &Machine) -> Event;

    /// Returns whether `pid`, which was just reaped, was only a helper: one that closes descriptors of the service, or
    /// `notify`.
    fn was_helper(&mut self, pid: Pid, said: &mut Warnings) -> bool;

    /// Tells `notify` of an end, if there is one and that is to be told. It is told of starts by [`start`](Kernel::start).
    fn tell(&mut self, notice: Option<notices::Notice>, said: &mut Warnings);

    /// Returns whether a process in this slot is watched that is not a child: that of a copy, or of a script for which the
    /// service waits.
    fn is_watched(&self, slot: Slot) -> bool;

    /// Returns the watched processes that have ended, with their exits where these are known, and stops watching them.
    fn take_ended(&mut self) -> [Option<(Pid, Option<Change>)>; WATCHED];

    /// Returns whether the second copy, which has this pid, lives and leads a process group.
    fn leads_group(&self, second: Pid) -> bool;

    /// Returns whether the copy has written that it is ready since the last call.
    fn hear_ready(&mut self, slot: Slot) -> bool;

    /// Stops listening for the readiness of the copy on its pipe.
    fn forget_ready(&mut self, slot: Slot);

    /// Returns whether there is a notify socket, so that messages may come.
    fn hears_words(&self) -> bool;

    /// Receives the next datagram, and decides for which of `copies` it counts. Keeps its descriptors if they are to be kept, and closes them
    /// otherwise.
    fn receive<'b>(
        &mut self,
        copies: [Option<Pid>; 2],
        buffer: &'b mut [u8; LONGEST],
        said: &mut Warnings,
    ) -> Option<Told<impl Iterator<Item = Notice<'b>> + use<'b, Self>>>;

    /// Takes the process `new` for that of the copy in place of `old`, if a message of `user` may do that. Returns when
    /// `new` was born.
    ///
    /// # Errors
    /// If the message may not do that, or there is no such process.
    fn follow(&mut self, slot: Slot, old: Pid, new: Pid, user: u32) -> io::Result<Born>;

    /// The name of the notify socket in the abstract namespace; empty if it has none there.
    fn notify_name(&self) -> Text<16>;

    /// Reads those knobs of the service directory that `needs` asks for.
    fn knobs(&mut self, needs: Needs, said: &mut Warnings) -> Knobs;

    /// Finds out which scripts of `control/` there are for the command.
    fn controls(&mut self, command: Command, said: &mut Warnings) -> Scripts;

    /// Reads what the service directory says about this end of the main copy.
    fn rules(&mut self, exit: Exit, said: &mut Warnings) -> Rules;

    /// Returns whether the service directory calls the service essential.
    fn is_essential(&mut self, said: &mut Warnings) -> bool;

    /// Reads what the service directory says about the runs of `health`.
    fn health(&mut self, said: &mut Warnings) -> Settings;

    /// Starts a copy, or a script for which the service waits. For the main copy the machine says which process is to be
    /// made; before the first one of a start, it is looked what the service waits for. `now` is the record before the start.
    fn start(&mut self, slot: Slot, machine: &Machine, now: Record, said: &mut Warnings) -> Outcome;

    /// Returns whether what a start waits for may have changed since it was last looked.
    fn hear_gate(&mut self) -> bool;

    /// Starts `check` or `health`, as `slot` says, about the process `about` of a copy.
    fn start_check(&mut self, slot: Slot, about: Pid, said: &mut Warnings) -> Event;

    /// Sends a signal. The machine knows which processes are not left behind.
    ///
    /// # Errors
    /// The error of the system. It is no error if the process has just ended.
    fn signal(&mut self, target: Target, signal: Signal, machine: &Machine) -> io::Result<()>;

    /// Exchanges the two copies, and stops listening for the readiness of the one that becomes the second.
    fn promote(&mut self);

    /// Repairs what a process of the service, which has ended, has done to the sockets that it shares with others.
    fn copy_ended(&mut self, said: &mut Warnings);

    /// Leaves the cgroup of a life of the service that has ended with the process `pid`. Returns whether the kernel has killed a process there because memory ran
    /// out, after a warning.
    fn life_ended(&mut self, life: u32, pid: Pid, exit: Exit) -> bool;

    /// Adds a death to the death tally, of which `most` are kept.
    fn tally(&mut self, death: Death, most: u16, said: &mut Warnings);

    /// Writes the record.
    fn announce(&mut self, record: &Record, said: &mut Warnings);

    /// When a record that could not be written is to be written again.
    fn rewrite(&self) -> Option<Tick>;

    /// Returns whether the files are there by which clients find this supervise.
    fn has_files(&self) -> bool;

    /// Makes these files anew. Returns when to try again if that failed.
    fn renew_files(&mut self, record: &Record, said: &mut Warnings) -> Option<Tick>;

    /// Returns the state that the new file of this program needs to go on; `None` if it cannot be encoded.
    fn state(&self, record: Record) -> Option<Vec<u8>>;

    /// Asks the new file of this program whether it understands `state`.
    fn ask_successor(&mut self, state: &[u8]);

    /// Returns what the change of a child means for an upgrade.
    fn hear_successor(&mut self, pid: Pid, change: Change) -> Answer;

    /// Executes the new file. Returns only if that failed, after a warning.
    fn succeed(&mut self, program: &Path, state: &[u8]);

    /// Kills a new file that has not answered in time, and a `notify` that has not ended in time, and closes what could not be
    /// closed before.
    fn end_late(&mut self);

    /// Removes the notify socket, and the cgroup of a service that `has_cgroup`, and closes what is kept for the service, before supervise exits.
    fn leave(&mut self, has_cgroup: bool);

    /// Called when the machine takes in an event. Only a model of the kernel uses this.
    fn see(&mut self, _: &Event) {}
}

/// What a wait has found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Woken {
    /// There are commands.
    pub commands: bool,
    /// A child may have changed.
    pub signal: bool,
    /// A copy has written to its readiness pipe.
    pub ready: bool,
    /// A watched process has ended.
    pub ended: bool,
    /// A datagram has come.
    pub word: bool,
}

impl Woken {
    /// For a wait that failed: the loop looks at everything, which does no harm where there is nothing.
    pub const UNKNOWN: Woken = Woken { commands: true, signal: true, ready: true, ended: true, word: true };
}

/// A datagram of the service.
pub struct Told<W> {
    /// The copy that it counts for; `None` if it counts for none.
    pub by: Option<Pid>,
    /// The process that has sent it.
    pub sender: Pid,
    /// The user id of the sender.
    pub user: u32,
    /// The messages in it.
    pub words: W,
}

/// The result of the start of a copy, or of a script for which the service waits.
pub struct Outcome {
    /// The event for the machine.
    pub event: Event,
    /// What was seen of the new process, if it has executed its program.
    pub seen: Option<Process>,
    /// Why it has not, for the record; if the start is held back, the name of the service for which it waits.
    pub why: Text<64>,
}

impl Outcome {
    /// Notes for the record what was seen of the new process and, of a copy, why there is none.
    pub fn note(&self, is_copy: bool, told: &mut Observed) {
        if is_copy {
            match self.event {
                // What was waited for last stays known when the start is made.
                Event::NotStarted(_, NotStarted::Held(_)) => told.awaited = self.why,
                _ => told.why = self.why,
            }
        }
        match (self.seen, self.event) {
            (Some(seen), Event::Started(Slot::Second, _)) => told.second = seen,
            (Some(seen), Event::Started(Slot::Main, _)) => told.main = seen,
            (Some(seen), Event::Started(Slot::Job(Job::Control(_, place)), _)) => told.controls[place] = seen.born,
            (Some(seen), _) => told.hook = seen.born,
            (None, _) => {}
        }
    }
}
