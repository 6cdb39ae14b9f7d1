//! Two hundred replacements under load leave nothing behind.

use std::collections::BTreeMap;

use crate::site::{Site, finish, load, wait_for_answers};

/// What must be the same after each replacement.
#[derive(Debug, PartialEq, Eq)]
struct Held {
    /// What each open descriptor of supervise leads to, without the numbers of pipes.
    descriptors: BTreeMap<u32, String>,
    processes: usize,
    zombies: usize,
}

fn held(site: &Site) -> Held {
    let pid = site.supervise();
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs").flatten();
    let descriptors = open.filter_map(|entry| {
        let number = entry.file_name().to_str()?.parse().ok()?;
        let target = std::fs::read_link(entry.path()).ok()?;
        let target = target.to_string_lossy().into_owned();
        Some((number, target.split(":[").next().unwrap_or_default().to_owned()))
    });
    let zombies = testkit::finish(std::process::Command::new("ps").args(["-o", "stat=", "--ppid", &pid.to_string()]));
    Held {
        descriptors: descriptors.collect(),
        processes: site.scratch.processes().len(),
        zombies: zombies.out().lines().filter(|line| line.starts_with('Z')).count(),
    }
}

/// Kilobytes that supervise has written. Those of its program count as its own too as soon as no other supervise runs.
fn private_memory(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("it runs");
    let line = text.lines().find(|line| line.starts_with("Private_Dirty:")).expect("Linux tells it");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

#[test]
fn two_hundred_replacements_leave_no_descriptor_process_or_memory_behind() {
    let Some(mut site) = Site::new(None) else { return };
    let targets = site.listen("rust");
    site.start("rust");
    let loads = load(&targets);
    let replace = || site.svc(&["-R", "--wait=replaced", "rust"]);
    let rest = || {
        site.settled("rust");
        wait_for_answers(&loads);
        (held(&site), private_memory(site.supervise()))
    };
    // What is taken once for ever has been taken by then.
    (0..20).for_each(|_| replace());
    let (before, memory_before) = rest();
    (0..180).for_each(|_| replace());
    let (after, memory_after) = rest();
    assert_eq!(before, after);
    // 180 leaks of 100 bytes would be more than this.
    assert!(memory_after <= memory_before + 16, "{memory_before} kB before, {memory_after} kB after");
    finish(loads, &site);
}
