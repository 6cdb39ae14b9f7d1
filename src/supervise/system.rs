//! The real kernel: the descriptors that supervise holds, and the system calls on them.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use cli::Warnings;
use machine::supervise::controls::Scripts;
use machine::supervise::health::Settings;
use machine::supervise::{Event, Job, Knobs, Machine, Needs, Next, NotStarted, Overview, Rules, Slot, Target};
use machine::{Pid, Signal, Tick};
use svdir::notify::Notice;
use svdir::record::handover::{Handover, Key};
use svdir::record::{Born, Record, Text};
use svdir::tally::Death;
use svdir::{Command, Exit, KillMode, names};
use sys::adopted::Adopted;
use sys::notify::LONGEST;
use sys::process::{self, Change};
use sys::signals::Signals;
use sys::{fd, oom, proc, sealed, stack};
use tai::Label;

use super::cgroup;
use super::controls;
use super::copies::{self, Provisions, Scene};
use super::gate::{self, Waiting};
use super::hold::Hold;
use super::hooks;
use super::kernel::{Kernel, Outcome, Told, WATCHED, Woken};
use super::knobs::{GIVEN_UP, Present, health, is_essential, rules};
use super::leftovers::Children;
use super::neighbours::Neighbours;
use super::notices::{self, Notices};
use super::processes::{Known, Processes, pid_of, process_of};
use super::readiness::{self, ReadyPipe};
use super::say::killed_for_memory;
use super::takeover;
use super::tally;
use super::tree::Own;
use super::upgrade::unknown_descriptor;
use crate::service::successor::{Answer, Successor};
use crate::service::{now, record, tick};

/// Everything that supervise holds.
pub struct System<'a> {
    /// The service directory as the operator typed it, for messages.
    pub dir: &'a OsStr,
    pub processes: Processes,
    pub children: Children,
    /// The read end of the log pipe. It is never read, but keeps the pipe from breaking while both svscan and the
    /// logger are dead.
    pub log_pipe: Option<OwnedFd>,
    /// What `notify` is told.
    pub notices: Notices,
    pub provisions: Provisions,
    pub neighbours: Neighbours,
    /// A start waits for another service.
    pub gate: Option<Box<Waiting>>,
    pub signals: Signals,
    pub hold: Hold,
    pub successor: Successor,
    /// More of the stack was touched than the loop needs: it can be given back.
    pub deep: bool,
}

impl System<'_> {
    /// Which files the service directory has.
    fn present(&mut self) -> Present {
        self.provisions.presence.look(self.hold.directory())
    }

    /// The processes that are not what a copy has left behind; none where no copy counts as all that descends from it.
    fn own(&self, machine: &Machine) -> Own {
        let overview = machine.overview();
        if !overview.has_tree() {
            return Own::default();
        }
        let Overview { copies, jobs, .. } = overview;
        let closers = self.provisions.notify.closers().map(pid_of);
        let jobs =
            jobs.into_iter().flatten().chain(self.successor.asked()).chain(closers).chain(self.notices.pid()).collect();
        Own { copies: copies.map(|copy| copy.map(|(pid, _)| pid)), jobs }
    }

    /// All descriptors that stay open in an upgrade, except those of the service.
    fn descriptors(&self) -> impl Iterator<Item = (Key, BorrowedFd<'_>)> {
        let [reader, writer] = self.signals.descriptors();
        let signals = [(Key::SIGNALS, reader), (Key::SIGNALS_WRITER, writer)];
        let log_pipe = self.log_pipe.as_ref().map(|pipe| (Key::LOG_PIPE, pipe.as_fd()));
        let notify = self.provisions.notify.descriptor().map(|socket| (Key::NOTIFY, socket));
        let all = self.hold.descriptors().chain(self.processes.descriptors()).chain(signals).chain(log_pipe);
        let scan = self.neighbours.descriptor().map(|scan| (Key::SCAN_DIRECTORY, scan));
        all.chain(notify).chain(scan).chain(unknown_descriptor())
    }
}

impl<'s> Kernel for System<'s> {
    fn now(&self) -> Tick {
        tick()
    }

    fn label(&self) -> Label {
        now()
    }

    fn wait(&mut self, until: Option<Tick>, commands: bool) -> io::Result<Woken> {
        let timeout = self.signals.timeout(until.map(|until| tick().until(until)));
        // The beginning or a start has touched stack that is not needed until the next one.
        if std::mem::take(&mut self.deep) {
            stack::give_back();
        }
        self.provisions.presence.forget_turn();
        let Processes { main, second, hook, controls: [first_control, second_control] } = &self.processes;
        let sources = [
            Some(self.signals.fd()),
            commands.then(|| self.hold.control()),
            main.ready.fd(),
            second.ready.fd(),
            main.adopted.as_ref().map(Adopted::fd),
            second.adopted.as_ref().map(Adopted::fd),
            hook.adopted.as_ref().map(Adopted::fd),
            first_control.as_ref().map(Adopted::fd),
            second_control.as_ref().map(Adopted::fd),
            self.provisions.notify.fd(),
        ];
        let [signal, commands, main_ready, second_ready, ended @ .., word] = sys::poll::readable_of(sources, timeout)?;
        let ended: [bool; WATCHED] = ended;
        let ended = ended.contains(&true);
        Ok(Woken { commands, signal, ready: main_ready || second_ready, ended, word })
    }

    fn rest(&mut self) {
        sys::poll::rest();
    }

    fn deadline(&self) -> Option<Tick> {
        let Provisions { notify, store, .. } = &self.provisions;
        let gate = self.gate.as_ref().and_then(|gate| gate.look_at);
        let deadlines = [
            self.rewrite(),
            self.successor.deadline(),
            notify.deadline(),
            store.deadline(),
            self.notices.deadline(),
            gate,
        ];
        deadlines.into_iter().flatten().min()
    }

    fn read_commands(&mut self, batch: &mut [u8]) -> io::Result<usize> {
        fd::read(self.hold.control(), batch)
    }

    fn has_signal(&self) -> bool {
        self.signals.came()
    }

    fn forget_signals(&mut self) {
        self.signals.drain();
        if let Some(gate) = &mut self.gate {
            gate.news = true;
        }
    }

    fn reap(&mut self) -> Option<(Pid, Change)> {
        self.children.reap()
    }

    fn look(&mut self, first: Pid, mode: KillMode, known: Option<Pid>, machine: &Machine) -> Event {
        let own = self.own(machine);
        Event::Left(first, self.children.look(first, mode, known, &own))
    }

    fn was_helper(&mut self, pid: Pid, said: &mut Warnings) -> bool {
        let Provisions { notify, store, .. } = &mut self.provisions;
        let was_listener = notify.ended(process_of(pid)) || store.ended(process_of(pid));
        was_listener || self.notices.ended(pid, self.dir, said)
    }

    fn tell(&mut self, notice: Option<notices::Notice>, said: &mut Warnings) {
        let notice = notice.filter(|_| self.present().notify);
        if let Some(notice) = notice.filter(|_| hooks::is_script(names::NOTIFY_SCRIPT, self.dir, said)) {
            self.notices.tell(notice, self.dir, said);
        }
    }

    fn is_watched(&self, slot: Slot) -> bool {
        match slot {
            Slot::Job(Job::Control(_, place)) => self.processes.controls.get(place).is_some_and(Option::is_some),
            Slot::Main | Slot::Second | Slot::Job(_) => self.processes.of(slot).adopted.is_some(),
        }
    }

    fn take_ended(&mut self) -> [Option<(Pid, Option<Change>)>; WATCHED] {
        self.processes.take_ended().map(|ended| ended.map(|adopted| (pid_of(adopted.pid()), adopted.exit())))
    }

    fn leads_group(&self, second: Pid) -> bool {
        takeover::leads_group(second, &self.processes.second)
    }

    fn hear_ready(&mut self, slot: Slot) -> bool {
        self.processes.of_mut(slot).ready.hear()
    }

    fn forget_ready(&mut self, slot: Slot) {
        self.processes.of_mut(slot).ready = ReadyPipe::default();
    }

    fn hears_words(&self) -> bool {
        self.provisions.notify.is_open()
    }

    fn receive<'b>(
        &mut self,
        copies: [Option<Pid>; 2],
        buffer: &'b mut [u8; LONGEST],
        said: &mut Warnings,
    ) -> Option<Told<impl Iterator<Item = Notice<'b>> + use<'s, 'b>>> {
        let (dir, Provisions { notify, store, .. }) = (self.dir, &mut self.provisions);
        let message = notify.receive(copies, buffer, |message, socket| store.take_in(message, socket, dir, said))?;
        if message.by.is_some() {
            store.hear(message, dir, said);
        }
        let sender = pid_of(message.sender);
        Some(Told { by: message.by, sender, user: message.user, words: message.words() })
    }

    #[inline(never)]
    fn follow(&mut self, slot: Slot, old: Pid, new: Pid, user: u32) -> io::Result<Born> {
        let process = takeover::find_moved(&self.provisions.notify, old, new, user)?;
        let born = record::born(process.birth());
        self.children.trees.moved(old, new);
        // A child of ours reports its end by itself: only a process that is not our child is watched.
        self.processes.of_mut(slot).adopted =
            Some(process).filter(|process| proc::parent(process.pid()) != Some(process::own_pid()));
        Ok(born)
    }

    fn notify_name(&self) -> Text<16> {
        readiness::recorded(&self.provisions.notify)
    }

    fn knobs(&mut self, needs: Needs, said: &mut Warnings) -> Knobs {
        copies::knobs_for(needs, self.dir, said)
    }

    fn controls(&mut self, command: Command, said: &mut Warnings) -> Scripts {
        // For other commands the directory need not be looked at.
        if Scripts::of(command).is_empty() {
            return Scripts::default();
        }
        controls::find(command, self.present(), self.dir, said)
    }

    fn rules(&mut self, exit: Exit, said: &mut Warnings) -> Rules {
        let present = self.present();
        let gives_up = exit == Exit::Code(GIVEN_UP) && (present.is_encores() || hooks::has_encores_log());
        rules(present, gives_up, self.dir, said)
    }

    fn is_essential(&mut self, said: &mut Warnings) -> bool {
        is_essential(self.dir, said)
    }

    fn health(&mut self, said: &mut Warnings) -> Settings {
        health(self.dir, said)
    }

    fn start(&mut self, slot: Slot, machine: &Machine, now: Record, said: &mut Warnings) -> Outcome {
        if let Some(main) = machine.main().filter(|main| slot == Slot::Second && main.mode == KillMode::Tree) {
            // What is there now is the old one's.
            let own = self.own(machine);
            self.children.trees.see(main.pid, main.group.unwrap_or(main.pid), &own);
        }
        self.deep = true;
        if slot == Slot::Main && machine.begins_start() {
            let (present, before) = (self.present(), self.gate.take());
            let stop = gate::look(present, self.dir, machine, &now, before, &mut self.neighbours, said);
            if let Some(gate::Stop { why, text, waiting }) = stop {
                self.gate = waiting;
                return Outcome { event: Event::NotStarted(slot, why), seen: None, why: text };
            }
        }
        let present = self.present();
        let mut scene = Scene {
            dir: self.dir,
            machine,
            now,
            present,
            announcer: &mut self.hold.announcer,
            children: &mut self.children,
            said,
        };
        let next = match slot {
            Slot::Main => machine.next(hooks::programs(present, self.dir, scene.said)),
            Slot::Second | Slot::Job(_) => Next::Run,
        };
        let (outcome, ready) = match (slot, next) {
            (Slot::Job(Job::Control(script, place)), _) => {
                (controls::start(script, place, &mut scene), ReadyPipe::default())
            }
            (Slot::Job(Job::Hook(script)), _) => (hooks::start_after(script, &mut scene), ReadyPipe::default()),
            (_, Next::Script(script)) => {
                let outcome = match self.provisions.prepare(&mut scene) {
                    Ok(()) => hooks::start_before(script, &mut scene),
                    Err(why) => hooks::refused(&why),
                };
                (outcome, ReadyPipe::default())
            }
            (_, Next::Nothing) => (hooks::not_started(slot, NotStarted::Gone), ReadyPipe::default()),
            (_, Next::Run) => self.provisions.start(slot, scene),
        };
        // A script of `control/` is a child: nothing is to be known of it.
        if let (Event::Started(slot, _), Some(_)) = (outcome.event, outcome.seen)
            && !matches!(slot, Slot::Job(Job::Control(..)))
        {
            *self.processes.of_mut(slot) = Known { adopted: None, ready };
        }
        if let (Event::Started(Slot::Main | Slot::Second, start), Some(seen)) = (outcome.event, outcome.seen) {
            let others = machine.overview().copies.map(|copy| copy.map(|(pid, _)| pid));
            self.children.trees.lives_in(start.pid, seen.life, others);
        }
        self.tell(notices::Notice::of_start(&outcome.event), said);
        outcome
    }

    fn hear_gate(&mut self) -> bool {
        self.gate.as_mut().is_some_and(|gate| gate.is_due(tick()))
    }

    fn start_check(&mut self, slot: Slot, about: Pid, said: &mut Warnings) -> Event {
        let is_gone = matches!(slot, Slot::Job(Job::Health(_))) && !self.present().health;
        if is_gone {
            said.over(names::HEALTH);
            return Event::NotStarted(slot, NotStarted::Gone);
        }
        copies::start_check(slot, about, self.dir, said)
    }

    fn signal(&mut self, target: Target, signal: Signal, machine: &Machine) -> io::Result<()> {
        let own = self.own(machine);
        let trees = &mut self.children.trees;
        match target {
            Target::Orphans(first) => {
                trees.signal(None, first, &own, signal.0);
                return Ok(());
            }
            Target::Tree(pid, first) if signal == Signal::KILL => trees.signal(Some(pid), first, &own, signal.0),
            Target::Tree(pid, first) => trees.see(pid, first, &own),
            Target::Process(_) | Target::Led(..) | Target::Group(_) | Target::Job(_) => {}
        }
        self.processes.signal(target, signal)
    }

    fn promote(&mut self) {
        self.processes.promote();
        self.provisions.sockets.close_others();
    }

    fn copy_ended(&mut self, said: &mut Warnings) {
        self.provisions.sockets.listen_again(self.dir, said);
    }

    fn life_ended(&mut self, life: u32, pid: Pid, exit: Exit) -> bool {
        let for_memory = cgroup::ended(life);
        if for_memory {
            killed_for_memory(self.dir, pid, exit);
        }
        for_memory
    }

    fn tally(&mut self, death: Death, most: u16, said: &mut Warnings) {
        tally::add(self.dir, death, most, said);
    }

    fn announce(&mut self, record: &Record, said: &mut Warnings) {
        if record.decided.gate.is_none() {
            self.gate = None;
        }
        if record.is_at_rest() {
            self.provisions.store.clear(self.dir, said);
        }
        self.hold.announcer.announce(self.dir, record, said);
    }

    fn rewrite(&self) -> Option<Tick> {
        self.hold.announcer.rewrite
    }

    fn has_files(&self) -> bool {
        self.hold.is_there()
    }

    fn renew_files(&mut self, record: &Record, said: &mut Warnings) -> Option<Tick> {
        self.hold.insist(self.dir, record, said)
    }

    #[inline(never)]
    fn state(&self, record: Record) -> Option<Vec<u8>> {
        let descriptors = self.descriptors().map(|(key, fd)| (key, sealed::number(fd))).collect();
        let (oom, Provisions { sockets, store, .. }) = (oom::original(), &self.provisions);
        let (sockets, stored) = (sockets.leave(), store.hand_over());
        Handover { record, descriptors, sockets, stored, oom }.encode()
    }

    fn ask_successor(&mut self, state: &[u8]) {
        self.successor.ask(state);
    }

    fn hear_successor(&mut self, pid: Pid, change: Change) -> Answer {
        self.successor.hear(pid, change)
    }

    fn succeed(&mut self, program: &Path, state: &[u8]) {
        self.notices.flush(self.dir);
        let Provisions { sockets, store, .. } = &self.provisions;
        let own = self.descriptors().map(|(_, fd)| fd);
        let open: Vec<BorrowedFd<'_>> = own.chain(sockets.descriptors()).chain(store.descriptors()).collect();
        self.successor.succeed(program, state, &open, &self.signals);
    }

    fn end_late(&mut self) {
        self.successor.timeout();
        self.provisions.store.close_late();
        self.notices.end_late(self.dir);
    }

    fn leave(&mut self, has_cgroup: bool) {
        self.notices.flush(self.dir);
        self.provisions.notify.remove();
        self.provisions.store.leave();
        if has_cgroup {
            cgroup::leave();
        }
    }
}
