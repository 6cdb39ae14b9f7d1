//! What the kernel says about processes.

use std::collections::HashSet;
use std::fs;

use anyhow::{Context, Result};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

use crate::scratch::pids;

/// The kernel stack of one process, in kB.
const KERNEL_STACK: f64 = 16.0;

/// The direct children of a process.
pub fn children(parent: i32) -> Vec<i32> {
    pids().into_iter().filter(|pid| parent_of(*pid) == Some(parent)).collect()
}

/// The scanner and its supervisors, without the services.
pub fn suite(scanner: i32, has_supervisors: bool) -> Vec<i32> {
    let mut all = if has_supervisors { children(scanner) } else { Vec::new() };
    all.push(scanner);
    all
}

fn parent_of(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may contain blanks and parentheses.
    stat.get(stat.rfind(')')?..)?.split(' ').nth(2)?.parse().ok()
}

fn field(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The memory of processes, in kB.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// Anonymous pages, which are theirs alone: heap, stack, data that was written.
    pub private: f64,
    /// Pages of files, which all have in common that map the same file.
    pub files: f64,
    /// Pages that no other process maps, of files too (`Private_Clean` and `Private_Dirty`).
    pub unshared: f64,
    /// Page tables (`VmPTE`).
    pub tables: f64,
    /// Addresses that the stack has taken (`VmStk`).
    pub stack: f64,
    /// How many processes that is.
    pub processes: f64,
}

impl Memory {
    /// Anonymous pages, page tables and kernel stacks.
    pub fn all(&self) -> f64 {
        self.private + self.tables + KERNEL_STACK * self.processes
    }
}

/// The memory of these processes.
pub fn memory(pids: &[i32]) -> Result<Memory> {
    let mut sum = Memory::default();
    for pid in pids {
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).context("unable to read smaps_rollup")?;
        let status = fs::read_to_string(format!("/proc/{pid}/status")).context("unable to read status")?;
        let pages = |name: &str| field(&rollup, name).with_context(|| format!("no {name} in smaps_rollup"));
        let of = |name: &str| field(&status, name).with_context(|| format!("no {name} in status"));
        sum.private += pages("Anonymous")?;
        sum.files += pages("Rss")? - pages("Anonymous")?;
        sum.unshared += pages("Private_Clean")? + pages("Private_Dirty")?;
        sum.tables += of("VmPTE")?;
        sum.stack += of("VmStk")?;
        sum.processes += 1.0;
    }
    Ok(sum)
}

/// How often these processes went to sleep, which is as often as something woke them.
pub fn sleeps(pids: &[i32]) -> Result<f64> {
    switches(pids, "voluntary_ctxt_switches")
}

fn switches(pids: &[i32], kind: &str) -> Result<f64> {
    let mut sum = 0.0;
    for pid in pids {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).context("unable to read status")?;
        sum += field(&status, kind).with_context(|| format!("no {kind} in status"))?;
    }
    Ok(sum)
}

/// The CPU time of these processes in milliseconds, without their children's.
pub fn cpu(pids: &[i32]) -> Result<f64> {
    let mut sum = 0.0;
    for pid in pids {
        let times = fs::read_to_string(format!("/proc/{pid}/schedstat")).context("unable to read schedstat")?;
        sum += times.split(' ').next().and_then(|time| time.parse::<f64>().ok()).context("no time in schedstat")? / 1e6;
    }
    Ok(sum)
}

/// The CPU time in milliseconds of all children that were waited for.
pub fn children_cpu() -> Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).context("unable to ask for the children's time")?;
    Ok((usage.user_time() + usage.system_time()).num_microseconds() as f64 / 1e3)
}

/// Returns whether the processes are the same as before.
pub fn unchanged(scanner: i32, before: &[i32]) -> bool {
    let now: HashSet<i32> = children(scanner).into_iter().collect();
    before.iter().filter(|pid| **pid != scanner).all(|pid| now.contains(pid))
}
