//! Whether the kernel can execute the programs of a service directory, and who may change them.

use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use svdir::names;
use sys::fd;

use super::found::Found;
use crate::service::{files, trouble};
use crate::words::shown;

/// The programs but for `run` and those in `control/`.
const PROGRAMS: [&str; 6] =
    [names::CHECK, names::FINISH, names::HEALTH, names::NOTIFY_SCRIPT, names::START, names::STOP];

/// The letters of the programs in `control/`.
const LETTERS: &str = "udxpchaitkq12w";

/// How much of a file the kernel looks at to find out how it is executed.
const HEAD: usize = 256;

/// Looks at the programs of the current directory.
pub fn look(found: &mut Found) {
    found.cannot_run = match trouble::with_run() {
        Some(wrong) => {
            found.wrong.push(wrong);
            true
        }
        None => !format(names::RUN, found),
    };
    for name in PROGRAMS {
        program(name, found);
    }
    match fs::metadata(names::CONTROL_SCRIPTS) {
        Ok(control) if control.is_dir() => {
            LETTERS.chars().for_each(|letter| program(&format!("{}/{letter}", names::CONTROL_SCRIPTS), found));
        }
        Ok(_) => found.wrong.push(format!("{} is not a directory", names::CONTROL_SCRIPTS)),
        Err(_) => {}
    }
}

fn program(name: &str, found: &mut Found) {
    match trouble::with_program(name) {
        Some(wrong) => found.wrong.push(wrong),
        None => drop(format(name, found)),
    }
}

/// Looks how a program that may be executed begins, if it is there. Returns whether the kernel executes it, as far as that can be seen.
fn format(name: &str, found: &mut Found) -> bool {
    let Ok(program) = fs::metadata(name) else {
        return true;
    };
    if !program.is_file() {
        // It is not opened: that could wait, or take something from somebody.
        found.wrong.push(format!("{name} is not a regular file"));
        return false;
    }
    modes(name, &program, found);
    let head = match head(Path::new(name)) {
        Ok(head) => head,
        Err(error) => {
            found.failed(name, &error);
            return true;
        }
    };
    let wrong = if let Some(line) = head.strip_prefix(b"#!") {
        interpreter(line)
    } else if head.is_empty() {
        Some("it is empty".to_owned())
    } else if !head.starts_with(b"\x7fELF") && !is_registered(name, &head) {
        Some("it has no #! line and is no ELF file, so the kernel does not execute it".to_owned())
    } else {
        None
    };
    wrong.iter().for_each(|wrong| found.about(name, wrong));
    wrong.is_none()
}

/// The beginning of a file.
///
/// # Errors
/// Those of the system.
pub fn head(path: &Path) -> io::Result<Vec<u8>> {
    let file = fd::open_read(path)?;
    let mut head = [0; HEAD];
    let count = fd::read(file.as_fd(), &mut head)?;
    Ok(head.get(..count).unwrap_or_default().to_vec())
}

/// What is wrong with a first line, from behind its `#!` on.
fn interpreter(rest: &[u8]) -> Option<String> {
    let end = rest.iter().position(|&byte| byte == b'\n');
    let line = rest.get(..end.unwrap_or(rest.len()))?;
    if line.ends_with(b"\r") {
        return Some("carriage return at the end of the first line".to_owned());
    }
    let is_blank = |byte: &u8| b" \t".contains(byte);
    let start = line.iter().position(|byte| !is_blank(byte)).unwrap_or(line.len());
    let word = line.get(start..)?;
    let word = word.get(..word.iter().position(|byte| is_blank(byte) || *byte == 0).unwrap_or(word.len()))?;
    if word.is_empty() {
        return Some("no interpreter behind #!".to_owned());
    }
    if end.is_none() && rest.len() + 2 == HEAD && start + word.len() == line.len() {
        return Some("its interpreter has too long a name for the kernel".to_owned());
    }
    let path = Path::new(OsStr::from_bytes(word));
    let shown = shown::bytes(word);
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => None,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Some(format!("its interpreter {shown} does not exist"))
        }
        Err(error) => Some(format!("its interpreter {shown}: {}", cli::reason(&error))),
        Ok(program) if program.is_dir() => Some(format!("its interpreter {shown} is a directory")),
        Ok(program) if program.permissions().mode() & 0o111 == 0 => {
            Some(format!("its interpreter {shown} is not executable"))
        }
        Ok(_) => None,
    }
}

/// Returns whether the administrator has told the kernel how such files are executed (binfmt_misc).
fn is_registered(name: &str, head: &[u8]) -> bool {
    let entries = fs::read_dir("/proc/sys/fs/binfmt_misc").into_iter().flatten().flatten();
    entries.filter_map(|entry| fs::read_to_string(entry.path()).ok()).any(|text| is_for(&text, name, head))
}

/// Returns whether such an entry is for a file that is called so, and begins so.
fn is_for(entry: &str, name: &str, head: &[u8]) -> bool {
    let value = |key: &str| entry.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
    if entry.lines().next() != Some("enabled") {
        return false;
    }
    if let Some(extension) = value("extension") {
        return name.ends_with(extension);
    }
    let bytes = |digits: &str| -> Vec<u8> {
        let pairs = (0..digits.len() / 2).map(|at| digits.get(at * 2..at * 2 + 2));
        pairs.filter_map(|pair| u8::from_str_radix(pair?, 16).ok()).collect()
    };
    let Some(magic) = value("magic").map(bytes).filter(|magic| !magic.is_empty()) else {
        return false;
    };
    let mask = value("mask").map(bytes).unwrap_or_default();
    let offset = value("offset").and_then(|offset| offset.parse().ok()).unwrap_or(0);
    let part = head.get(offset..).and_then(|rest| rest.get(..magic.len()));
    part.is_some_and(|part| {
        let masks = mask.iter().chain(std::iter::repeat(&0xff));
        part.iter().zip(&magic).zip(masks).all(|((byte, magic), mask)| (byte ^ magic) & mask == 0)
    })
}

/// Adds by whom a program can be written, if that is somebody but root and its owner.
fn modes(name: &str, program: &Metadata, found: &mut Found) {
    // A group with the number of the user is his own, and that of root is trusted.
    let is_trusted = program.gid() == 0 || program.gid() == program.uid();
    if let Some(who) = writers(program, is_trusted) {
        found.wrong.push(format!("{name} can be written by {who}"));
    }
}

fn writers(file: &Metadata, is_trusted: bool) -> Option<String> {
    let mode = file.permissions().mode();
    if mode & 0o002 != 0 {
        Some("everybody".to_owned())
    } else if mode & 0o020 != 0 && !is_trusted {
        Some(format!("the group {}", file.gid()))
    } else {
        None
    }
}

/// Looks who may write to the current directory, and to what supervise has there.
pub fn directories(found: &mut Found) {
    const STICKY: u32 = 0o1000;
    let here = fs::metadata(".").ok().filter(|here| here.permissions().mode() & STICKY == 0);
    if here.is_some_and(|here| here.permissions().mode() & 0o002 != 0) {
        found.wrong.push("the directory can be written by everybody".to_owned());
    }
    for (name, is_kind) in [(names::SUPERVISE, Metadata::is_dir as fn(&Metadata) -> bool), (names::CONTROL, |_| true)] {
        let Ok(file) = fs::metadata(files::here(name)) else {
            continue;
        };
        // Who may send commands is for the administrator to say: a group is often given that.
        let is_trusted = name == names::CONTROL;
        if let Some(who) = writers(&file, is_trusted).filter(|_| is_kind(&file)) {
            found.wrong.push(format!("{name} can be written by {who}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_line_is_read_as_the_kernel_reads_it() {
        for (line, wrong) in [
            ("/bin/sh\n", None),
            ("  \t/bin/sh -e\nexit", None),
            ("/bin/sh", None),
            ("/bin/sh\r\n", Some("carriage return at the end of the first line")),
            ("/bin/sh -e\r\n", Some("carriage return at the end of the first line")),
            ("\n/bin/sh\n", Some("no interpreter behind #!")),
            (" \t\n", Some("no interpreter behind #!")),
            ("/bin\n", Some("its interpreter /bin is a directory")),
            ("/etc/passwd\n", Some("its interpreter /etc/passwd is not executable")),
            ("/nonexistent/a\x1bb -x\n", Some("its interpreter /nonexistent/a\\x1bb does not exist")),
        ] {
            assert_eq!(interpreter(line.as_bytes()).as_deref(), wrong, "{line:?}");
        }
        assert!(interpreter(&[b'x'; HEAD - 2]).is_some_and(|wrong| wrong.contains("too long")));
        assert!(interpreter(&[b"/bin/sh ", &[b'x'; HEAD - 10][..]].concat()).is_none());
    }

    #[test]
    fn a_registered_format_is_known_by_its_magic_or_its_name() {
        let magic = "enabled\ninterpreter /usr/bin/wine\nflags: \noffset 1\nmagic 5a90\nmask ff0f\n";
        assert!(is_for(magic, "run", b"MZ\xf0") && !is_for(magic, "run", b"MZ\x01") && !is_for(magic, "run", b"MZ"));
        assert!(!is_for(&magic.replace("enabled", "disabled"), "run", b"MZ\xf0"));
        assert!(is_for("enabled\nextension .jar\n", "x.jar", b"") && !is_for("enabled\n", "run", b"x"));
    }
}
