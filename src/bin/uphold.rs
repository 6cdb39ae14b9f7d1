//! All programs in one file: `uphold svstat /service/web`, or by the name it is linked under.

#![cfg_attr(not(test), no_main)]

use std::path::Path;

use cli::Call;
use uphold::{boot, chain, control, hupwatch, logging, supervise, svscan, svscanboot, usage, words};

type Main = fn(Call) -> i32;

/// Every program of the suite.
const PROGRAMS: &[(&str, Main)] = &[
    ("chpst", chain::chpst::main),
    ("envdir", chain::envdir::main),
    ("envini", chain::envini::main),
    ("envuidgid", chain::envuidgid::main),
    ("fghack", chain::fghack::main),
    ("hupwatch", hupwatch::main),
    ("multilog", logging::multilog::main),
    ("pgrphack", chain::pgrphack::main),
    ("readproctitle", logging::readproctitle::main),
    ("setlock", chain::setlock::main),
    ("setuidgid", chain::setuidgid::main),
    ("setuser", chain::setuser::main),
    ("softlimit", chain::softlimit::main),
    ("supervise", supervise::main),
    ("sv", control::sv::main),
    ("svc", control::svc::main),
    ("svlogd", logging::svlogd::main),
    ("svok", control::svok::main),
    ("svscan", svscan::main),
    ("svscanboot", svscanboot::main),
    ("svstat", control::svstat::main),
    ("svup", control::svup::main),
    ("tai64n", logging::tai64n::main),
    ("tai64nlocal", logging::tai64nlocal::main),
];

/// The words for what is no program of its own: no file is linked under them.
const WORDS: &[(&str, Main)] = &[("boot", boot::main), ("completions", completions), ("usage", usage::main)];

const UPHOLD: cli::Program = cli::Program {
    name: "uphold",
    synopsis: "[-C SCANDIR] [WORD [argument ...]]",
    usage: "uphold: usage: uphold [-C scandir] [word [argument ...]]",
    usage_exit: cli::USAGE,
    about: "Shows the services of the scan directory, or does what a word says. Under the name of a program of the suite it is that program.",
    options: &[
        ("-C SCANDIR", "the scan directory; default: $SVDIR, else /service or that of the user"),
        (
            "WORD",
            "status (also without a word), why, log, check, start, stop, restart, reload, replace, kill, pause, cont, signal, enable, disable, new or scale (each has a page, such as uphold-start(8)), boot (see uphold-boot(8)), completions (see uphold-completions(8)), usage (see uphold-usage(8)), or a program of the suite: chpst, envdir, envini, envuidgid, fghack, hupwatch, multilog, pgrphack, readproctitle, setlock, setuidgid, setuser, softlimit, supervise, sv, svc, svlogd, svok, svscan, svscanboot, svstat, svup, tai64n or tai64nlocal; any other word X executes uphold-X",
        ),
    ],
};

sys::entry!(run);

/// By the name that the file is called under, else by the first word.
fn run(call: Call) -> i32 {
    if let Some(main) = named(PROGRAMS, call.name()) {
        return main(call.of_all_in_one(0));
    }
    if is_init_script(call.path()) {
        return control::sv::main(call.of_all_in_one(0));
    }
    if let Some(main) = call.words().first().and_then(|word| named(PROGRAMS, word).or_else(|| named(WORDS, word))) {
        return main(call.of_all_in_one(1));
    }
    UPHOLD.run(&call, |call| {
        if words::is_ours(call.words()) {
            return words::main(call);
        }
        let Some(word) = call.words().first() else {
            return Err(cli::Usage.into());
        };
        if let Some(failed) = words::foreign(call.words()) {
            return Err(failed);
        }
        let known: Vec<&str> = words::all().chain(WORDS.iter().chain(PROGRAMS).map(|&(name, _)| name)).collect();
        UPHOLD.voice().say(&[&"unknown word ", word, &": none of ", &known.join(", ").as_str()]);
        Err(cli::Usage.into())
    })
}

/// Tells shells what may be typed, by the tables above.
fn completions(call: Call) -> i32 {
    words::completions(&call, &UPHOLD, PROGRAMS, WORDS)
}

/// Returns whether the file was called by a link, under whatever name, to a link `sv`: so sv is called as an init script for the service of that name.
fn is_init_script(path: &Path) -> bool {
    let Ok(target) = path.read_link() else { return false };
    let target = path.with_file_name(target);
    target.file_name().is_some_and(|name| name == "sv") && target.is_symlink()
}

fn named(table: &[(&str, Main)], name: &std::ffi::OsStr) -> Option<Main> {
    table.iter().find(|&&(known, _)| name == known).map(|&(_, main)| main)
}
