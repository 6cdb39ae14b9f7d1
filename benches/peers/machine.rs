//! The head of the report: machine, versions, date and command.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::Bench;
use crate::suites::text;

/// The head of the report.
pub fn describe(bench: &Bench) -> String {
    let unknown = || "unknown".to_owned();
    let cpu =
        fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| value(&text, "model name")).unwrap_or_else(unknown);
    let memory =
        fs::read_to_string("/proc/meminfo").ok().and_then(|text| value(&text, "MemTotal")).unwrap_or_else(unknown);
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    let said = |program: &str, words: &[&str]| text(Command::new(program).args(words)).unwrap_or_else(unknown);
    let mut words: Vec<String> = env::args().skip(1).filter(|word| word != "--bench").collect();
    // Where that tree stands is nobody's business; its commit is said below.
    if let Some(at) = words.iter().position(|word| word == "--before") {
        words[at + 1..].iter_mut().take(1).for_each(|tree| *tree = "TREE".to_owned());
    }
    let command = format!("cargo bench --bench peers -- {}", words.join(" "));
    let mut lines = vec![
        format!("- date: {}", said("date", &["-u", "+%F"])),
        format!("- command: `{}`", command.trim_end_matches([' ', '-'])),
        format!("- machine: {count} of {cpu}, {memory} of memory"),
        format!("- system: {}; {}", said("uname", &["-srm"]), release()),
        format!("- compiler: {}", said("rustc", &["-V"])),
        format!("- load when it began: {}", fs::read_to_string("/proc/loadavg").unwrap_or_default().trim()),
    ];
    lines.extend(bench.suites.iter().map(|suite| format!("- {} {}", suite.name, suite.version)));
    lines.join("\n") + "\n"
}

fn value(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn release() -> String {
    let text = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.unwrap_or("unknown").trim_matches('"').to_owned()
}

/// The commit that is checked out in `tree`, and whether there are changes.
pub fn commit(tree: &Path) -> String {
    let git = |words: &[&str]| text(Command::new("git").arg("-C").arg(tree).args(words));
    let name = git(&["rev-parse", "--short", "HEAD"]).unwrap_or_else(|| "unknown".to_owned());
    let changed =
        git(&["status", "--porcelain", "--untracked-files=no", "--", "src", "crates", "Cargo.lock", ".cargo"]);
    if changed.is_some() { format!("{name} and changes") } else { name }
}
