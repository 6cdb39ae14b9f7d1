//! Random configurations, options and inputs through the original and ours: the same files, modes, contents and messages.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use testkit::{Scratch, Suite, finish_with, needs_program};

/// Random numbers, the same in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, count: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % count
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    fn bytes(&mut self, of: &[u8], count: usize) -> Vec<u8> {
        (0..count).map(|_| self.one(of)).collect()
    }
}

/// Lines of `config`. There is no plus in the patterns: where a line ends at one, the original looks at what an earlier line has left in memory. All old files are kept,
/// since the original removes one at a time.
fn config(dice: &mut Dice) -> Vec<u8> {
    let mut text = Vec::new();
    // One address at most: one that is none leaves a part of itself in the one before.
    let address = dice.below(20);
    for line in 0..dice.below(7) {
        match if line == address { 7 } else { dice.below(7) } {
            0..4 => {
                text.push(dice.one(b"+-eE"));
                let length = dice.below(6);
                text.extend(dice.bytes(b"**ab x\xc3", length));
            }
            4 => {
                text.extend(dice.one(&[&b"s77"[..], b"s100", b"s1k", b"s0", b"s", b"s2000", b"s1200x", b"s1m", b"s 5"]))
            }
            5 => text.extend(dice.one(&[&b"ppre: "[..], b"p", b"px\0y", b"n\0", b"N3"])),
            6 => text.extend(dice.one(&[&b"# x"[..], b"", b"zzz", b" s5", b"\0s4", b"t1000", b"t"])),
            _ => {
                text.extend(dice.one(&[&b"u127.0.0.1:9"[..], b"U127.0.0.1:9", b"u1.2.3", b"Ux", b"u255.255.255.255:9"]))
            }
        }
        text.push(b'\n');
    }
    text.extend(b"n0");
    if dice.below(2) == 0 {
        text.push(b'\n');
    }
    text
}

/// What each line begins with where there are stamps, which differ, is left out.
fn plain(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    let mut rest = text;
    while let Some((&byte, behind)) = rest.split_first() {
        let stamp = rest.get(..26).filter(|stamp| stamp.ends_with(b" ")).is_some_and(|stamp| {
            stamp.starts_with(b"@4000000") || stamp[..2] == *b"20" && b"_T".contains(&stamp[10]) && stamp[19] == b'.'
        });
        if stamp {
            plain.push(b'@');
            rest = &rest[25..];
        } else {
            plain.push(byte);
            rest = behind;
        }
    }
    plain
}

/// Everything that can be seen of a run.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    code: i32,
    stderr: Vec<u8>,
    /// The names of the files in each directory with their modes and lengths.
    files: Vec<Vec<(String, u32, usize)>>,
    texts: Vec<Vec<u8>>,
}

fn run(program: &Path, options: &[String], configs: &[Vec<u8>], left: (&str, u32), input: &[u8]) -> Outcome {
    let scratch = Scratch::with(Suite::under_test());
    let directories: Vec<String> = (0..configs.len()).map(|number| format!("d{number}")).collect();
    for (name, config) in directories.iter().zip(configs) {
        scratch.write(format!("{name}/config"), config);
    }
    super::put(&scratch, "d0/current", left.0, left.1);
    let mut command = Command::new(program);
    command.arg0("svlogd").args(options).args(&directories).current_dir(scratch.root());
    let done = finish_with(&mut command, input);
    let mut outcome = Outcome { code: done.code, stderr: plain(&done.stderr), files: Vec::new(), texts: Vec::new() };
    for directory in &directories {
        let mut entries: Vec<_> = fs::read_dir(scratch.path(directory)).expect("it is there").flatten().collect();
        entries.retain(|entry| entry.file_name() != "config");
        entries.sort_by_key(fs::DirEntry::file_name);
        let texts: Vec<_> = entries.iter().map(|entry| fs::read(entry.path()).expect("a file")).collect();
        let files = entries.iter().zip(&texts).map(|(entry, text)| {
            let name = entry.file_name().to_string_lossy().into_owned();
            let name = if super::is_finished(&name) { name[25..].to_owned() } else { name };
            (name, entry.metadata().expect("a file").permissions().mode(), text.len())
        });
        outcome.files.push(files.collect());
        outcome.texts.push(plain(&texts.concat()));
    }
    outcome
}

#[test]
fn both_do_the_same() {
    let Some(peer) = needs_program("svlogd") else { return };
    let ours = Suite::under_test().path("svlogd");
    let seeds: Vec<u64> = (0..40).collect();
    testkit::for_each(&seeds, |&seed| {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut options = Vec::new();
        options.extend(dice.one(&[&[][..], &[], &["-t"], &["-tt"], &["-ttt"]]));
        options.extend(dice.one(&[&[][..], &["-r", "."], &["-R", "()"], &["-r", "a", "-R", "x"]]));
        let length = dice.one(&[1_000, 1_000, 5, 1, 30, 100, 999]);
        let length_text = length.to_string();
        options.extend(["-l", &length_text]);
        let options: Vec<String> = options.into_iter().map(str::to_owned).collect();
        let configs: Vec<_> = (0..=dice.below(3)).map(|_| config(&mut dice)).collect();
        let left = dice.one(&[("", 0o644), ("", 0o744), ("left\n", 0o644), ("left\npart", 0o744)]);
        let mut input = Vec::new();
        for _ in 0..dice.below(40) {
            let count = dice.one(&[0, 1, 2, 3, 5, 8, 30, length - 1, length + 1, length + 2, 2 * length, 3_000]);
            // Behind a line of just the length, the original puts dots.
            let count = if count == length { count + 1 } else { count };
            let of = dice.one(&[&b"ab"[..], b"abx +*", b"ab()\t\x01\xc3 x"]);
            input.extend(dice.bytes(of, count));
            input.push(b'\n');
        }
        let [theirs, own] = [&peer, &ours].map(|program| run(program, &options, &configs, left, &input));
        assert!(theirs == own, "seed {seed}: {options:?}\ntheirs {theirs:?}\nours {own:?}");
    });
}
