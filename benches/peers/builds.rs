//! Our two builds, those of an earlier commit, and the small helper programs that are started in the measurements.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::machine::commit;
use crate::scratch::Scratch;
use crate::suites::{Family, Origin, Suite, text};

/// Programs without a libc, so that they add little to any figure.
pub struct Helpers {
    /// Ends at once.
    pub nothing: PathBuf,
    /// Says that it runs, and waits.
    pub service: PathBuf,
    /// Says that it runs, and fails.
    pub crash: PathBuf,
}

/// Compiles the helpers.
pub fn helpers(scratch: &Scratch) -> Result<Helpers> {
    let source = scratch.path("helper.c");
    fs::write(&source, include_str!("helper.c")).context("unable to write helper.c")?;
    let make = |name: &str| {
        let program = scratch.path(name);
        let mut cc = Command::new(env::var_os("CC").unwrap_or_else(|| "cc".into()));
        cc.args(["-O2", "-static", "-nostdlib", "-fno-stack-protector", "-fno-pie", "-no-pie"])
            .arg(format!("-D{name}"));
        let status = cc.arg("-o").arg(&program).arg(&source).status().context("unable to run cc")?;
        ensure!(status.success(), "cc: {status}");
        Ok(program)
    };
    Ok(Helpers { nothing: make("NOTHING")?, service: make("SERVICE")?, crash: make("CRASH")? })
}

/// A source tree of ours, and its target directory.
struct Tree<'a> {
    source: &'a Path,
    target: PathBuf,
    origin: Origin,
    /// The names of its default build and of its release build in the table.
    names: [&'static str; 2],
}

/// Makes our builds; returns a line for each that cannot be made. The programs are copied, so that the next build does not change
/// what is measured.
pub fn ours(scratch: &Scratch) -> Result<(Vec<Suite>, Vec<String>)> {
    let bench = env::current_exe().context("unable to find this program's own file")?;
    let target = bench.ancestors().nth(3).context("this program lies in no target directory")?.to_owned();
    let source = Path::new(env!("CARGO_MANIFEST_DIR"));
    both(&Tree { source, target, origin: Origin::Now, names: ["uphold", "uphold musl"] }, scratch)
}

/// The same of another tree, in which an earlier commit is checked out.
pub fn before(source: &Path, scratch: &Scratch) -> Result<(Vec<Suite>, Vec<String>)> {
    let target = source.join("target");
    both(&Tree { source, target, origin: Origin::Before, names: ["before", "before musl"] }, scratch)
}

fn both(tree: &Tree, scratch: &Scratch) -> Result<(Vec<Suite>, Vec<String>)> {
    let [default, release] = tree.names;
    let mut suites = vec![suite(tree, default, "default build", &build(tree, None)?, scratch)?];
    let musl = format!("{}-unknown-linux-musl", env::consts::ARCH);
    if !is_installed(&musl) {
        return Ok((suites, vec![format!("{release}: not measured: the target {musl} is not installed")]));
    }
    suites.push(suite(tree, release, "release build", &build(tree, Some(&musl))?, scratch)?);
    Ok((suites, Vec::new()))
}

/// Returns whether the compiler has a standard library for `target`.
fn is_installed(target: &str) -> bool {
    let directory = text(Command::new("rustc").args(["--print", "target-libdir", "--target", target]));
    directory.is_some_and(|directory| Path::new(&directory).is_dir())
}

/// Builds the programs, and returns their directory.
fn build(tree: &Tree, target: Option<&str>) -> Result<PathBuf> {
    let directory = &tree.target;
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--release", "--workspace", "--target-dir"]).arg(directory);
    cargo.current_dir(tree.source);
    if let Some(target) = target {
        cargo.args(["--target", target]);
    }
    let status = cargo.status().context("unable to run cargo")?;
    ensure!(status.success(), "cargo build: {status}");
    Ok(target.map_or_else(|| directory.clone(), |target| directory.join(target)).join("release"))
}

fn suite(tree: &Tree, name: &'static str, version: &str, built: &Path, scratch: &Scratch) -> Result<Suite> {
    let programs = scratch.mkdir(format!("programs/{}", name.replace(' ', "-")))?;
    for entry in fs::read_dir(built).context("unable to read the directory of programs")?.flatten() {
        let metadata = entry.metadata().context("unable to look at a program")?;
        let is_program = metadata.is_file() && metadata.permissions().mode() & 0o111 != 0;
        if is_program && entry.path().extension().is_none() {
            fs::copy(entry.path(), programs.join(entry.file_name())).context("unable to copy a program")?;
        }
    }
    let version = format!("{} ({version})", commit(tree.source));
    Ok(Suite { name, version, family: Family::Daemontools, programs, origin: tree.origin })
}
