//! tai64nlocal knows time zones by itself, so that it says the same whatever C library it is linked with; it agrees with the original on glibc about every
//! zone that the system has and every text that `TZ` may be. musl, with which releases are built, knows no summer time without a rule.
//!
//! One thing differs on purpose: a `TZ` such as `CET-1CEST`, without a rule, means today's rule of the United States. glibc says that too unless there is a
//! file `posixrules`; with that it shows the hours of New York from 2038 on.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use testkit::{Scratch, Suite, finish_with, needs_original, skip};

const ZONES: &str = "/usr/share/zoneinfo";
const DAY: i64 = 86_400;
/// 1950 and 2101.
const YEARS: [i64; 2] = [-631_152_000, 4_133_980_800];

/// Lines of all these years, so far apart and never twice at the same hour.
fn labels(step: i64) -> Vec<u8> {
    let mut text = Vec::new();
    let mut seconds = YEARS[0];
    while seconds < YEARS[1] {
        text.extend_from_slice(&tai::Label::from_unix(seconds, 500).text());
        text.extend_from_slice(b" x\n");
        seconds += step * DAY + 7_919;
    }
    text
}

/// What the program of a suite makes of them in that zone. `place` is where it looks for files.
fn local(suite: &Suite, zone: &str, place: &Path, labels: &[u8]) -> String {
    let mut command = suite.command("tai64nlocal");
    let finished = finish_with(command.env("TZ", zone).env("TZDIR", place), labels);
    assert_eq!((finished.code, finished.err().as_str()), (0, ""));
    finished.out()
}

#[track_caller]
fn assert_alike(original: &Suite, zone: &str, place: &Path, labels: &[u8]) {
    let (ours, theirs) = (local(&Suite::under_test(), zone, place, labels), local(original, zone, place, labels));
    let wrong = ours.lines().zip(theirs.lines()).find(|(ours, theirs)| ours != theirs);
    assert!(ours == theirs, "TZ={zone}: {wrong:?}");
}

/// The files of zones below a directory, each content once.
fn zones(directory: &Path, seen: &mut BTreeSet<Vec<u8>>, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        // The same zones again, and with leap seconds: some of those are enough.
        if path.ends_with("posix") || path.ends_with("right") {
            continue;
        }
        if path.is_dir() {
            zones(&path, seen, found);
        } else if let Ok(bytes) = fs::read(&path)
            && bytes.starts_with(b"TZif")
            && seen.insert(bytes)
        {
            found.push(path);
        }
    }
}

#[test]
fn every_zone_of_the_system_is_as_glibc_has_it() {
    let Some(original) = needs_original() else { return };
    let mut found = Vec::new();
    zones(Path::new(ZONES), &mut BTreeSet::new(), &mut found);
    let right = ["UTC", "Europe/Berlin", "America/New_York"].map(|name| Path::new(ZONES).join("right").join(name));
    found.extend(right.into_iter().filter(|path| path.exists()));
    if found.is_empty() {
        return skip("there are no time zones");
    }
    let labels = labels(61);
    for path in found {
        let name = path.strip_prefix(ZONES).expect("it is below").to_str().expect("names of zones are ASCII");
        assert_alike(&original, name, Path::new(ZONES), &labels);
    }
}

#[test]
fn a_text_is_a_zone_as_glibc_has_it() {
    let Some(original) = needs_original() else { return };
    let nowhere = Scratch::new();
    let labels = labels(3);
    for zone in [
        "",
        "UTC0",
        "EST5",
        "EST5EDT",
        ":EST5EDT",
        "CET-1CEST",
        "MEZ-1MESZ-2",
        "<+0330>-3:30",
        "CET-1CEST,M3.5.0,M10.5.0/3",
        "EST5EDT,M3.2.0,M11.1.0",
        "EST5EDT,M3.2.0",
        "AEST-10AEDT,M10.1.0,M4.1.0/3",
        "<-04>4<-03>,M9.1.6/24,M4.1.6/24",
        "IST-2IDT,M3.4.4/26,M10.5.0",
        "<-02>2<-01>,M3.5.0/-1,M10.5.0/0",
        "IST-1GMT0,M10.5.0,M3.5.0/1",
        "EST5EDT,J60,J300",
        "EST5EDT,59,365/3",
        "XXX3EDT4,0/0,J365/23",
        "XXX-14:30:15YYY,M1.1.0,M12.5.6/23:59:59",
        "GMT+3",
        "Nowhere/Land",
        "EST",
        "?",
    ] {
        assert_alike(&original, zone, nowhere.root(), &labels);
    }
}
