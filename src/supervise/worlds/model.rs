//! The kernel of a world, as the loop calls it. Something may happen between any two calls.

use std::cell::{RefCell, RefMut};
use std::io;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use cli::Warnings;
use machine::supervise::controls::Scripts;
use machine::supervise::health::Settings;
use machine::supervise::{Event, Job, Knobs, Machine, Needs, Next, NotStarted, Rules, Slot, Start, Target};
use machine::{Pid, SECOND, Signal, Tick};
use svdir::notify::Notice;
use svdir::record::handover::{Handover, Key};
use svdir::record::{Born, Record, Text};
use svdir::tally::Death;
use svdir::{Command, Exit, KillMode};
use sys::notify::LONGEST;
use sys::process::Change;
use tai::Label;

use super::super::kernel::{Kernel, Outcome, Told, WATCHED, Woken};
use super::super::notices;
use super::gate;
use super::hand::Hand;
use super::happening::Ability;
use super::hooks;
use super::new_file::ask;
use super::process::{Life, What, place};
use super::world::{Fate, World};
use crate::service::successor::Answer;

/// The world, as the loop sees it.
pub struct Model(pub Rc<RefCell<World>>);

impl Model {
    fn call(&self) -> RefMut<'_, World> {
        let mut world = self.0.borrow_mut();
        world.call();
        world
    }
}

impl Kernel for Model {
    fn now(&self) -> Tick {
        self.0.borrow().now
    }

    fn label(&self) -> Label {
        self.call().label()
    }

    fn wait(&mut self, until: Option<Tick>, commands: bool) -> io::Result<Woken> {
        self.call().wait(until, commands)
    }

    fn rest(&mut self) {
        let mut world = self.call();
        (world.due.rest, world.now) = (false, world.now.after(SECOND));
    }

    fn deadline(&self) -> Option<Tick> {
        let world = self.0.borrow();
        [world.hand.rewrite, world.hand.asked.map(|(_, at)| at)].into_iter().flatten().min()
    }

    fn read_commands(&mut self, batch: &mut [u8]) -> io::Result<usize> {
        let mut world = self.call();
        world.due.unread = false;
        if !world.can(Ability::Read) {
            return Err(io::Error::from_raw_os_error(5));
        }
        if world.control.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = batch.len().min(world.control.len());
        for (place, byte) in batch.iter_mut().zip(world.control.drain(..count).collect::<Vec<_>>()) {
            *place = byte;
            world.due.commands.extend(Command::from_letter(byte));
        }
        Ok(count)
    }

    fn has_signal(&self) -> bool {
        self.call().hand.signal
    }

    fn forget_signals(&mut self) {
        let mut world = self.call();
        world.hand.signal = false;
        world.hand.gate = world.hand.gate.map(|_| true);
    }

    fn reap(&mut self) -> Option<(Pid, Change)> {
        let mut world = self.call();
        let (pid, change) = world.processes.reap()?;
        if matches!(change, Change::Exited(_) | Change::Killed(_)) {
            world.due.ends.push((pid, Some(change)));
        }
        Some((Pid(pid), change))
    }

    fn look(&mut self, leader: Pid, _: KillMode, _: Option<Pid>, _: &Machine) -> Event {
        let mut world = self.call();
        let event = Event::Left(leader, world.processes.look(leader));
        world.due.comes(event);
        event
    }

    fn was_helper(&mut self, Pid(pid): Pid, _: &mut Warnings) -> bool {
        let mut world = self.call();
        let was = world.processes.get(pid).is_some_and(|process| process.what == What::Listener);
        if was {
            world.due.is_heard(pid);
        }
        was
    }

    fn tell(&mut self, _: Option<notices::Notice>, _: &mut Warnings) {
        drop(self.call());
    }

    fn is_watched(&self, slot: Slot) -> bool {
        self.call().hand.watched[place(slot)].is_some()
    }

    fn take_ended(&mut self) -> [Option<(Pid, Option<Change>)>; WATCHED] {
        let mut world = self.call();
        let tells = world.can(Ability::TellExit);
        std::array::from_fn(|at| {
            let World { hand, processes, due, .. } = &mut *world;
            let pid = hand.watched[at].take_if(|pid| !processes.lives(*pid))?;
            let exit = match processes.get(pid)?.life {
                Life::Gone(exit) => exit.filter(|_| tells),
                Life::Lives | Life::Ended(_) => None,
            };
            due.ends.push((pid, exit));
            Some((Pid(pid), exit))
        })
    }

    fn leads_group(&self, second: Pid) -> bool {
        let mut world = self.call();
        let leads = world.processes.lives(second.0) || world.processes.is_unreaped(second);
        (world.hand.group, world.hand.unasked) = (Some(second.0).filter(|_| leads), false);
        leads
    }

    fn hear_ready(&mut self, slot: Slot) -> bool {
        let mut world = self.call();
        let World { hand, processes, due, .. } = &mut *world;
        let writer = hand.pipes[place(slot)].and_then(|pid| processes.get_mut(pid));
        let is_ready = writer.is_some_and(|process| std::mem::take(&mut process.has_written));
        due.ready = hand.copies[place(slot)].filter(|_| is_ready);
        is_ready
    }

    fn forget_ready(&mut self, slot: Slot) {
        self.call().hand.pipes[place(slot)] = None;
    }

    fn hears_words(&self) -> bool {
        self.0.borrow().hand.socket
    }

    fn receive<'b>(
        &mut self,
        copies: [Option<Pid>; 2],
        buffer: &'b mut [u8; LONGEST],
        _: &mut Warnings,
    ) -> Option<Told<impl Iterator<Item = Notice<'b>> + use<'b>>> {
        let mut world = self.call();
        let (sender, word, new) = world.words.pop_front()?;
        let text = if new > 0 { format!("{word}{new}") } else { word.to_owned() };
        buffer[..text.len()].copy_from_slice(text.as_bytes());
        let by = copies.into_iter().flatten().find(|&Pid(copy)| world.processes.descends(sender, copy));
        let words = svdir::notify::parse(&buffer[..text.len()], false);
        Some(Told { by, sender: Pid(sender), user: 0, words })
    }

    fn follow(&mut self, slot: Slot, Pid(old): Pid, Pid(new): Pid, _: u32) -> io::Result<Born> {
        self.call().follow(slot, old, new)
    }

    fn notify_name(&self) -> Text<16> {
        Text::default()
    }

    fn knobs(&mut self, needs: Needs, _: &mut Warnings) -> Knobs {
        let world = self.call();
        if needs == Needs::Nothing { Knobs::default() } else { world.knobs }
    }

    fn controls(&mut self, command: Command, _: &mut Warnings) -> Scripts {
        let there = self.call().scripts.controls;
        let scripts = Scripts::of(command).iter().copied().filter(|&script| there.has(script));
        scripts.fold(Scripts::default(), Scripts::with)
    }

    fn rules(&mut self, _: Exit, _: &mut Warnings) -> Rules {
        self.call().rules
    }

    fn is_essential(&mut self, _: &mut Warnings) -> bool {
        let mut world = self.call();
        let essential = world.essential;
        world.due.comes(Event::Essential(essential));
        essential
    }

    fn health(&mut self, _: &mut Warnings) -> Settings {
        match self.call().health {
            Settings { interval: 0, .. } => Settings::default(),
            settings => settings,
        }
    }

    fn start(&mut self, slot: Slot, machine: &Machine, now: Record, _: &mut Warnings) -> Outcome {
        let mut world = self.call();
        let outcome = match slot {
            Slot::Job(Job::Control(script, place)) => hooks::start_control(&mut world, (script, place), machine, now),
            Slot::Job(Job::Hook(script)) => hooks::start_after(&mut world, script, machine, now),
            Slot::Main => match (gate::held(&mut world, machine, &now), machine.next(world.scripts.programs)) {
                (Some(held), _) => held,
                (None, Next::Script(script)) => hooks::start_before(&mut world, script, machine, now),
                (None, Next::Nothing) => hooks::not_started(slot, NotStarted::Gone),
                (None, Next::Run) => world.start(slot, machine, now),
            },
            Slot::Second | Slot::Job(_) => world.start(slot, machine, now),
        };
        world.due.comes(outcome.event);
        // Supervise may be killed before the machine knows of the new process.
        world.call();
        outcome
    }

    fn hear_gate(&mut self) -> bool {
        self.call().hand.gate.as_mut().is_some_and(std::mem::take)
    }

    fn start_check(&mut self, slot: Slot, _: Pid, _: &mut Warnings) -> Event {
        let mut world = self.call();
        let is_health = matches!(slot, Slot::Job(Job::Health(_)));
        let event = if is_health && world.health.interval == 0 {
            Event::NotStarted(slot, NotStarted::Gone)
        } else if world.can(Ability::Fork) {
            Event::Started(slot, Start::plain(Pid(world.make(What::Check, Life::Lives).pid)))
        } else {
            Event::NotStarted(slot, NotStarted::Refused)
        };
        world.due.comes(event);
        event
    }

    fn signal(&mut self, target: Target, signal: Signal, machine: &Machine) -> io::Result<()> {
        let mut world = self.call();
        if let Target::Orphans(_) = target {
            let spared = machine.overview().copies.map(|copy| copy.map(|(pid, _)| pid));
            let mut copies = world.hand.copies.iter().flatten().filter(|pid| world.processes.lives(**pid));
            assert!(copies.all(|pid| spared.contains(&Some(Pid(*pid)))), "a copy that lives is nothing left behind");
        }
        world.signal(target, signal)
    }

    fn promote(&mut self) {
        let mut world = self.call();
        let Hand { copies, watched, pipes, .. } = &mut world.hand;
        copies.swap(0, 1);
        watched.swap(0, 1);
        *pipes = [pipes[1], None];
    }

    fn copy_ended(&mut self, _: &mut Warnings) {
        drop(self.call());
    }

    /// A life has the number of the process with which it begins, and is left when that has ended, or the one to which the service has moved.
    fn life_ended(&mut self, life: u32, _: Pid, _: Exit) -> bool {
        let world = self.call();
        let runs = world.hand.copies.contains(&Some(life)) && world.processes.lives(life);
        assert!(!runs, "the life of a copy that runs is left");
        false
    }

    fn tally(&mut self, _: Death, most: u16, _: &mut Warnings) {
        assert!(most > 0, "nobody keeps a tally");
        drop(self.call());
    }

    fn announce(&mut self, record: &Record, _: &mut Warnings) {
        let mut world = self.call();
        if record.decided.gate.is_none() {
            world.hand.gate = None;
        }
        if world.can(Ability::Write) {
            (world.record, world.hand.rewrite) = (*record, None);
        } else {
            world.hand.rewrite = Some(world.now.after(SECOND));
        }
    }

    fn rewrite(&self) -> Option<Tick> {
        self.0.borrow().hand.rewrite
    }

    fn has_files(&self) -> bool {
        self.call().has_files
    }

    fn renew_files(&mut self, record: &Record, _: &mut Warnings) -> Option<Tick> {
        let mut world = self.call();
        assert!(!world.has_files, "they are there");
        if !world.can(Ability::Renew) {
            return Some(world.now.after(SECOND));
        }
        (world.has_files, world.recalled) = (true, false);
        (world.record, world.hand.rewrite) = (*record, None);
        None
    }

    fn state(&self, record: Record) -> Option<Vec<u8>> {
        let world = self.call();
        let Hand { watched, pipes: [main_ready, second_ready], socket, .. } = world.hand;
        let all =
            [(Key::MAIN_READY, main_ready), (Key::SECOND_READY, second_ready), (Key::NOTIFY, socket.then_some(7))];
        let known = Key::WATCHED
            .into_iter()
            .zip(watched)
            .chain(all)
            .filter_map(|(key, number)| Some((key, number?.cast_signed())));
        Handover { record, descriptors: known.collect(), ..Handover::default() }.encode()
    }

    fn ask_successor(&mut self, state: &[u8]) {
        ask(&mut self.call(), state);
    }

    fn hear_successor(&mut self, Pid(pid): Pid, change: Change) -> Answer {
        let mut world = self.call();
        let ends = matches!(change, Change::Exited(_) | Change::Killed(_));
        if !ends || world.hand.asked.take_if(|&mut (asked, _)| asked == pid).is_none() {
            return Answer::None;
        }
        world.due.is_heard(pid);
        if change == Change::Exited(99) { Answer::Yes(PathBuf::from("supervise")) } else { Answer::No }
    }

    fn succeed(&mut self, _: &Path, state: &[u8]) {
        let world = self.call();
        if world.can(Ability::Succeed) {
            drop(world);
            resume_unwind(Box::new(Fate::Succeeded(state.to_vec())));
        }
    }

    fn end_late(&mut self) {
        let mut world = self.call();
        let now = world.now;
        if let Some((pid, at)) = world.hand.asked.filter(|&(_, at)| at <= now) {
            world.hand.asked = Some((pid, at.after(10 * SECOND)));
            world.end(pid, Change::Killed(9));
        }
    }

    fn leave(&mut self, _: bool) {
        let mut world = self.call();
        world.due.commands.clear();
        world.left = true;
    }

    fn see(&mut self, event: &Event) {
        self.0.borrow_mut().see(event);
    }
}
