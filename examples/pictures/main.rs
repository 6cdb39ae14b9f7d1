//! The pictures of the README: what `uphold` shows of real services, on a real terminal, as text and as SVG in `docs/pictures`.
//!
//!     cargo build && cargo run --example pictures              makes them anew
//!     cargo build && cargo run --example pictures -- --check   exits 1 if what is shown now differs from them in more than numbers

mod scene;
mod screen;

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use scene::Scene;
use screen::Screen;

/// Where the pictures are.
const PLACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/pictures");

/// A picture: its name, what is typed, and with how many lines it is over, if it does not end by itself.
const PICTURES: [(&str, &str, Option<usize>); 4] = [
    ("status", "uphold status", None),
    ("page", "uphold status mailer", None),
    ("why", "uphold why worker@2", None),
    ("log", "uphold log -f -n 4 web mailer", Some(9)),
];

/// How often is looked whether the same is shown.
const LOOKS: usize = 5;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let is_check = match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => false,
        ["--check"] => true,
        _ => return complain("usage: pictures [--check]", 100),
    };
    let scene = Scene::play();
    let mut differs = String::new();
    for (name, line, lines) in PICTURES {
        let screen = scene.show(line, lines);
        if !is_check {
            if let Err(error) = write(name, line, &screen) {
                return complain(&format!("unable to write {name}: {error}"), 111);
            }
        } else if let Ok(picture) = fs::read_to_string(file(name, "txt")) {
            // A service may just have been started, or a line not have been written yet.
            let first = difference(name, &picture, &screen);
            let mut again = (1..LOOKS).map(|_| difference(name, &picture, &scene.show(line, lines)));
            if !first.is_empty() && again.all(|difference| !difference.is_empty()) {
                differs += &first;
            }
        } else {
            differs += &format!("{name}: there is no picture\n");
        }
    }
    if differs.is_empty() {
        ExitCode::SUCCESS
    } else {
        complain(&format!("what is shown has changed: run this without --check\n{differs}"), 1)
    }
}

fn complain(text: &str, code: u8) -> ExitCode {
    let _ = writeln!(io::stderr(), "pictures: {text}");
    ExitCode::from(code)
}

fn file(name: &str, kind: &str) -> PathBuf {
    Path::new(PLACE).join(format!("{name}.{kind}"))
}

fn write(name: &str, line: &str, screen: &Screen) -> io::Result<()> {
    fs::write(file(name, "txt"), format!("$ {line}\n{}", screen.text()))?;
    fs::write(file(name, "svg"), screen.svg(line))
}

/// The lines that only the picture has, and those that only the screen has, without their numbers: pids and times are other ones each time.
fn difference(name: &str, picture: &str, screen: &Screen) -> String {
    let (_, picture) = picture.split_once('\n').unwrap_or_default();
    let text = screen.text();
    let (old, new) = (forms(picture), forms(&text));
    let only = |sign: &str, these: &BTreeSet<String>, those: &BTreeSet<String>| -> String {
        these.difference(those).map(|line| format!("{name}: {sign} {line}\n")).collect()
    };
    only("-", &old, &new) + &only("+", &new, &old)
}

/// The lines of a text, with one blank in place of several, `N` in place of each number, and of an absolute path its end, since the scene has another directory each time.
fn forms(text: &str) -> BTreeSet<String> {
    let form = |line: &str| {
        let mut form = String::new();
        for char in line.split_whitespace().map(end_of_path).collect::<Vec<_>>().join(" ").chars() {
            let char = if char.is_ascii_digit() { 'N' } else { char };
            if char != 'N' || !form.ends_with('N') {
                form.push(char);
            }
        }
        form
    };
    text.lines().map(form).collect()
}

fn end_of_path(word: &str) -> &str {
    word.strip_prefix('/').and_then(|path| path.split_once("/scan/")).map_or(word, |(_, end)| end)
}
