//! Our lines in an inittab. Nothing else in the file is changed, and when our lines are removed the file is exactly as it was.

use std::ops::Range;

use super::mark::Marked;

const END: &[u8] = b"# End of what uphold boot install wrote";
/// A note in the mark: the file did not end in a newline, and must not when our lines are removed again.
const UNENDED: &[u8] = b", below a line without an end";
/// The prefix that makes a comment of a line that starts svscan too.
const SILENCED: &[u8] = b"#uphold-boot-saved:";

/// The place of our lines in the file.
struct Block {
    range: Range<usize>,
    marked: Marked,
    unended: bool,
}

/// Finds our lines.
pub fn find(bytes: &[u8]) -> Option<Marked> {
    block(bytes).map(|block| block.marked)
}

fn block(bytes: &[u8]) -> Option<Block> {
    let mut start = None;
    let mut at = 0;
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        if start.is_none() && Marked::begins(line) {
            start = Some(at);
        }
        if let (Some(start), true) = (start, line.starts_with(END)) {
            let marked = Marked::read(std::str::from_utf8(&bytes[start..at]).ok()?)?;
            let unended = line[END.len()..].starts_with(UNENDED);
            return Some(Block { range: start..at + line.len(), marked, unended });
        }
        at += line.len();
    }
    None
}

/// Returns the file with our lines, which replace those that it has already. sysvinit starts lines in their order and waits for some
/// of them, so ours come last. busybox runs the lines for the shutdown in their order, and soon comes to those that unmount file
/// systems, so ours come `first`.
pub fn insert(bytes: &[u8], marked: &Marked, first: bool) -> Vec<u8> {
    let bytes = remove(bytes);
    let unended = !first && !bytes.is_empty() && !bytes.ends_with(b"\n");
    let mut lines = Vec::new();
    if unended {
        lines.push(b'\n');
    }
    lines.extend_from_slice(marked.write().as_bytes());
    lines.extend_from_slice(END);
    lines.extend_from_slice(if unended { UNENDED } else { b"" });
    lines.extend_from_slice(b".\n");
    if first { [lines, bytes].concat() } else { [bytes, lines].concat() }
}

/// Returns the file without our lines.
pub fn remove(bytes: &[u8]) -> Vec<u8> {
    let Some(Block { range, unended, .. }) = block(bytes) else {
        return bytes.to_vec();
    };
    let (mut before, after) = (&bytes[..range.start], &bytes[range.end..]);
    // If somebody has added a line since, the newline must stay.
    if unended && after.is_empty() {
        before = before.strip_suffix(b"\n").unwrap_or(before);
    }
    [before, after].concat()
}

/// The first other line that would start svscan too, or has the same id as a line of `ours`.
pub fn rival(bytes: &[u8], ours: &str) -> Option<Vec<u8>> {
    let others = remove(bytes);
    let mut lines = others.split(|&byte| byte == b'\n');
    lines.find(|line| is_rival(line, ours)).map(<[u8]>::to_vec)
}

fn is_rival(line: &[u8], ours: &str) -> bool {
    let id = |line: &[u8]| line.split(|&byte| byte == b':').next().unwrap_or_default().to_vec();
    let same_id = || ours.lines().any(|own| !id(own.as_bytes()).is_empty() && id(own.as_bytes()) == id(line));
    !line.trim_ascii_start().starts_with(b"#") && (line.windows(6).any(|word| word == b"svscan") || same_id())
}

/// Returns the file with all such [`rival`] lines turned into comments.
pub fn silence(bytes: &[u8], ours: &str) -> Vec<u8> {
    each_line(bytes, |line| {
        let prefix = if is_rival(line, ours) { SILENCED } else { b"" };
        [prefix, line].concat()
    })
}

/// Undoes what [`silence`] did.
pub fn restore(bytes: &[u8]) -> Vec<u8> {
    each_line(bytes, |line| line.strip_prefix(SILENCED).unwrap_or(line).to_vec())
}

fn each_line(bytes: &[u8], change: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    bytes.split_inclusive(|&byte| byte == b'\n').flat_map(change).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "SV:123456:respawn:/usr/bin/svscanboot /service\n";
    const FILES: [&[u8]; 5] = [b"", b"id:2:initdefault:\n", b"id:2:initdefault:", b"# \xff\n\n", b"\n"];

    fn ours() -> Marked {
        Marked { text: OURS.into(), made: vec!["/service".into()] }
    }

    #[test]
    fn without_our_lines_a_file_is_what_it_was() {
        for file in FILES {
            for first in [false, true] {
                let with = insert(file, &ours(), first);
                assert_eq!(find(&with), Some(ours()));
                assert_eq!(insert(&with, &ours(), first), with, "a second time is the same");
                assert_eq!(remove(&with), file);
                assert_eq!(find(file), None);
            }
        }
    }

    #[test]
    fn a_line_that_came_later_keeps_its_own_line() {
        let mut with = insert(b"a:1:wait:true", &ours(), false);
        with.extend_from_slice(b"b:1:wait:true\n");
        assert_eq!(remove(&with), b"a:1:wait:true\nb:1:wait:true\n");
    }

    #[test]
    fn who_starts_svscan_already_is_a_rival() {
        let rivals: [&[u8]; 2] = [b"x:2:respawn:/command/svscanboot\n", b"SV:2:off:\n"];
        for line in rivals {
            assert_eq!(rival(line, OURS).as_deref(), line.strip_suffix(b"\n"));
            let silent = silence(line, OURS);
            assert_eq!(rival(&silent, OURS), None);
            assert_eq!(restore(&silent), line);
        }
        assert_eq!(rival(b"# svscan\nSVX:2:wait:true\n", OURS), None);
        assert_eq!(rival(b"::respawn:/bin/sh\n", "::respawn:/usr/bin/svscanboot /service\n"), None);
        assert_eq!(rival(&insert(b"", &ours(), false), OURS), None, "ours is none");
    }
}
