//! What a process uses, measured. A process is known by its pid and its birth together, so that one which gets the pid of another that has just ended is
//! never taken for it.

use std::collections::BTreeMap;
use std::io;

use machine::SECOND;
use sys::proc::{self, Stat};
use sys::process::{self, Pid};
use sys::{adopted, clock};

/// How long the processor is measured, in nanoseconds.
const SPAN: u64 = SECOND;

/// The parts that are measured only if they are asked for.
#[derive(Clone, Copy, Debug)]
pub struct Parts {
    /// Processor time, which takes a second.
    pub cpu: bool,
    /// Descriptors, which not everybody may count.
    pub descriptors: bool,
}

/// What a process, or a tree of processes, uses.
#[derive(Debug)]
pub struct Measured {
    /// The memory that it has in use, in bytes.
    pub rss: u64,
    /// The processor time that it has used during [`SPAN`], in per cent of one processor, rounded down.
    pub cpu: u64,
    /// How many descriptors it has open; an error if they cannot be counted.
    pub descriptors: io::Result<u64>,
    /// The time since the birth of the process, in nanoseconds.
    pub age: u64,
}

/// Processes as they are at about one moment.
struct Moment {
    /// In nanoseconds.
    at: u64,
    processes: BTreeMap<Pid, Stat>,
}

/// Measures the process `pid`, with all that descend from it if `tree` is true. What is not asked for is 0.
///
/// # Errors
/// If there is no such process, it ends meanwhile, or `/proc` does not show it.
pub fn measure(pid: Pid, tree: bool, parts: Parts) -> io::Result<Measured> {
    let birth = alive(pid)?.start;
    let mut before = None;
    if parts.cpu {
        before = Some(look(pid, birth, tree)?);
        // If it ends, the next look tells.
        adopted::wait_for_end(pid, Some(SPAN))?;
    }
    let now = look(pid, birth, tree)?;
    let mut measured = Measured { rss: 0, cpu: 0, descriptors: Ok(0), age: 0 };
    let mut ticks = 0;
    for (member, stat) in family(pid, &now.processes) {
        let descriptors = if parts.descriptors { proc::descriptors(member) } else { Ok(Vec::new()) };
        // Only if it has not ended was all of this about it.
        if !lives(member, stat.start)? {
            if member == pid {
                return Err(ended());
            }
            continue;
        }
        measured.rss = measured.rss.saturating_add(stat.resident.saturating_mul(proc::page()));
        measured.descriptors = sum(measured.descriptors, descriptors);
        ticks += before.as_ref().map_or(0, |before| used_since(&before.processes, member, &stat));
    }
    measured.cpu = before.map_or(0, |before| percentage(ticks, now.at.saturating_sub(before.at)));
    measured.age = clock::since_boot().saturating_sub(birth.saturating_mul(proc::TICK));
    Ok(measured)
}

/// Looks at the process that was born in that tick, and for a tree at all others too, since nothing else tells which descend from it.
fn look(pid: Pid, birth: u64, tree: bool) -> io::Result<Moment> {
    let mut moment = Moment { at: clock::monotonic(), processes: BTreeMap::new() };
    let others = if tree { Some(proc::pids()?) } else { None };
    for pid in others.into_iter().flatten().chain([pid]) {
        match proc::stat(pid) {
            Ok(stat) => drop(moment.processes.insert(pid, stat)),
            Err(error) if is_gone(&error) || is_hidden(&error) => {}
            Err(error) => return Err(error),
        }
    }
    let found = moment.processes.get(&pid).is_some_and(|stat| stat.start == birth);
    if found { Ok(moment) } else { Err(ended()) }
}

/// The process and its descendants, as far as they are among `all`. A process that is older than its parent is none of them: the pid of its parent
/// was given anew while all were looked at.
fn family(pid: Pid, all: &BTreeMap<Pid, Stat>) -> BTreeMap<Pid, Stat> {
    let mut children: BTreeMap<Pid, Vec<Pid>> = BTreeMap::new();
    for (&child, stat) in all {
        children.entry(stat.parent).or_default().push(child);
    }
    let (mut found, mut due) = (BTreeMap::new(), vec![(pid, 0)]);
    while let Some((pid, parent_born)) = due.pop() {
        let Some(&stat) = all.get(&pid).filter(|stat| stat.start >= parent_born) else {
            continue;
        };
        if found.insert(pid, stat).is_none() {
            due.extend(children.get(&pid).into_iter().flatten().map(|&child| (child, stat.start)));
        }
    }
    found
}

/// The ticks that a process has used since `before`: all of them, if it was born since.
fn used_since(before: &BTreeMap<Pid, Stat>, pid: Pid, now: &Stat) -> u64 {
    let old = before.get(&pid).filter(|old| old.start == now.start);
    now.cpu.saturating_sub(old.map_or(0, |old| old.cpu))
}

fn percentage(ticks: u64, nanoseconds: u64) -> u64 {
    let used = u128::from(ticks) * u128::from(proc::TICK) * 100;
    u64::try_from(used / u128::from(nanoseconds.max(1))).unwrap_or(u64::MAX)
}

fn sum<T>(sum: io::Result<u64>, more: io::Result<Vec<T>>) -> io::Result<u64> {
    Ok(sum?.saturating_add(more?.len() as u64))
}

/// The process `pid`, which must not have ended.
fn alive(pid: Pid) -> io::Result<Stat> {
    match proc::stat(pid) {
        Ok(stat) if has_ended(&stat) => Err(io::Error::other("it has ended, and its parent has not reaped it")),
        Err(error) if is_hidden(&error) || is_gone(&error) && proc::exists(pid) => {
            Err(match proc::stat(process::own_pid()) {
                Ok(_) => io::Error::other("/proc does not show it to this user"),
                Err(_) => io::Error::other("there is no /proc"),
            })
        }
        Err(error) if is_gone(&error) => Err(io::Error::from_raw_os_error(sys::ESRCH)),
        stat => stat,
    }
}

/// Returns whether the process `pid` that was born in that tick lives.
fn lives(pid: Pid, birth: u64) -> io::Result<bool> {
    match proc::stat(pid) {
        Ok(stat) => Ok(stat.start == birth && !has_ended(&stat)),
        Err(error) if is_gone(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

fn has_ended(stat: &Stat) -> bool {
    matches!(stat.state, b'Z' | b'X')
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(sys::ENOENT | sys::ESRCH))
}

/// Returns whether `/proc` lists a process and does not let this user look at it (`hidepid=1`).
fn is_hidden(error: &io::Error) -> bool {
    error.raw_os_error() == Some(sys::EPERM)
}

fn ended() -> io::Error {
    io::Error::other("it has ended meanwhile")
}

#[cfg(test)]
mod tests {
    use super::*;

    const THIS: Pid = Pid::from_raw(10);

    fn process(pid: i32, parent: i32, start: u64, cpu: u64) -> (Pid, Stat) {
        let stat = proc::stat(process::own_pid()).expect("it lives");
        (Pid::from_raw(pid), Stat { parent: Pid::from_raw(parent), start, cpu, ..stat })
    }

    fn found(all: &[(Pid, Stat)]) -> Vec<i32> {
        family(THIS, &all.iter().copied().collect()).into_keys().map(Pid::as_raw).collect()
    }

    #[test]
    fn a_family_is_the_process_and_all_that_descend_from_it() {
        let all = [process(10, 1, 5, 0), process(11, 10, 5, 0), process(9, 11, 6, 0), process(12, 1, 7, 0)];
        assert_eq!(found(&all), [9, 10, 11]);
        assert_eq!(found(&all[..1]), [10]);
        assert_eq!(found(&all[1..]), [0; 0]);
    }

    #[test]
    fn a_process_that_is_older_than_its_parent_is_no_descendant() {
        // While all were looked at, the parent of 11 ended and 10 got its pid.
        assert_eq!(found(&[process(10, 1, 50, 0), process(11, 10, 49, 0), process(12, 11, 60, 0)]), [10]);
    }

    #[test]
    fn a_circle_ends() {
        assert_eq!(found(&[process(10, 11, 5, 0), process(11, 10, 5, 0)]), [10, 11]);
    }

    #[test]
    fn what_another_process_with_the_same_pid_has_used_does_not_count() {
        let before = BTreeMap::from([process(10, 1, 5, 100)]);
        let used = |start, cpu| used_since(&before, THIS, &process(10, 1, start, cpu).1);
        assert_eq!([used(5, 150), used(6, 150), used(5, 99)], [50, 150, 0]);
        assert_eq!(used_since(&BTreeMap::new(), THIS, &process(10, 1, 5, 7).1), 7);
    }

    #[test]
    fn another_process_with_the_pid_is_not_the_one_that_was_asked_for() {
        let own = process::own_pid();
        let birth = proc::stat(own).expect("it lives").start;
        for tree in [false, true] {
            assert!(look(own, birth, tree).is_ok_and(|moment| moment.processes.contains_key(&own)));
            assert_eq!(look(own, birth + 1, tree).err().map(|error| error.to_string()), Some(ended().to_string()));
        }
        assert!(lives(own, birth).expect("it can be told") && !lives(own, birth + 1).expect("it can be told"));
    }

    #[test]
    fn a_hundred_per_cent_is_one_processor() {
        assert_eq!(percentage(100, SECOND), 100);
        assert_eq!(percentage(150, 2 * SECOND), 75);
        assert_eq!(percentage(90, SECOND + 1_000_000), 89);
        assert_eq!(percentage(1600, SECOND), 1600);
        assert_eq!([percentage(0, 0), percentage(u64::MAX, 1)], [0, u64::MAX]);
    }
}
