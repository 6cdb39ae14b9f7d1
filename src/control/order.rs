//! `svstat --order`: for what each service has waited at its last start that had to wait, and for how long.
//!
//! Whoever has waited longest comes first, then the one that it has waited for, and so on to the one at which all of it began; then the longest of those that were not
//! named yet. Those that have waited for nothing come behind these, and those of which nothing is known last, each in the order in which they were asked for.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use cli::{Text, Word, text};

use crate::service::facts::Wait;

/// Nanoseconds in a millisecond.
const MILLISECOND: u64 = 1_000_000;

/// A service directory, and what was found out about it.
pub struct Row {
    pub dir: Word,
    /// For what it has waited, if it has, or waits now. An error is the text that says why that is not known.
    pub found: Result<Option<Wait>, Text>,
}

impl Row {
    fn wait(&self) -> Option<&Wait> {
        self.found.as_ref().ok()?.as_ref()
    }

    /// Where the directory of the one is that it has waited for.
    fn awaited(&self) -> Option<PathBuf> {
        let scan = Path::new(self.dir).parent().unwrap_or(Path::new(""));
        Some(scan.join(OsStr::from_bytes(&self.wait()?.name)))
    }

    /// Its line, without the end of it.
    fn line(&self) -> Text {
        let mut line = text!(self.dir, ": ");
        match &self.found {
            Err(Text(why)) => line.add(&[&why.as_slice()]),
            Ok(None) => line.add(&[&"waited for nothing"]),
            Ok(Some(Wait { name, nanoseconds, is_over })) => {
                let doing = if *is_over { "waited " } else { "waiting " };
                let milliseconds = nanoseconds / MILLISECOND;
                let seconds = format!("{}.{:03}", milliseconds / 1000, milliseconds % 1000);
                let name = name.escape_ascii().to_string();
                line.add(&[&doing, &seconds.as_str(), &" seconds for ", &name.as_str()]);
            }
        }
        line
    }
}

/// The lines about these service directories.
pub fn lines(rows: Vec<Row>) -> Text {
    let mut lines = Text::default();
    for row in sorted(rows) {
        lines.add(&[&row.line().0.as_slice(), &"\n"]);
    }
    lines
}

fn sorted(rows: Vec<Row>) -> Vec<Row> {
    let places: BTreeMap<PathBuf, usize> = rows.iter().map(|row| PathBuf::from(row.dir)).zip(0..).collect();
    let mut left: BTreeMap<usize, Row> = (0..).zip(rows).collect();
    let longest = |row: &Row| Reverse(row.wait().map(|wait| wait.nanoseconds));
    let mut heads: Vec<_> = left.iter().map(|(&place, row)| (row.found.is_err(), longest(row), place)).collect();
    heads.sort_unstable();
    let mut sorted = Vec::new();
    for (.., head) in heads {
        let mut next = Some(head);
        while let Some(row) = next.and_then(|place| left.remove(&place)) {
            let awaited = row.awaited().and_then(|dir| places.get(&dir)).copied();
            next = awaited.filter(|place| left.get(place).is_some_and(|row| row.wait().is_some()));
            sorted.push(row);
        }
    }
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(dir: &'static str, waited: Option<(u64, &str)>) -> Row {
        let wait = |(seconds, name): (u64, &str)| Wait {
            nanoseconds: seconds * 1000 * MILLISECOND,
            name: name.as_bytes().to_vec(),
            is_over: true,
        };
        Row { dir: OsStr::new(dir), found: Ok(waited.map(wait)) }
    }

    fn order(rows: Vec<Row>) -> Vec<&'static str> {
        sorted(rows).into_iter().map(|row| row.dir.to_str().expect("a name")).collect()
    }

    #[test]
    fn the_longest_chain_comes_first_and_what_waited_for_nothing_last() {
        let unknown = Row { found: Err(text!("no")), ..row("s/gone", None) };
        let rows = vec![
            unknown,
            row("s/db", None),
            row("s/cache", None),
            row("s/late", Some((3, "cache"))),
            row("s/migrate", Some((2, "db"))),
            row("s/web2", Some((4, "migrate"))),
            row("s/proxy/", Some((5, "web1"))),
            row("s/web1", Some((4, "migrate"))),
        ];
        let expected = ["s/proxy/", "s/web1", "s/migrate", "s/web2", "s/late", "s/db", "s/cache", "s/gone"];
        assert_eq!(order(rows), expected);
    }

    #[test]
    fn no_loop_and_no_name_of_another_directory_leads_astray() {
        let rows = vec![row("a", Some((1, "b"))), row("b", Some((2, "a"))), row("t/b", Some((3, "a"))), row("a", None)];
        assert_eq!(order(rows), ["t/b", "b", "a", "a"]);
        assert_eq!(order(vec![row(".", Some((1, "."))), row("/", Some((2, "x")))]), ["/", "."]);
    }

    #[test]
    fn a_line_says_how_long_to_the_millisecond() {
        let lines = |row: Row| lines(vec![row]).to_string();
        assert_eq!(lines(row("web", Some((2, "db\u{c3}\n")))), "web: waited 2.000 seconds for db\\xc3\\x83\\n\n");
        let wait = Wait { nanoseconds: 61_042_999_999, name: b"db".to_vec(), is_over: false };
        assert_eq!(lines(Row { found: Ok(Some(wait)), ..row("web", None) }), "web: waiting 61.042 seconds for db\n");
        assert_eq!(lines(row("web", None)), "web: waited for nothing\n");
    }
}
