//! daemontools 0.76 takes a bare `!` for a processor whose command is empty: it succeeds, writes nothing, and what was in
//! the file is lost. Ours takes it for no processor, so that a later directory can do without one.

use testkit::{Scratch, Suite, finish_with};

#[test]
fn a_bare_bang_ends_the_use_of_a_processor_and_loses_nothing() {
    let scratch = Scratch::with(Suite::under_test());
    let input = "0123456789\n".repeat(400);
    let mut command = scratch.command("multilog", &["s4096", "!echo made", "./made", "!", "./plain"]);
    assert_eq!(finish_with(&mut command, input.as_bytes()).code, 0);
    assert!(files(&scratch, "made").contains("made\n"));
    assert_eq!(files(&scratch, "plain"), input);
}

/// What the files of a log hold, the oldest first.
fn files(scratch: &Scratch, directory: &str) -> String {
    let entries = std::fs::read_dir(scratch.path(directory)).expect("a log directory").flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    // `@` sorts before `c`.
    let mut names: Vec<String> = names.filter(|name| name.starts_with('@') || name == "current").collect();
    names.sort();
    names.iter().map(|name| scratch.text(format!("{directory}/{name}"))).collect()
}
