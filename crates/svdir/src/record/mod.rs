//! The record, `supervise/record`: supervise writes it so that its successor, after `kill -9` or an upgrade, finds everything again. Clients read
//! from it what the status has no place for.
//!
//! It is made of [`sections`]:
//!
//! | tag | section | contents |
//! |---|---|---|
//! | 1 | service | [`Service`]: what is wanted |
//! | 2, 3 | copy | [`Copy`]: the decisions about the main copy, and about the second |
//! | 4, 5 | process | [`Process`]: what supervise has seen of the process of each |
//! | 6 | supervise | [`Supervise`]: the supervise that writes this |
//! | 7 | pace | [`Pace`]: the starts so far |
//! | 8 | why | why the service cannot be started, or was not replaced, in text |
//! | 9 | notify | the name of the notify socket |
//! | 10 | mark | the last mark that came after commands, and how many bytes of marks have come |
//! | 11 | finish | [`Hook`], while it runs |
//! | 12 | birth of the hook | [`Born`], while one runs: `finish`, or what 20 says |
//! | 13 | over | [`Over`]: why the service is down for good, if nobody told it to be |
//! | 14 | health | [`Health`]: the run of `health`, and the failures in a row |
//! | 15 | reload | [`Reload`]: the last reload of a main copy that can tell of it |
//! | 16 | leftovers | [`Leftovers`]: what copies that have ended have left behind, while that is waited for |
//! | 19 | memory | nothing; it is there if the kernel has killed the last main copy because memory ran out |
//! | 20 | hook | [`Hook`], while `start`, `control/u` or `stop` runs |
//! | 21 | setup | [`Setup`]: what `start` and `run` have set up, and `stop` has not taken down |
//! | 22 | control | its place (1 byte), [`Control`] and its [`Born`], for each script of `control/` that runs |
//! | 23 | gate | [`Gate`], and the name of the service that is waited for, while a start waits for one |
//! | 24 | waited | [`Waited`], and the name of the service that was waited for last, while no start waits. It comes last, with as much of the name as there is room for |
//!
//! Programs of later releases read what earlier ones wrote, and the other way round: an unknown section is skipped, unless its tag is
//! [critical](sections::CRITICAL). The machine of supervise fills [`Decided`], its loop [`Observed`].
//!
//! [`slots`] is the layout of the file. [`layout1`] is the earlier record, which followed the status before there was a file for it. [`handover`] is
//! what an upgrade in place hands over besides.

mod control;
mod copy;
mod gate;
pub mod handover;
mod health;
mod hook;
pub mod layout1;
mod leftovers;
mod over;
mod reload;
pub mod sections;
mod service;
pub mod slots;
mod supervise;
mod text;

use std::num::NonZeroU32;

use tai::Label;

pub use control::{About, CONTROLS, Control};
pub use copy::{Born, Copy, Process, Role};
pub use gate::{Gate, Waited};
pub use health::Health;
pub use hook::{Hook, Script, Setup};
pub use leftovers::{Leftovers, Rest};
pub use over::Over;
pub use reload::Reload;
pub use service::{Exit, Pace, Service};
pub use supervise::{Boot, Supervise};
pub use text::Text;

use crate::{Mark, Run, Status, Want};
use sections::{CRITICAL, Fields, Sections, Writer};

const SERVICE: u8 = 1;
const MAIN_COPY: u8 = 2;
const SECOND_COPY: u8 = 3;
const MAIN_PROCESS: u8 = 4;
const SECOND_PROCESS: u8 = 5;
const SUPERVISE: u8 = 6;
const PACE: u8 = 7;
const WHY: u8 = 8;
const NOTIFY: u8 = 9;
const MARK: u8 = 10;
const FINISH: u8 = 11;
const HOOK_BORN: u8 = 12;
const OVER: u8 = 13;
const HEALTH: u8 = 14;
const RELOAD: u8 = 15;
const LEFTOVERS: u8 = 16;
const MEMORY: u8 = 19;
const HOOK: u8 = 20;
const SETUP: u8 = 21;
const CONTROL: u8 = 22;
const GATE: u8 = 23;
const WAITED: u8 = 24;

/// The greatest length in bytes of a name in the record; a longer one is cut off.
pub const NAME: usize = 64;

/// The part of the record that the machine of supervise decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decided {
    /// What is wanted.
    pub service: Service,
    /// The main copy.
    pub main: Option<Copy>,
    /// The second copy, with its role.
    pub second: Option<(Role, Copy)>,
    /// How the starts went.
    pub pace: Pace,
    /// The script that runs, and for which the service waits.
    pub hook: Option<Hook>,
    /// What was set up.
    pub setup: Setup,
    /// The scripts of `control/` that run.
    pub controls: [Option<Control>; 2],
    /// Why the service is down for good, if it is so by itself.
    pub over: Option<Over>,
    /// The runs of `health` about the main copy.
    pub health: Option<Health>,
    /// The last reload of the main copy, if that can tell of it.
    pub reload: Option<Reload>,
    /// What copies that have ended have left behind.
    pub leftovers: Leftovers,
    /// A start waits for another service.
    pub gate: Option<Gate>,
    /// No start waits, and one has waited.
    pub waited: Option<Waited>,
}

/// The part of the record that the loop of supervise fills in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// The process of the main copy, or of the last one.
    pub main: Process,
    /// The process of the second copy.
    pub second: Process,
    /// When the script was born that runs, and for which the service waits.
    pub hook: Born,
    /// When the scripts of `control/` were born that run.
    pub controls: [Born; 2],
    /// The supervise itself.
    pub supervise: Supervise,
    /// Why the service cannot be started or, while it is up, why the last replacement failed; empty if there is nothing to
    /// say.
    pub why: Text<64>,
    /// The name of the notify socket; empty for none.
    pub notify: Text<16>,
    /// The name of the service that a start waits for, or that one has waited for last.
    pub awaited: Text<64>,
    /// The kernel has killed the last main copy that has ended, or a process of its life, because memory ran out.
    pub memory: bool,
    /// The last mark that a client has sent after its commands.
    pub mark: Mark,
    /// How many bytes of marks have come, so that a mark is noticed even if it comes a second time.
    pub heard: u32,
}

/// The whole record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The part of the machine.
    pub decided: Decided,
    /// The part of the loop.
    pub observed: Observed,
}

impl Record {
    /// Writes all sections.
    pub fn encode(&self, writer: &mut Writer<'_>) {
        let Record { decided, observed } = self;
        writer.section(SERVICE, |section| decided.service.encode(section));
        if let Some(main) = &decided.main {
            writer.section(MAIN_COPY, |section| main.encode(None, section));
        }
        writer.section(MAIN_PROCESS, |section| observed.main.encode(section));
        if let Some((role, second)) = &decided.second {
            writer.section(SECOND_COPY, |section| second.encode(Some(*role), section));
            writer.section(SECOND_PROCESS, |section| observed.second.encode(section));
        }
        writer.section(SUPERVISE, |section| observed.supervise.encode(section));
        writer.section(PACE, |section| decided.pace.encode(section));
        writer.section(MARK, |section| {
            section.long(observed.mark.0);
            section.number(observed.heard);
        });
        if let Some(hook) = decided.hook {
            let tag = if hook.script == Script::Finish { FINISH } else { HOOK };
            writer.section(tag, |section| hook.encode(section));
            writer.section(HOOK_BORN, |section| observed.hook.encode(section));
        }
        if decided.setup != Setup::default() {
            writer.section(SETUP, |section| decided.setup.encode(section));
        }
        for (place, (control, born)) in (0..).zip(decided.controls.into_iter().zip(observed.controls)) {
            if let Some(control) = control {
                writer.section(CONTROL, |section| {
                    section.byte(place);
                    control.encode(section);
                    born.encode(section);
                });
            }
        }
        if let Some(over) = decided.over {
            writer.section(OVER, |section| over.encode(section));
        }
        if let Some(health) = decided.health {
            writer.section(HEALTH, |section| health.encode(section));
        }
        if let Some(reload) = decided.reload {
            writer.section(RELOAD, |section| reload.encode(section));
        }
        if observed.memory {
            writer.section(MEMORY, |_| ());
        }
        if !decided.leftovers.is_empty() {
            writer.section(LEFTOVERS, |section| decided.leftovers.encode(section));
        }
        if let Some(gate) = decided.gate {
            writer.section(GATE, |section| {
                gate.encode(section);
                section.put(observed.awaited.bytes());
            });
        }
        if let Some(why) = observed.why.some() {
            writer.section(WHY, |section| section.put(why));
        }
        if let Some(notify) = observed.notify.some() {
            writer.section(NOTIFY, |section| section.put(notify));
        }
        // A later release may write a section that this one does not know.
        if cfg!(feature = "from-the-future") {
            writer.section(sections::UNKNOWN, |section| section.put(b"more than is known"));
        }
        if let Some(waited) = decided.waited.filter(|_| decided.gate.is_none()) {
            waited.encode(WAITED, &observed.awaited, writer);
        }
    }

    /// Decodes a record of this version or any other. `None` if the bytes are not sections, lack the section about supervise, or have an unknown
    /// critical section.
    pub fn decode(bytes: &[u8]) -> Option<Record> {
        Record::decode_with(bytes, |_, _| None)
    }

    /// Decodes a record among other sections: `other` gets each section that is not of the record, and returns `None` if it does not
    /// know it either.
    pub(crate) fn decode_with(bytes: &[u8], mut other: impl FnMut(u8, Fields<'_>) -> Option<()>) -> Option<Record> {
        let (mut record, mut is_there) = (Record::default(), false);
        for section in Sections(bytes) {
            let (tag, mut fields) = section.ok()?;
            let Record { decided, observed } = &mut record;
            match tag {
                SERVICE => decided.service = Service::decode(&mut fields),
                MAIN_COPY => decided.main = Copy::decode(&mut fields).map(|(_, copy)| copy),
                SECOND_COPY => {
                    decided.second = Copy::decode(&mut fields).and_then(|(role, copy)| Some((role?, copy)));
                }
                MAIN_PROCESS => observed.main = Process::decode(&mut fields),
                SECOND_PROCESS => observed.second = Process::decode(&mut fields),
                SUPERVISE => (observed.supervise, is_there) = (Supervise::decode(&mut fields), true),
                PACE => decided.pace = Pace::decode(&mut fields),
                FINISH | HOOK => decided.hook = Hook::decode(&mut fields),
                HOOK_BORN => observed.hook = Born::decode(&mut fields),
                SETUP => decided.setup = Setup::decode(&mut fields),
                CONTROL => {
                    let place = usize::from(fields.byte());
                    if let (Some(control), Some(born)) =
                        (decided.controls.get_mut(place), observed.controls.get_mut(place))
                    {
                        (*control, *born) = (Control::decode(&mut fields), Born::decode(&mut fields));
                    }
                }
                OVER => decided.over = Some(Over::decode(&mut fields)),
                HEALTH => decided.health = Health::decode(&mut fields),
                RELOAD => decided.reload = Some(Reload::decode(&mut fields)),
                MEMORY => observed.memory = true,
                LEFTOVERS => decided.leftovers = Leftovers::decode(&mut fields),
                GATE => {
                    decided.gate = Some(Gate::decode(&mut fields));
                    observed.awaited = Text::new(fields.rest());
                }
                WAITED => {
                    decided.waited = Some(Waited::decode(&mut fields));
                    observed.awaited = Text::new(fields.rest());
                }
                MARK => (observed.mark, observed.heard) = (Mark(fields.long()), fields.number()),
                WHY => observed.why = Text::new(fields.rest()),
                NOTIFY => observed.notify = Text::new(fields.rest()),
                _ => {
                    let known = other(tag, fields).is_some();
                    if !known && tag & CRITICAL != 0 {
                        return None;
                    }
                }
            }
        }
        is_there.then(|| record.without_ghost())
    }

    /// Removes what was observed of a second copy, of a hook, and of what is waited for, if there is none: [`encode`](Record::encode) does not write it.
    pub(crate) fn without_ghost(mut self) -> Record {
        if self.decided.second.is_none() {
            self.observed.second = Process::default();
        }
        if self.decided.hook.is_none() {
            self.observed.hook = Born::default();
        }
        let Decided { main, hook, over, .. } = &self.decided;
        if main.is_some() || hook.is_some() || over.is_some() {
            // A start waits only while nothing runs.
            self.decided.gate = None;
        }
        if self.decided.gate.is_some() {
            self.decided.waited = None;
        } else if self.decided.waited.is_none() {
            self.observed.awaited = Text::default();
        }
        for (control, born) in self.decided.controls.iter().zip(&mut self.observed.controls) {
            *born = if control.is_some() { *born } else { Born::default() };
        }
        self
    }

    /// Whether the service is down with all that belongs to it, and nobody wants it up, so that it is not started again by itself.
    pub fn is_at_rest(&self) -> bool {
        let Decided { service, main, second, hook, controls, setup, leftovers, .. } = &self.decided;
        let is_wanted = service.start_due || (service.want == Want::Up && !service.exiting);
        let is_over = hook.is_none() && controls.iter().all(Option::is_none) && (!setup.used || setup.kept);
        main.is_none() && second.is_none() && is_over && leftovers.is_empty() && !is_wanted
    }

    /// The process of the main copy, once it has executed `run`.
    pub fn pid(&self) -> Option<NonZeroU32> {
        self.decided.main.filter(|main| main.executed).map(|main| main.pid)
    }

    /// The status, which the older suites know too.
    pub fn status(&self) -> Status {
        let main = self.decided.main.filter(|main| main.executed);
        let finish = self.decided.hook.filter(|hook| hook.script == Script::Finish && self.decided.main.is_none());
        let (pid, run) = match (main, finish) {
            (Some(main), _) => (Some(main.pid), Run::Run),
            (None, Some(finish)) => (Some(finish.pid), Run::Finish),
            (None, None) => (None, Run::Down),
        };
        Status {
            since: self.observed.main.since,
            pid,
            paused: main.is_some_and(|main| main.paused),
            want: self.decided.service.want,
            got_term: main.is_some_and(|main| main.got_term),
            run,
        }
    }

    /// The time since which the service is ready; `None` if it is not ready or does not say when it is.
    pub fn ready(&self) -> Option<Label> {
        self.observed.main.ready.filter(|_| self.decided.main.is_some_and(|main| main.executed && main.ready))
    }

    /// Whether supervise has exited so that svscan, as an init, ends with an essential service, which is down for good; and no svscan has done that yet.
    pub fn ends_init(&self) -> bool {
        self.observed.supervise.exited && self.decided.service.ended && self.decided.over.is_some()
    }

    /// The name of the service that a start waits for, without characters that a terminal or a script could take for more than text.
    pub fn awaited(&self) -> Option<String> {
        self.decided.gate.map(|_| self.observed.awaited.bytes().escape_ascii().to_string())
    }

    /// Why the service cannot be started, or was not replaced, without characters that a terminal or a script could take for more than text.
    pub fn why(&self) -> Option<String> {
        self.observed.why.some().map(|why| why.escape_ascii().to_string())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{Command, KillMode};

    pub(crate) fn example() -> Record {
        let copy = |pid| Copy {
            watchdog: 18,
            declares: true,
            check: NonZeroU32::new(pid + 1),
            mode: KillMode::Group,
            group: NonZeroU32::new(pid + 100),
            ..Copy::up(NonZeroU32::new(pid).expect("not 0"))
        };
        let control = |about| Control {
            script: Command::Term,
            command: Command::Down,
            pid: NonZeroU32::MIN,
            about,
            behind: about == About::Main,
        };
        let rest = |number| {
            let group = NonZeroU32::new(number).expect("not 0");
            Some(Rest { group, mode: KillMode::Mixed, pid: NonZeroU32::new(23), kill_due: number == 21 })
        };
        let process = |number: i64| Process {
            since: Label::from_unix(number, 1),
            born: Born { earliest: 5, latest: 6 },
            ready: Some(Label::from_unix(1, 2)),
            ready_pipe: 10,
            life: 21,
        };
        Record {
            decided: Decided {
                service: Service { exiting: true, ended: true, below_init: true, ..Service::default() },
                main: Some(copy(12)),
                second: Some((Role::Warming, copy(13))),
                pace: Pace { starts: 3, last_exit: Some(Exit::Signal(9)), next: Some(18) },
                hook: NonZeroU32::new(17).map(Hook::finish),
                setup: Setup { prepared: true, used: true, kept: false },
                controls: [Some(control(About::Second)), None],
                over: Some(Over::Often { times: 5, seconds: 60 }),
                health: Some(Health { pid: NonZeroU32::new(19), fails: 2, since: 20 }),
                reload: Some(Reload { began: 21, under_way: true }),
                leftovers: Leftovers { rests: [rest(21), rest(22)], ending: true, finish: true },
                gate: None,
                waited: None,
            },
            observed: Observed {
                main: process(1),
                second: process(2),
                hook: Born { earliest: 15, latest: 16 },
                controls: [Born { earliest: 25, latest: 26 }, Born::default()],
                supervise: Supervise {
                    pid: 7,
                    exited: true,
                    boot: Boot::Namespace([0xab; 16]),
                    stdin: 8,
                    stdout: 9,
                    version: Text::new(b"0.1.0"),
                    directory: (13, 14),
                },
                why: Text::new(b"because"),
                notify: Text::new(b"@0001"),
                awaited: Text::default(),
                memory: true,
                mark: Mark(11),
                heard: 12,
            },
        }
    }

    fn encoded(record: &Record) -> Vec<u8> {
        encode_into(record, &mut [0; slots::SECTIONS])
    }

    /// For a record that cannot be: a start waits only while nothing runs.
    fn encoded_with_room(record: &Record) -> Vec<u8> {
        encode_into(record, &mut [0; 2 * slots::SECTIONS])
    }

    fn encode_into(record: &Record, bytes: &mut [u8]) -> Vec<u8> {
        let mut writer = Writer::new(bytes);
        record.encode(&mut writer);
        let length = writer.finish().expect("room");
        bytes[..length].to_vec()
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        let record = example();
        assert_eq!(Record::decode(&encoded(&record)), Some(record));
        for last_exit in [None, Some(Exit::Code(0)), Some(Exit::Code(255)), Some(Exit::Signal(64)), Some(Exit::Unknown)]
        {
            let decided = Decided { pace: Pace { last_exit, ..record.decided.pace }, ..record.decided };
            let record = Record { decided, ..record };
            assert_eq!(Record::decode(&encoded(&record)), Some(record));
        }
        let exits = [Exit::Code(3), Exit::Signal(11), Exit::Unknown];
        let ended = exits.map(Over::Ended).into_iter().chain(exits.map(Over::Start));
        for over in [Over::Often { times: 255, seconds: u32::MAX }, Over::Done, Over::Finish, Over::Unknown]
            .into_iter()
            .chain(ended)
        {
            let record = Record { decided: Decided { over: Some(over), ..record.decided }, ..record };
            assert_eq!(Record::decode(&encoded(&record)), Some(record));
        }
        for (script, told) in
            [(Script::Start, true), (Script::Up, false), (Script::Finish, false), (Script::Stop, false)]
        {
            let hook = record.decided.hook.map(|hook| Hook { script, told, ..hook });
            let setup = Setup { kept: told, used: !told, prepared: told };
            let record = Record { decided: Decided { hook, setup, ..record.decided }, ..record };
            assert_eq!(Record::decode(&encoded(&record)), Some(record));
        }
        for role in [Role::Warming, Role::EndingOld, Role::EndingNew] {
            let second = record.decided.second.map(|(_, copy)| {
                (
                    role,
                    Copy {
                        paused: true,
                        kill_due: true,
                        check_over: true,
                        undeclared: true,
                        leads: true,
                        stopped: true,
                        awaited: true,
                        ..copy
                    },
                )
            });
            let record = Record { decided: Decided { second, ..record.decided }, ..record };
            assert_eq!(Record::decode(&encoded(&record)), Some(record));
        }
        for mode in [KillMode::Process, KillMode::Mixed, KillMode::Group, KillMode::Tree] {
            let group = NonZeroU32::new(7).filter(|_| mode.leads());
            let main = record.decided.main.map(|main| Copy { mode, group, ..main });
            let [first, _] =
                record.decided.leftovers.rests.map(|rest| rest.map(|rest| Rest { mode, pid: None, ..rest }));
            let leftovers = Leftovers { rests: [first, None], ending: true, finish: false };
            let record = Record { decided: Decided { main, leftovers, ..record.decided }, ..record };
            assert_eq!(Record::decode(&encoded(&record)), Some(record));
        }
        let gate = Some(Gate { since: 7 });
        let decided = Decided { gate, main: None, hook: None, over: None, ..record.decided };
        for awaited in [&b"db"[..], b"", &[0xff; NAME], &[b'x'; NAME + 1]] {
            let observed = Observed { awaited: Text::new(awaited), hook: Born::default(), ..record.observed };
            let record = Record { decided, observed };
            assert_eq!(Record::decode(&encoded(&record)), Some(record));
            let with_main = Record { decided: Decided { main: Some(Copy::up(NonZeroU32::MIN)), ..decided }, ..record };
            assert_eq!(Record::decode(&encoded_with_room(&with_main)).map(|record| record.decided.gate), Some(None));
        }
        let mut waited = record;
        waited.decided.waited = Some(Waited { nanoseconds: u64::MAX });
        for awaited in [&b"db"[..], b"", &[b'x'; NAME]] {
            waited.observed.awaited = Text::new(awaited);
            assert_eq!(Record::decode(&encoded_with_room(&waited)), Some(waited));
        }
        let both = Record { decided: Decided { gate, waited: waited.decided.waited, ..decided }, ..record };
        assert_eq!(Record::decode(&encoded(&both)).map(|record| record.decided.waited), Some(None));
        let nobody = Record { decided: Decided::default(), observed: Observed::default() };
        assert_eq!(Record::decode(&encoded(&nobody)), Some(nobody));
    }

    #[test]
    fn what_was_seen_of_a_second_copy_and_of_a_hook_goes_with_them() {
        let [mut with, mut without] = [example(); 2];
        (without.decided.second, without.decided.hook, without.decided.controls) = (None, None, [None; CONTROLS]);
        without.observed.controls = [Born::default(); CONTROLS];
        (without.observed.second, without.observed.hook) = (Process::default(), Born::default());
        let ghost = [&[SECOND_PROCESS, 8, 0][..], &[1; 8], &[HOOK_BORN, 8, 0], &[1; 8]].concat();
        assert_eq!(Record::decode(&[encoded(&without), ghost].concat()), Some(without));
        (with.decided.second, with.decided.hook, with.decided.controls) = (None, None, [None; CONTROLS]);
        assert_eq!(Record::decode(&encoded(&with)), Some(without));
    }

    #[test]
    fn the_longest_record_has_room() {
        let mut record = example();
        record.observed.why = Text::new(&[b'x'; 64]);
        record.observed.notify = Text::new(&[b'x'; 16]);
        record.observed.supervise.version = Text::new(&[b'x'; 12]);
        let Decided { hook, controls: [control, _], .. } = record.decided;
        record.decided.controls[1] = control;
        record.observed.controls[1] = record.observed.controls[0];
        // A script for which the service waits does not run beside the main copy, nor beside what is left of another.
        let hook = hook.map(|hook| Hook { script: Script::Start, ..hook });
        let up = Decided { hook: None, ..record.decided };
        let down = Decided { main: None, health: None, reload: None, leftovers: Leftovers::default(), hook, ..up };
        // Nor does one run while a start waits for another service; and no service is over then, nor can the start have been refused.
        let waiting = Decided { hook: None, over: None, gate: Some(Gate { since: u64::MAX }), ..down };
        for decided in [up, down, waiting] {
            let mut record = Record { decided, ..record };
            record.observed.awaited = Text::new(&[b'x'; NAME]);
            if decided.gate.is_some() {
                record.observed.why = Text::default();
            }
            let record = record.without_ghost();
            assert_eq!(Record::decode(&encoded(&record)), Some(record));
        }
    }

    #[test]
    fn what_was_waited_for_takes_no_room_from_the_rest() {
        let (rest, name) = (encoded(&example()).len(), [b'x'; NAME]);
        let mut record = example();
        record.decided.waited = Some(Waited { nanoseconds: 7 });
        record.observed.awaited = Text::new(&name);
        let longest = 3 + 8 + NAME;
        for room in 0..=longest {
            let known = Record::decode(&encode_into(&record, &mut vec![0; rest + room])).expect("it is one");
            let shown = match room.checked_sub(3 + 8) {
                Some(room) if room >= NAME => Some(name.to_vec()),
                Some(room) if room >= 3 => Some([&name[..room - 3], b"..."].concat()),
                _ => None,
            };
            assert_eq!(known.observed.awaited.some(), shown.as_deref(), "{room}");
            assert_eq!(known.decided.waited, record.decided.waited.filter(|_| shown.is_some()), "{room}");
            assert_eq!((known.decided.main, known.observed.why), (record.decided.main, record.observed.why));
        }
    }

    #[test]
    fn a_section_that_is_not_known_is_left_alone_unless_it_is_critical() {
        let with = |tag: u8| [encoded(&example()), vec![tag, 2, 0, 1, 2]].concat();
        assert_eq!(Record::decode(&with(0x7f)), Some(example()));
        assert_eq!(Record::decode(&with(0xff)), None);
    }

    #[test]
    fn a_section_that_is_longer_or_shorter_than_ours_is_read() {
        // A pid and flags, and no more: of a version that knew no more; then with more behind it.
        let service = [SERVICE, 1, 0, b'd'];
        let supervise = [SUPERVISE, 4, 0, 7, 0, 0, 0];
        let read = Record::decode(&[&service[..], &supervise].concat()).expect("it is one");
        assert_eq!((read.decided.service.want, read.observed.supervise.pid), (Want::Down, 7));
        let longer = [SERVICE, 4, 0, b'd', 1, 9, 9];
        let read = Record::decode(&[&longer[..], &supervise].concat()).expect("it is one");
        assert_eq!((read.decided.service.want, read.decided.service.exiting), (Want::Down, true));
    }

    #[test]
    #[cfg_attr(miri, ignore = "below an interpreter it takes minutes")]
    fn every_length_is_met_without_harm() {
        let bytes = encoded(&example());
        for length in (0..bytes.len()).step_by(if cfg!(miri) { 17 } else { 1 }) {
            let _ = Record::decode(&bytes[..length]);
        }
        assert_eq!(Record::decode(&[]), None, "it says nothing of a supervise");
    }

    #[test]
    fn a_process_that_has_not_become_run_is_not_up() {
        let mut record = example();
        assert_eq!(record.status().pid, NonZeroU32::new(12));
        assert!(record.ready().is_none());
        record.decided.main = record.decided.main.map(|main| Copy { ready: true, ..main });
        assert!(record.ready().is_some());
        record.decided.main = record.decided.main.map(|main| Copy { executed: false, ..main });
        assert_eq!((record.pid(), record.status().pid, record.ready()), (None, None, None));
    }

    #[test]
    fn while_finish_runs_the_status_has_its_pid_and_says_what_it_is() {
        let mut record = example();
        assert_eq!((record.status().pid, record.status().run), (NonZeroU32::new(12), Run::Run));
        record.decided.main = None;
        assert_eq!((record.pid(), record.status().pid), (None, NonZeroU32::new(17)));
        assert_eq!(record.status().run, Run::Finish);
        for script in [Script::Start, Script::Up, Script::Stop] {
            record.decided.hook = record.decided.hook.map(|hook| Hook { script, ..hook });
            assert_eq!((record.status().pid, record.status().run), (None, Run::Down), "{script:?}");
        }
    }

    #[test]
    fn a_service_rests_when_nothing_of_it_runs_and_nobody_wants_it() {
        let down = Service { want: Want::Down, ..Service::default() };
        let rests = |decided: Decided| Record { decided, observed: Observed::default() }.is_at_rest();
        let with = |service| Decided { service, ..Decided::default() };
        assert!(rests(with(down)) && rests(with(Service { want: Want::Once, ..down })));
        assert!(!rests(with(Service { want: Want::Up, ..down })) && !rests(with(Service { start_due: true, ..down })));
        assert!(rests(with(Service { want: Want::Up, exiting: true, ..down })));
        let example = example().decided;
        for runs in [
            Decided { main: example.main, ..with(down) },
            Decided { second: example.second, ..with(down) },
            Decided { hook: example.hook, ..with(down) },
            Decided { controls: example.controls, ..with(down) },
            Decided { setup: example.setup, ..with(down) },
            Decided { leftovers: example.leftovers, ..with(down) },
        ] {
            assert!(!rests(runs));
        }
    }

    #[test]
    fn a_version_is_shown_only_if_it_can_be() {
        for (hostile, shown) in [
            ("0.1.0", Some("0.1.0")),
            ("", None),
            ("a\nb", None),
            ("\u{e4}", None),
            ("123456789.123", Some("123456789.12")),
        ] {
            let supervise = Supervise { version: Text::new(hostile.as_bytes()), ..Supervise::default() };
            assert_eq!(supervise.version(), shown);
        }
    }
}
