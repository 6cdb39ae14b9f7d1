//! Rivals: units, runlevel links and jobs of other packages that make an init start svscan on the same directory at boot. Two svscans in one
//! directory would fight, or one would be started again and again in vain.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::init::Init;
use super::item::Item;
use super::mark::Marked;
use super::tree::Tree;

/// The directories in which systemd looks for units. If several have a unit of the same name, the first counts.
const UNITS: [&str; 5] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];
/// The directory for masks.
const MASKS: &str = "/etc/systemd/system";
/// The target of the link that masks a unit.
pub const MASK: &str = "/dev/null";
const RUNLEVELS: &str = "/etc/runlevels";
const JOBS: &str = "/etc/init";

/// Something else that starts svscan.
#[derive(Debug, PartialEq, Eq)]
pub struct Rival {
    /// The path in the tree of the file that starts svscan.
    pub path: PathBuf,
    /// The item whose installation prevents that.
    pub remedy: Item,
}

/// Finds everything that would make `init` start svscan on `scan_dir`, except for what `install` wrote.
///
/// # Errors
/// Those of reading a directory that is there.
pub fn find(init: Init, tree: &Tree, scan_dir: &Path) -> io::Result<Vec<Rival>> {
    let mut found = match init {
        Init::Systemd => units(tree, scan_dir)?.into_iter().chain(scripts(tree, scan_dir)?).collect(),
        Init::Sysvinit => scripts(tree, scan_dir)?,
        Init::Openrc => runlevels(tree, scan_dir)?,
        Init::Upstart => jobs(tree, scan_dir)?,
        Init::RcD | Init::Busybox => Vec::new(),
    };
    found.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(found)
}

/// Finds enabled systemd units.
fn units(tree: &Tree, scan_dir: &Path) -> io::Result<Vec<Rival>> {
    let mut enabled = Vec::new();
    for dir in UNITS.map(Path::new) {
        for entry in names(tree, dir)? {
            if [".wants", ".requires"].iter().any(|suffix| entry.as_bytes().ends_with(suffix.as_bytes())) {
                enabled.extend(names(tree, &dir.join(entry))?);
            }
        }
    }
    enabled.sort();
    enabled.dedup();
    let starts = |text: &str| {
        let commands = text.lines().filter_map(|line| line.trim_start().strip_prefix("ExecStart")?.split_once('='));
        commands.into_iter().any(|(_, command)| starts_svscan(command, scan_dir))
    };
    let of_name = |name: &OsString| {
        let path = UNITS.iter().map(|dir| Path::new(dir).join(name)).find(|path| is_there(tree, path))?;
        let remedy = Item::Link { path: Path::new(MASKS).join(name), target: MASK.into() };
        read(tree, &path).filter(|text| starts(text)).map(|_| Rival { path, remedy })
    };
    Ok(enabled.iter().filter_map(of_name).collect())
}

/// Finds scripts that are started by a link in a runlevel directory, by sysvinit's rc or by systemd in its place.
fn scripts(tree: &Tree, scan_dir: &Path) -> io::Result<Vec<Rival>> {
    let mut found = Vec::new();
    for level in ["S", "1", "2", "3", "4", "5"] {
        let dir = PathBuf::from(format!("/etc/rc{level}.d"));
        found.extend(links(tree, &dir, scan_dir, |name| name.starts_with(b"S"))?);
    }
    Ok(found)
}

fn runlevels(tree: &Tree, scan_dir: &Path) -> io::Result<Vec<Rival>> {
    let mut found = Vec::new();
    for level in names(tree, Path::new(RUNLEVELS))? {
        found.extend(links(tree, &Path::new(RUNLEVELS).join(level), scan_dir, |_| true)?);
    }
    Ok(found)
}

fn jobs(tree: &Tree, scan_dir: &Path) -> io::Result<Vec<Rival>> {
    links(tree, Path::new(JOBS), scan_dir, |name| name.ends_with(b".conf"))
}

/// Finds the entries of `dir` that start svscan; the remedy is to remove them.
fn links(tree: &Tree, dir: &Path, scan_dir: &Path, counts: impl Fn(&[u8]) -> bool) -> io::Result<Vec<Rival>> {
    let entries = names(tree, dir)?.into_iter().filter(|name| counts(name.as_bytes())).map(|name| dir.join(name));
    let starts =
        |path: &PathBuf| read(tree, path).is_some_and(|text| text.lines().any(|line| starts_svscan(line, scan_dir)));
    Ok(entries.filter(starts).map(|path| Rival { remedy: Item::Absent { path: path.clone() }, path }).collect())
}

/// The names in a directory, without hidden ones; none if the directory does not exist.
fn names(tree: &Tree, dir: &Path) -> io::Result<Vec<OsString>> {
    let entries = match fs::read_dir(tree.resolve(dir)?) {
        Err(error) if matches!(error.raw_os_error(), Some(sys::ENOENT | sys::ENOTDIR)) => return Ok(Vec::new()),
        entries => entries?,
    };
    let names = entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
    Ok(names.into_iter().filter(|name| !name.as_bytes().starts_with(b".")).collect())
}

fn is_there(tree: &Tree, path: &Path) -> bool {
    tree.place(path).is_ok_and(|place| fs::symlink_metadata(place).is_ok())
}

/// Reads the file to which `path` leads in the tree; `None` if it is ours or cannot be read, as a mask.
fn read(tree: &Tree, path: &Path) -> Option<String> {
    let place = tree.resolve(path).ok()?;
    let text = fs::metadata(&place).ok().filter(fs::Metadata::is_file).and_then(|_| fs::read(&place).ok())?;
    let text = String::from_utf8_lossy(&text).into_owned();
    Marked::read(&text).is_none().then_some(text)
}

/// Returns whether a line runs svscan or svscanboot as a command, on `scan_dir` or without naming a directory.
fn starts_svscan(line: &str, scan_dir: &Path) -> bool {
    if line.trim_start().starts_with('#') {
        return false;
    }
    let words: Vec<&str> =
        line.split(|c: char| c.is_whitespace() || "\"'`;&|()=".contains(c)).filter(|word| !word.is_empty()).collect();
    let is_program = |word: &str| {
        let name = Path::new(word.trim_start_matches(['-', '@', '!', '+', ':'])).file_name();
        name.is_some_and(|name| name == OsStr::new("svscan") || name == OsStr::new("svscanboot"))
    };
    // A word in a message is not a command.
    let is_command =
        |at: usize| at == 0 || words[at].contains('/') || words[at - 1] == "exec" || words[at - 1] == "command";
    (0..words.len()).filter(|&at| is_program(words[at]) && is_command(at)).any(|at| {
        let named = words[at + 1..].iter().map(Path::new).find(|word| word.is_absolute());
        named.is_none_or(|named| named.components().eq(scan_dir.components()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_on_the_directory_or_on_none_is_a_rival() {
        let dir = Path::new("/etc/service");
        for line in [
            "/usr/bin/svscanboot /etc/service/",
            "-/command/svscanboot",
            "@/usr/bin/svscan svscan /etc/service",
            "DAEMON=/usr/bin/svscanboot",
            "svscan /etc/service &",
            "exec svscan",
            "/bin/sh -c '/command/svscanboot &'",
        ] {
            assert!(starts_svscan(line, dir), "{line}");
        }
        for line in [
            "# /usr/bin/svscanboot",
            "/usr/bin/svscan /home/u/service",
            "/usr/bin/svscanner",
            "echo Starting svscan",
            "/usr/bin/runsvdir /etc/service",
            "",
        ] {
            assert!(!starts_svscan(line, dir), "{line}");
        }
    }
}
