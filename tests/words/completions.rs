//! `uphold completions`: what bash, zsh and fish complete.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use testkit::{Finished, Scratch, finish, finish_with, needs_program};

/// How bash cuts words, by default.
const BREAKS: &str = " \t\n\"'@><=;|&(:";

/// A scan directory `scan` with services that nobody runs.
fn scene() -> Scratch {
    let scratch = Scratch::new();
    for name in
        ["db", "web@1", "web@2", "my web", "worker", "worker/log", "$(touch pwned)", "bell\x07", "new\nline", "-dash"]
    {
        scratch.service(&format!("scan/{name}"), "exec sleep 100000");
    }
    scratch
}

/// A shell that finds the suite, in the scratch directory.
fn shell(scratch: &Scratch, program: &Path) -> Command {
    let mut shell = Command::new(program);
    shell.current_dir(scratch.root()).env("PATH", scratch.suite().search_path()).env("HOME", scratch.root());
    shell.env("SVDIR", scratch.path("scan")).env("TERM", "dumb").env_remove("ENV").env_remove("UPHOLD_LOG");
    shell
}

/// Cuts a line as bash does before it asks: at blanks, and around each of the other bytes. Quotes are not looked at.
fn cut(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_break = false;
    for char in line.chars() {
        let is_break = "@=:".contains(char);
        if char == ' ' {
            words.push(String::new());
        } else {
            if is_break != was_break && words.last().is_some_and(|word| !word.is_empty()) {
                words.push(String::new());
            }
            words.last_mut().expect("there is one").push(char);
        }
        was_break = is_break;
    }
    words
}

/// What bash would put in the place of the last of these words.
fn in_bash(scratch: &Scratch, bash: &Path, line: &str, words: &[String]) -> Vec<String> {
    const ASK: &str = r#"eval "$(uphold completions bash)"
        COMP_WORDBREAKS=$1 COMP_LINE=$2 COMP_POINT=${#2}
        shift 2
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        _uphold && printf '%s\n' "${COMPREPLY[@]}""#;
    let mut bash = shell(scratch, bash);
    let told = finish(bash.args(["--norc", "-c", ASK, "bash", BREAKS, line]).args(words));
    assert_eq!((told.code, told.err().as_str()), (0, ""), "{line}");
    told.out().lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn bash_completes_words_options_and_names() {
    let Some(bash) = needs_program("bash") else { return };
    let scratch = scene();
    scratch.service("other/elsewhere", "exec sleep 100000");
    for (line, expected) in [
        ("uphold res", &["restart"][..]),
        ("uphold sv", &["sv", "svc", "svlogd", "svok", "svscan", "svscanboot", "svstat", "svup"]),
        ("uphold sv force-re", &["force-restart", "force-reload"]),
        ("uphold sv up d", &["db"]),
        ("uphold -", &["-C", "--help", "--version"]),
        ("uphold -C scan s", &["status", "start", "stop", "signal", "scale"]),
        ("uphold restart w", &["web@1", "web@2", "worker"]),
        ("uphold restart --rolling db w", &["web@1", "web@2", "worker"]),
        // Of these words bash replaces what stands behind the last cut.
        ("uphold restart web@", &["1", "2"]),
        ("uphold svc --wait=re", &["ready", "replaced"]),
        ("uphold restart worker/", &["worker/log"]),
        ("uphold restart db/", &[]),
        ("uphold -C other why ", &["elsewhere"]),
        ("uphold -Cother why ", &["elsewhere"]),
        ("uphold -C nowhere why ", &[]),
        ("uphold -C scan log --s", &["--since"]),
        ("uphold log --since ", &[]),
        ("uphold log -n ", &[]),
        ("uphold log -fn", &[]),
        ("uphold signal US", &["USR1", "USR2"]),
        ("uphold signal USR1 d", &["db"]),
        ("uphold boot ta", &["takeover"]),
        ("uphold boot install --init sys", &["systemd", "sysvinit"]),
        ("uphold completions f", &["fish"]),
        ("uphold svc -t d", &["db"]),
        ("svc -t d", &["db"]),
        ("/usr/bin/svstat d", &["db"]),
        ("svc --re", &["--reload", "--reexec"]),
        // Behind an operand these have no options.
        ("svup db --", &[]),
        ("uphold log -- -", &["-dash"]),
        ("uphold no-such-word x", &[]),
    ] {
        assert_eq!(in_bash(&scratch, &bash, line, &cut(line)), expected, "{line}");
    }
    // With all its names, and quotes.
    let line = "uphold why ";
    let all = [r"\$\(touch\ pwned\)", "db", r"my\ web", "web@1", "web@2", "worker"];
    assert_eq!(in_bash(&scratch, &bash, line, &cut(line)), all);
    for (typed, expected) in [(r"my\ w", r"my\ web"), ("'my w", "my web"), ("\"my w", "my web"), ("'$(t", "")] {
        let words = ["uphold", "why", typed].map(str::to_owned);
        let found = in_bash(&scratch, &bash, &format!("uphold why {typed}"), &words).join(" ");
        assert_eq!(found, expected, "{typed}");
    }
    assert!(!scratch.path("pwned").exists());
}

#[test]
fn each_word_and_each_option_of_the_help_is_offered() {
    let scratch = scene();
    let ask = |words: &[&str]| -> BTreeSet<String> {
        let told = scratch.run("uphold", &[&["completions", "for", "bash", "uphold"], words].concat());
        assert_eq!((told.code, told.err().as_str()), (0, ""), "{words:?}");
        told.out().lines().skip(1).map(str::to_owned).collect()
    };
    let words = ask(&[""]);
    assert!(words.len() > 30 && words.contains("status") && words.contains("setuidgid"), "{words:?}");
    for word in &words {
        let help = scratch.run("uphold", &[word, "--help"]).out();
        let mut named = BTreeSet::new();
        for row in help.lines().filter_map(|line| line.trim_start().strip_prefix('-')) {
            // `-v, --verbose` and `--wait=state` and `--since TIME`, with the meaning far behind.
            let names = row.split("  ").next().unwrap_or_default();
            let first = names.split([' ', ',', '=']).next().unwrap_or_default();
            // multilog's -PATTERN is none.
            if first.starts_with('-') || first.len() == 1 {
                named.insert(format!("-{first}"));
            }
        }
        let offered = ask(&[word, "-"]);
        assert!(named.is_subset(&offered), "{word}: {named:?} {offered:?}");
    }
}

/// Types lines in an interactive shell on a terminal. `None` if there can be no terminal here.
fn typed(scratch: &Scratch, shell_line: &str, keys: &str) -> Option<Finished> {
    let script = needs_program("script")?;
    let mut terminal = shell(scratch, &script);
    terminal.args(["-qec", shell_line, "/dev/null"]).env("SHELL", "/bin/sh").env("ZDOTDIR", scratch.root());
    Some(finish_with(&mut terminal, keys.as_bytes()))
}

#[test]
fn what_an_interactive_shell_completes_is_what_it_runs() {
    let scratch = scene();
    scratch.write("bashrc", "eval \"$(uphold completions bash)\"\nbind 'set enable-bracketed-paste off'\n");
    scratch.write(".zshrc", "autoload -Uz compinit\ncompinit -u -D\neval \"$(uphold completions zsh)\"\n");
    // Each name stands in no line but that of its answer, and its beginning in those of the echo.
    let keys = "uphold -C scan status my\t\nuphold stat\tweb@\t2\nuphold check worker/\t\nexit\n";
    let answers = ["NAME       my web", "NAME       web@2"];
    for (name, line) in [("bash", "bash --rcfile bashrc -i"), ("zsh", "zsh -i")] {
        if needs_program(name).is_none() {
            continue;
        }
        let Some(told) = typed(&scratch, line, keys) else { return };
        for answer in answers {
            assert!(told.out().contains(answer), "{name}: {}", told.out());
        }
    }
}

#[test]
fn zsh_and_fish_take_the_script() {
    let scratch = scene();
    for name in ["zsh", "fish"] {
        let Some(program) = needs_program(name) else { continue };
        let script = scratch.run("uphold", &["completions", name]);
        assert_eq!((script.code, script.err().as_str()), (0, ""));
        let file = scratch.write(format!("script.{name}"), script.stdout);
        let told = finish(shell(&scratch, &program).arg("-n").arg(file));
        assert_eq!((told.code, told.err().as_str()), (0, ""), "{name}");
    }
    let Some(fish) = needs_program("fish") else { return };
    fs::create_dir_all(scratch.path(".config/fish")).expect("a directory");
    for (line, expected) in [
        ("uphold res", "restart"),
        ("uphold restart w", "web@1 web@2 worker"),
        ("uphold restart worker/", "worker/log"),
        ("uphold -C scan log --s", "--since"),
        ("uphold why my", "my web"),
        ("svc --wait=re", "--wait=ready --wait=replaced"),
        ("uphold signal USR", "USR1 USR2"),
    ] {
        let ask = format!("uphold completions fish | source; complete -C '{line}'");
        let told = finish(shell(&scratch, &fish).args(["-N", "-c", &ask]));
        let found: Vec<String> =
            told.out().lines().filter_map(|line| Some(line.split('\t').next()?.replace('\\', ""))).collect();
        assert_eq!((told.code, told.err().as_str(), found.join(" ").as_str()), (0, "", expected), "{line}");
    }
}
