//! The manual: every program has a page, which says what its `--help` says, and the pages hold together.
//!
//! The tests read the pages without their fonts, so they need no groff; if groff is installed, it checks the pages too.

mod page;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use page::Page;
use testkit::{Finished, Suite, finish, needs_program};

/// Pages of others that ours refer to.
const OUTSIDE: &[&str] = &["flock(2)", "nohup(1)", "ps(1)", "setrlimit(2)", "setsid(2)", "shutdown(2)"];

/// Programs that answer wrong usage when they are called without a word, so without doing anything.
const NEEDS_WORDS: &[&str] = &[
    "chpst",
    "envdir",
    "envini",
    "envuidgid",
    "fghack",
    "hupwatch",
    "pgrphack",
    "setlock",
    "setuidgid",
    "setuser",
    "softlimit",
    "supervise",
    "sv",
    "svok",
    "svup",
    "uphold-boot",
    "uphold-completions",
    "uphold-cont",
    "uphold-disable",
    "uphold-enable",
    "uphold-kill",
    "uphold-new",
    "uphold-pause",
    "uphold-reload",
    "uphold-replace",
    "uphold-restart",
    "uphold-scale",
    "uphold-signal",
    "uphold-start",
    "uphold-stop",
    "uphold-usage",
    "uphold-why",
];

/// Programs that have the names of runit's. Who installs the others does not install these with them.
const RUNITS: &[&str] = &["chpst", "sv"];

/// Pages of what is a word of a program and no program of its own.
const COMMANDS: &[(&str, [&str; 2])] = &[
    ("uphold-boot", ["uphold", "boot"]),
    ("uphold-check", ["uphold", "check"]),
    ("uphold-completions", ["uphold", "completions"]),
    ("uphold-cont", ["uphold", "cont"]),
    ("uphold-disable", ["uphold", "disable"]),
    ("uphold-enable", ["uphold", "enable"]),
    ("uphold-kill", ["uphold", "kill"]),
    ("uphold-log", ["uphold", "log"]),
    ("uphold-new", ["uphold", "new"]),
    ("uphold-pause", ["uphold", "pause"]),
    ("uphold-reload", ["uphold", "reload"]),
    ("uphold-replace", ["uphold", "replace"]),
    ("uphold-restart", ["uphold", "restart"]),
    ("uphold-scale", ["uphold", "scale"]),
    ("uphold-signal", ["uphold", "signal"]),
    ("uphold-start", ["uphold", "start"]),
    ("uphold-status", ["uphold", "status"]),
    ("uphold-stop", ["uphold", "stop"]),
    ("uphold-usage", ["uphold", "usage"]),
    ("uphold-why", ["uphold", "why"]),
];

/// What `--help` says.
struct Help {
    usage: String,
    arguments: Vec<String>,
}

/// The help of our program.
fn help(program: &str) -> Help {
    let told = run(program, &["--help"]);
    assert_eq!((told.code, told.err().as_str()), (0, ""), "{program} --help");
    let page = told.out();
    let usage = page.lines().find_map(|line| line.strip_prefix("Usage: ")).expect("a usage line").to_owned();
    let sections = page.split("\n\n").filter(|text| text.starts_with("Arguments:\n") || text.starts_with("Options:\n"));
    let named =
        sections.flat_map(str::lines).filter_map(|line| line.strip_prefix("  ")).filter(|line| !line.starts_with(' '));
    let arguments: Vec<String> = named.map(|line| line.split("  ").next().unwrap_or_default().to_owned()).collect();
    assert!(usage == program || !arguments.is_empty(), "{program} --help: no word about its arguments");
    Help { usage, arguments }
}

/// Runs a program of ours: the manual is about no other.
fn run(program: &str, words: &[&str]) -> Finished {
    let suite = Suite::under_test();
    let suite = if suite.is_original() { Suite::ours() } else { suite };
    match COMMANDS.iter().find(|(page, _)| *page == program) {
        Some((_, [program, word])) => finish(suite.command(program).arg(word).args(words)),
        None => finish(suite.command(program).args(words)),
    }
}

/// The files in a directory of the project, sorted.
fn files(directory: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(directory)).expect("a directory");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{directory} is empty");
    files
}

fn programs() -> BTreeSet<String> {
    let name = |path: &PathBuf| path.file_stem().expect("a name").to_string_lossy().into_owned();
    files("src/bin").iter().map(name).chain(COMMANDS.iter().map(|(page, _)| (*page).to_owned())).collect()
}

fn pages() -> Vec<Page> {
    files("man").iter().map(|path| Page::read(path)).collect()
}

/// The pages of programs.
fn program_pages() -> Vec<Page> {
    pages().into_iter().filter(|page| page.name() != "svdir").collect()
}

/// Without spaces and in lower case: how synopses are compared.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<String>().to_lowercase()
}

/// Whether `word` stands in `text` by itself. Case counts for options, which differ in nothing else.
fn names(text: &str, word: &str) -> bool {
    let (text, word) = match word.starts_with('-') && word.len() == 2 {
        true => (text.to_owned(), word.to_owned()),
        false => (text.to_lowercase(), word.to_lowercase()),
    };
    let part = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'-');
    text.match_indices(&word).any(|(at, _)| {
        let before = at.checked_sub(1).and_then(|before| text.as_bytes().get(before));
        !part(before) && !part(text.as_bytes().get(at + word.len()))
    })
}

/// Every `NAME(N)` in a text.
fn references(text: &str) -> Vec<String> {
    let bytes = text.as_bytes();
    let found = text.match_indices('(').filter_map(|(at, _)| {
        let digit = bytes.get(at + 1).filter(|byte| byte.is_ascii_digit())?;
        bytes.get(at + 2).filter(|byte| **byte == b')')?;
        let name = text[..at].rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '-').next()?;
        Some(format!("{name}({})", char::from(*digit)))
    });
    found.collect()
}

#[test]
fn every_program_has_a_page_and_every_page_a_program() {
    let described: BTreeSet<String> = program_pages().iter().map(|page| page.name().to_owned()).collect();
    assert_eq!(described, programs());
    assert!(pages().iter().any(|page| page.reference == "svdir(5)"));
}

#[test]
fn every_page_begins_with_its_own_name() {
    for page in pages() {
        let [title, section, ..] = page.head.as_slice() else {
            panic!("{}: no title", page.path.display());
        };
        assert_eq!(format!("{}({section})", title.to_lowercase()), page.reference);
        assert!(page.section("NAME").starts_with(&format!("{} - ", page.name())), "{}", page.reference);
    }
}

#[test]
fn every_page_has_the_usual_sections_in_the_usual_order() {
    for page in pages() {
        let wanted: &[&str] = match page.name() {
            "svdir" => &["NAME", "DESCRIPTION", "SEE ALSO"],
            _ => &["NAME", "SYNOPSIS", "DESCRIPTION", "EXIT STATUS", "DIAGNOSTICS", "SEE ALSO"],
        };
        let titles = page.sections.iter().map(|(title, _)| title.as_str());
        let found: Vec<&str> = titles.filter(|title| wanted.contains(title)).collect();
        assert_eq!(found, wanted, "{}", page.reference);
        assert!(page.sections.iter().all(|(_, text)| !text.is_empty()), "{}: an empty section", page.reference);
    }
}

#[test]
fn the_synopsis_is_the_usage_of_the_help() {
    for page in program_pages() {
        let help = help(page.name());
        assert_eq!(squeezed(page.section("SYNOPSIS")), squeezed(&help.usage), "{}", page.reference);
    }
}

#[test]
fn every_option_and_operand_of_the_help_is_in_the_page() {
    for page in program_pages() {
        let help = help(page.name());
        let text = page.text();
        let separators = [' ', ',', '|', '[', ']', '<', '>'];
        for word in help.arguments.iter().flat_map(|argument| argument.split(separators)) {
            let word = word.trim_end_matches("...");
            assert!(word.is_empty() || names(&text, word), "{}: no word about {word}", page.reference);
        }
    }
}

#[test]
fn every_option_of_the_page_is_in_the_help() {
    for page in program_pages() {
        let help = help(page.name());
        let options = page.tags.iter().filter(|(section, _)| section == "OPTIONS");
        for option in options.filter_map(|(_, tag)| tag.split(' ').next()) {
            let letter = option.len() == 2 && option.starts_with('-') && option != "--";
            let known = || help.arguments.iter().any(|argument| names(argument, option));
            assert!(!letter || known(), "{}: the help does not know {option}", page.reference);
        }
    }
}

#[test]
fn the_page_tells_the_usage_line_and_its_exit_code() {
    for page in program_pages().iter().filter(|page| NEEDS_WORDS.contains(&page.name())) {
        let told = run(page.name(), &[]);
        assert!(page.section("DIAGNOSTICS").contains(told.err().trim_end()), "{}: {}", page.reference, told.err());
        assert!(names(page.section("EXIT STATUS"), &told.code.to_string()), "{}: {}", page.reference, told.code);
    }
}

#[test]
fn every_reference_leads_to_a_page() {
    let pages = pages();
    let ours: BTreeSet<&str> = pages.iter().map(|page| page.reference.as_str()).collect();
    for page in &pages {
        for reference in references(&page.text()) {
            let known = ours.contains(reference.as_str()) || OUTSIDE.contains(&reference.as_str());
            assert!(known, "{} refers to {reference}", page.reference);
        }
        let also = references(page.section("SEE ALSO"));
        assert!(!also.is_empty() && !also.contains(&page.reference), "{}: {also:?}", page.reference);
    }
}

#[test]
fn groff_has_nothing_to_say_about_any_page() {
    let Some(groff) = needs_program("groff") else { return };
    for page in pages() {
        let told = finish(Command::new(&groff).args(["-man", "-Tutf8", "-ww", "-z"]).arg(&page.path));
        assert_eq!((told.code, told.err().as_str()), (0, ""), "{}", page.reference);
    }
}

#[test]
fn the_pages_that_the_readme_installs_take_the_place_of_daemontools_own() {
    let Some(gzip) = needs_program("gzip") else { return };
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(checkout.join("README.md")).expect("it is there");
    let indented = |line: &&str| line.is_empty() || line.starts_with("    ");
    let lines: Vec<&str> = readme.lines().skip_while(|line| *line != "    for page in man/*.[58]").collect();
    let script = lines.into_iter().take_while(indented).collect::<Vec<_>>().join("\n");
    let scratch = testkit::Scratch::new();
    for page in ["man8/svc.8.gz", "man8/tai64n.8.gz", "man5/another.5.gz"] {
        scratch.write(page, "of daemontools");
    }
    let script = script.replace("/usr/share/man", scratch.root().to_str().expect("UTF-8"));
    let done = finish(Command::new("/bin/sh").args(["-ec", &script]).current_dir(checkout));
    assert_eq!((done.code, done.err().as_str()), (0, ""));
    for page in pages() {
        let name = page.path.file_name().and_then(|name| name.to_str()).expect("a name");
        let (_, section) = name.rsplit_once('.').expect("it has a section");
        let installed = scratch.path(format!("man{section}/{name}.gz"));
        if RUNITS.contains(&page.name()) {
            assert!(!installed.exists(), "{name} would take the place of runit's");
            continue;
        }
        let text = finish(Command::new(&gzip).arg("-dc").arg(installed)).stdout;
        assert!(text == fs::read(&page.path).expect("it is there"), "{name}");
    }
    // Debian's daemontools has a page for each of its programs in section 8.
    let in_8 = |name: &&str| scratch.path(format!("man8/{name}.8.gz")).exists();
    assert!(["svc", "tai64n", "tai64nlocal", "multilog"].iter().all(in_8));
}
