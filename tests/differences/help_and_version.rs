//! The original has no `--help` and no `--version`: it takes them for operands. Ours answers them where they are the only
//! argument, in every program, on stdout, with exit code 0.

use testkit::Scratch;

const PROGRAMS: [&str; 25] = [
    "chpst",
    "envdir",
    "envini",
    "envuidgid",
    "fghack",
    "hupwatch",
    "multilog",
    "pgrphack",
    "readproctitle",
    "setlock",
    "setuidgid",
    "setuser",
    "softlimit",
    "supervise",
    "sv",
    "svc",
    "svlogd",
    "svok",
    "svscan",
    "svscanboot",
    "svstat",
    "svup",
    "tai64n",
    "tai64nlocal",
    "uphold",
];

#[test]
fn every_program_answers_help_and_version() {
    let scratch = Scratch::new();
    for program in PROGRAMS {
        let help = scratch.run(program, &["--help"]);
        assert_eq!((help.code, help.err().as_str()), (0, ""), "{program}");
        assert!(help.out().contains(&format!("Usage: {program}")), "{program}: {}", help.out());
        assert!(help.out().contains(&format!("man {program}")), "{program}: {}", help.out());
        let version = scratch.run(program, &["--version"]);
        assert_eq!((version.code, version.err().as_str()), (0, ""), "{program}");
        assert_eq!(version.out(), format!("{program} (uphold) {}\n", env!("CARGO_PKG_VERSION")));
    }
}

#[test]
fn the_all_in_one_file_is_every_program() {
    let scratch = Scratch::new();
    for program in PROGRAMS.iter().filter(|&&program| program != "uphold") {
        let version = scratch.run("uphold", &[program, "--version"]);
        assert_eq!(version.out(), format!("{program} (uphold) {}\n", env!("CARGO_PKG_VERSION")));
        std::os::unix::fs::symlink(scratch.suite().path("uphold"), scratch.path(program)).expect("a link");
        let mut linked = std::process::Command::new(scratch.path(program));
        assert_eq!(testkit::finish(linked.arg("--version")).out(), version.out());
    }
    let unknown = scratch.run("uphold", &["nonsense"]);
    assert_eq!(unknown.code, 100);
    let lines: Vec<String> = unknown.err().lines().map(str::to_owned).collect();
    let [wrong, usage] = lines.as_slice() else { panic!("{lines:?}") };
    let known = wrong.strip_prefix("uphold: unknown word nonsense: none of ").expect("the wrong word is named");
    // The words come first, then the programs.
    let mut known: Vec<&str> = known.split(", ").skip_while(|&name| name != "chpst").collect();
    known.push("uphold");
    assert_eq!(known, PROGRAMS);
    assert_eq!(usage, "uphold: usage: uphold [-C scandir] [word [argument ...]]");
}
