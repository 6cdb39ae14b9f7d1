//! Every process of the system, as `/proc` tells.

use std::fs;
use std::io;
use std::path::Path;

use crate::process::Pid;

/// Every process and its parent. Not read in one moment: one that is born meanwhile may be missing, one that ends may be there.
///
/// # Errors
/// If there is no `/proc`.
pub fn read() -> io::Result<Vec<(Pid, Pid)>> {
    let entries = fs::read_dir("/proc")?.flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).map(Pid::from_raw);
    let found: Vec<_> = pids.filter_map(|pid| Some((pid, parent(pid)?))).collect();
    // A /proc without processes is no /proc.
    if found.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(found) }
}

fn parent(pid: Pid) -> Option<Pid> {
    parse(&fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// Field 4 of `/proc/PID/stat`. Field 2 is the name in parentheses, which may hold anything, parentheses and spaces too.
fn parse(stat: &[u8]) -> Option<Pid> {
    let name_end = stat.iter().rposition(|&byte| byte == b')')?;
    let fields = std::str::from_utf8(stat.get(name_end + 1..)?).ok()?;
    Some(Pid::from_raw(fields.split_ascii_whitespace().nth(1)?.parse().ok()?))
}

/// The inode numbers of the pipes without a name that the process has open. None for a process that this one may not look into.
pub fn pipes(pid: Pid) -> Vec<u64> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let number = |target: &Path| target.to_str()?.strip_prefix("pipe:[")?.strip_suffix(']')?.parse().ok();
    entries.filter_map(|entry| number(&fs::read_link(entry.path()).ok()?)).collect()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn this_process_is_in_it_with_its_pipe() {
        let own = crate::process::own_pid();
        let (_, parent) = read().expect("/proc").into_iter().find(|&(pid, _)| pid == own).expect("it lives");
        assert_eq!(parent, Pid::parent());
        let (reader, _writer) = crate::fd::pipe().expect("a pipe");
        let id = crate::fd::pipe_id(reader.as_fd()).expect("it is one");
        assert_eq!(pipes(own).iter().filter(|&&pipe| pipe == id).count(), 2);
    }

    #[test]
    fn a_name_with_parentheses_and_spaces_is_no_field() {
        assert_eq!(parse(b"7 (a) R 9 (b) S 1 7"), Some(Pid::from_raw(1)));
        for cut in [&b""[..], b"7 (a", b"7 (a) S", b"7 (a) S x"] {
            assert_eq!(parse(cut), None);
        }
    }
}
