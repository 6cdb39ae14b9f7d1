//! Starts the copies of the service, and its checks, with what the service directory asks for.

use std::ffi::{CString, OsStr};
use std::io;

use cli::{Text, Warnings, text};
use machine::Pid;
use machine::supervise::{Event, Job, Knobs, Machine, Needs, NotStarted, Slot, Start};
use svdir::record::{self as sections, Observed, Process, Record};
use svdir::{KillMode, names};
use sys::{fd, oom};

use super::cgroup::{self, Life};
use super::kernel::Outcome;
use super::knobs::{self, Presence, Present};
use super::leftovers::Children;
use super::readiness::{self, Notification, ReadyPipe};
use super::say;
use super::sockets::Sockets;
use super::start::{Clash, Failure, Made, Plan};
use super::store::Store;
use crate::service::files::shown;
use crate::service::notify::NotifySocket;
use crate::service::record::Announcer;
use crate::service::{now, tick};

/// What a service gets besides its directory, or asks for by files there.
#[derive(Default)]
pub struct Provisions {
    /// Which files the service directory has.
    pub presence: Presence,
    /// The notify socket.
    pub notify: NotifySocket,
    /// The sockets that are held for the service.
    pub sockets: Sockets,
    /// The descriptors that are kept for the service.
    pub store: Store,
}

/// The context of a start.
pub struct Scene<'a> {
    /// The service directory, as messages call it.
    pub dir: &'a OsStr,
    /// The machine that has decided to start something.
    pub machine: &'a Machine,
    /// The record before the start.
    pub now: Record,
    /// The files that the service directory has.
    pub present: Present,
    /// The file to which the new process writes its record.
    pub announcer: &'a mut Announcer,
    /// The children of supervise.
    pub children: &'a mut Children,
    /// The warnings that were printed.
    pub said: &'a mut Warnings,
}

/// Reads the knobs that `needs` asks for.
pub fn knobs_for(needs: Needs, dir: &OsStr, said: &mut Warnings) -> Knobs {
    match needs {
        Needs::Nothing => Knobs::default(),
        Needs::Signals => knobs::signals(dir, said),
        Needs::Replacing => knobs::for_replacing(dir, said),
    }
}

impl Provisions {
    /// Starts `run`, or warns if it lacks something that it needs. Returns the pipe on which the new copy says that it
    /// is ready, if there is one.
    pub fn start(&mut self, slot: Slot, mut scene: Scene<'_>) -> (Outcome, ReadyPipe) {
        self.try_to_start(slot, &mut scene).unwrap_or_else(|Text(why)| {
            let event = Event::NotStarted(slot, NotStarted::Refused);
            (Outcome { event, seen: None, why: sections::Text::new(&why) }, ReadyPipe::default())
        })
    }

    /// Opens the sockets that `run` will need, before `start` does anything.
    ///
    /// # Errors
    /// Why there is one that cannot be opened.
    pub fn prepare(&mut self, scene: &mut Scene<'_>) -> Result<(), Text> {
        self.open_sockets(Slot::Main, scene.present, scene)
    }

    fn try_to_start(&mut self, slot: Slot, scene: &mut Scene<'_>) -> Result<(Outcome, ReadyPipe), Text> {
        let dir = scene.dir;
        let present = scene.present;
        let mode = knobs::kill_mode(present, dir, scene.said)?;
        self.open_sockets(slot, present, scene)?;
        let life = prepare_life(present, mode, scene)?;
        let number = life.as_ref().map_or(0, |life| life.number);
        let alone = scene.machine.pid().is_none() && scene.machine.second_pid().is_none();
        let notification = Notification::prepare(dir, present, &mut self.notify, alone, scene.said);
        self.store.limit(present.fd_store, dir, scene.said);
        let mut passed: Vec<_> = self.sockets.passed().chain(notification.passed_fd()).collect();
        self.store.pass(&mut passed, dir, scene.said);
        let socket = notification.socket.then(|| readiness::variable(&self.notify));
        let changes: Vec<_> = socket.into_iter().chain(notification.interval()).collect();
        let plan = match Plan::new(c"./run", &[], &changes, &passed) {
            Ok(plan) if slot == Slot::Second || mode.leads() => plan.in_group(),
            Ok(plan) => plan,
            Err(Clash { number, .. }) => {
                let why = format!("descriptor {number} is given twice, see sockets/ and notification-fd");
                scene.said.warning("clash", text!("unable to start ", dir), &io::Error::other(why.as_str()));
                return Err(text!(why.as_str()));
            }
        };
        scene.said.over("clash");
        let plan = match life.map(|life| life.entrance) {
            Some(entrance) if present.cgroup => plan.within(entrance),
            Some(entrance) => plan.within_if_it_can(entrance),
            None => plan,
        };
        let (since, at) = (now(), tick());
        let seen = Process { since, ready_pipe: notification.pipe_id(), life: number, ..Process::default() };
        let (declares, check, tells) = (notification.any(), notification.check, notification.socket);
        let watchdog = notification.watchdog;
        let health = if present.health { knobs::health_interval(dir, scene.said) } else { 0 };
        let patience = if declares { knobs::patience(present, dir, scene.said) } else { 0 };
        let start = move |pid, executed| Start {
            executed,
            declares,
            check,
            tells,
            watchdog,
            health,
            mode,
            patience,
            ..Start::plain(pid)
        };
        let mut observed = scene.now.observed;
        observed.notify = readiness::recorded(&self.notify);
        scene.children.adopt(mode.leads() || scene.machine.overview().leads());
        let (machine, announcer) = (scene.machine, &*scene.announcer);
        let made = plan.start(Some(&|pid, born| {
            let seen = Process { born, ..seen };
            let observed = match slot {
                Slot::Second => Observed { second: seen, ..observed },
                Slot::Main | Slot::Job(_) => Observed { main: seen, ..observed },
            };
            let decided = machine.decided_once_started(at, slot, start(pid, false));
            announcer.prepare(&Record { decided, observed })
        }));
        let ready = notification.listen();
        let made = match made {
            Ok(made) => made,
            Err(error) => {
                let text = match slot {
                    Slot::Second => text!("unable to fork for ", dir),
                    Slot::Main | Slot::Job(_) => text!("unable to fork for ", dir, ", sleeping 60 seconds"),
                };
                scene.said.warning("fork", text, &error);
                let event = Event::NotStarted(slot, NotStarted::Fork);
                return Ok((Outcome { event, seen: None, why: sections::Text::default() }, ready));
            }
        };
        scene.said.over("fork");
        let (pid, born) = (made.pid, made.born);
        log::info!("{}: started as pid {}", dir.display(), pid.0);
        scene.note_score();
        scene.note_record(&made)?;
        scene.note_cgroup(&made)?;
        let outcome = match made.failed {
            Some(Failure::Exec(error)) => Outcome {
                event: match slot {
                    // The process has ended already.
                    Slot::Second => Event::NotStarted(slot, NotStarted::Refused),
                    Slot::Main | Slot::Job(_) => Event::Started(slot, start(pid, false)),
                },
                seen: None,
                why: sections::Text::new(&say::unable_to_start(dir, &error).0),
            },
            Some(Failure::Record(_) | Failure::Cgroup(_)) | None => Outcome {
                event: Event::Started(slot, start(pid, true)),
                seen: Some(Process { born, ..seen }),
                why: sections::Text::default(),
            },
        };
        Ok((outcome, ready))
    }

    /// Opens the sockets that the service needs. Closes the others, unless an old copy may still use them.
    fn open_sockets(&mut self, slot: Slot, present: Present, scene: &mut Scene<'_>) -> Result<(), Text> {
        let second = slot == Slot::Second;
        if present.sockets {
            return self.sockets.refresh(second, scene.dir, scene.said);
        }
        self.sockets.give_none();
        if !second {
            self.sockets.close_others();
        }
        Ok(())
    }
}

impl Scene<'_> {
    /// Handles the outcome of writing the record. A process that could not write it has not executed `run`, because no
    /// successor would know of it.
    pub fn note_record(&mut self, made: &Made) -> Result<(), Text> {
        if let Some(Failure::Record(error)) = &made.failed {
            let shown = shown(self.dir, names::RECORD);
            let text = text!("unable to write ", shown.0.as_slice(), ", not starting what nobody would know of");
            self.said.warning("birth", text, error);
            return Err(text!("unable to write ", names::RECORD, ": ", cli::reason(error).as_ref()));
        }
        self.said.over("birth");
        self.note_written(made);
        Ok(())
    }

    /// Handles the outcome of entering the cgroup. A process that could not has not executed `run`.
    fn note_cgroup(&mut self, made: &Made) -> Result<(), Text> {
        if let Some(Failure::Cgroup(error)) = &made.failed {
            self.said.warning("enter", text!("unable to enter the cgroup of ", self.dir), error);
            return Err(text!(names::CGROUP, ": ", cli::reason(error).as_ref()));
        }
        self.said.over("enter");
        Ok(())
    }

    /// Notes that the new process has written its record, if it has.
    pub fn note_written(&mut self, made: &Made) {
        if made.recorded {
            self.announcer.was_written();
        }
    }

    /// Warns if the new child has kept the OOM score of supervise.
    fn note_score(&mut self) {
        match oom::failure() {
            Some(error) => self.said.warning("oom", text!("unable to restore the OOM score of ", self.dir), &error),
            None => self.said.over("oom"),
        }
    }
}

/// Makes a cgroup for the copy that is to be started, if the service asks for one, or can do with one; otherwise removes what was made before.
fn prepare_life(present: Present, mode: KillMode, scene: &mut Scene<'_>) -> Result<Option<Life>, Text> {
    let Observed { main, second, .. } = scene.now.observed;
    let alive = [scene.machine.pid().map_or(0, |_| main.life), scene.machine.second_pid().map_or(0, |_| second.life)];
    if present.cgroup {
        return cgroup::prepare(alive, scene.dir, scene.said).map(Some);
    }
    if mode == KillMode::Tree {
        return Ok(cgroup::prepare_bare(alive, scene.dir, scene.said));
    }
    if [main.life, second.life] != [0; 2] {
        cgroup::leave();
    }
    Ok(None)
}

/// Starts `check` or `health` about a copy, with the pid of that copy as its argument.
#[inline(never)]
pub fn start_check(slot: Slot, about: Pid, dir: &OsStr, said: &mut Warnings) -> Event {
    let (file, name) = match slot {
        Slot::Job(Job::Health(_)) => (c"./health", names::HEALTH),
        Slot::Main | Slot::Second | Slot::Job(_) => (c"./check", names::CHECK),
    };
    let word = CString::new(about.0.to_string()).unwrap_or_default();
    let made = fd::open_read_write(c"/dev/null").and_then(|nowhere| {
        let plan = Plan::new(file, &[word], &[], &[]).map_err(io::Error::other)?;
        plan.in_group().with_nothing(nowhere).start(None)?.executed()
    });
    match made {
        Ok(Made { pid, .. }) => {
            said.over(name);
            Event::Started(slot, Start::plain(pid))
        }
        Err(error) => {
            said.warning(name, text!("unable to run ", dir, "/", name, ", trying again"), &error);
            Event::NotStarted(slot, NotStarted::Refused)
        }
    }
}
