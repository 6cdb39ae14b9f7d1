//! The suites: which are installed, and the commands of each.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A family of suites with the same commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    Daemontools,
    Runit,
    S6,
    Supervisord,
}

/// Where a suite comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It is another one, and is installed.
    Installed,
    /// It is this one as it was, built from another tree.
    Before,
    /// It is this one as it is.
    Now,
}

/// A suite to be measured.
#[derive(Clone, Debug)]
pub struct Suite {
    pub name: &'static str,
    pub version: String,
    pub family: Family,
    /// The directory of its programs.
    pub programs: PathBuf,
    pub origin: Origin,
}

/// Finds the other suites that are installed; returns a line for each that is not.
pub fn installed() -> (Vec<Suite>, Vec<String>) {
    let known = [
        ("daemontools", Family::Daemontools, "svscan"),
        ("runit", Family::Runit, "runsvdir"),
        ("s6", Family::S6, "s6-svscan"),
        ("supervisord", Family::Supervisord, "supervisord"),
    ];
    let (mut suites, mut missing) = (Vec::new(), Vec::new());
    for (name, family, scanner) in known {
        match on_path(scanner) {
            Some(programs) if family == Family::Daemontools && is_ours(&programs) => {
                missing.push("daemontools: not measured: the svscan on PATH is uphold's".to_owned());
            }
            Some(programs) => {
                let version = version(name, &programs);
                suites.push(Suite { name, version, family, programs, origin: Origin::Installed });
            }
            None => missing.push(format!("{name}: not measured: not installed")),
        }
    }
    (suites, missing)
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).find(|directory| directory.join(program).is_file())
}

/// Returns whether these programs are ours: the original takes `--version` for a service directory that does not exist.
fn is_ours(programs: &Path) -> bool {
    text(Command::new(programs.join("svok")).arg("--version")).is_some_and(|said| said.contains("uphold"))
}

fn version(name: &str, programs: &Path) -> String {
    let package = if name == "supervisord" { "supervisor" } else { name };
    text(Command::new("dpkg-query").args(["-W", "-f", "${Version}", package]))
        .or_else(|| text(Command::new(programs.join("supervisord")).arg("--version")))
        .unwrap_or_else(|| "of unknown version".to_owned())
}

/// The stdout of a command, if it succeeds.
pub fn text(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success() && !said.is_empty()).then_some(said)
}

impl Suite {
    /// Makes a command of this suite. Its environment has only PATH, and its output is dropped.
    pub fn command<S: AsRef<OsStr>>(&self, program: &str, words: impl IntoIterator<Item = S>) -> Command {
        let mut path = self.programs.clone().into_os_string();
        path.push(":/usr/bin:/bin");
        let mut command = Command::new(self.programs.join(program));
        command.args(words).env_clear().env("PATH", path);
        command
    }

    /// The command that supervises the services of the scan directory `scan`, at most `most`; `configuration` is for
    /// supervisord.
    pub fn scanner(&self, scan: &Path, most: usize, configuration: &Path) -> Command {
        match self.family {
            Family::Daemontools => self.command("svscan", [scan]),
            Family::Runit => self.command("runsvdir", [scan]),
            Family::S6 => self.command("s6-svscan", ["-t0".as_ref(), format!("-c{most}").as_ref(), scan.as_os_str()]),
            Family::Supervisord => self.command("supervisord", ["-n".as_ref(), "-c".as_ref(), configuration]),
        }
    }

    /// The command that makes the scanner look for new links, if it does not by itself.
    pub fn rescan(&self, scan: &Path) -> Option<Command> {
        (self.family == Family::S6).then(|| self.command("s6-svscanctl", ["-a".as_ref(), scan]))
    }

    /// Whether it is one of our builds, of today or before.
    pub fn is_ours(&self) -> bool {
        self.origin != Origin::Installed
    }

    /// Whether the scanner only looks every few seconds.
    pub fn polls(&self) -> bool {
        !self.is_ours() && matches!(self.family, Family::Daemontools | Family::Runit)
    }

    /// The command that sends TERM to the service in a directory.
    pub fn terminate(&self, service: &Path) -> Option<Command> {
        match self.family {
            Family::Daemontools => Some(self.command("svc", ["-t".as_ref(), service])),
            Family::Runit => Some(self.command("sv", ["t".as_ref(), service])),
            Family::S6 => Some(self.command("s6-svc", ["-t".as_ref(), service])),
            Family::Supervisord => None,
        }
    }

    /// The commands that show the state of services: one command, but one for each service with s6.
    pub fn status(&self, services: &[PathBuf]) -> Vec<Command> {
        match self.family {
            Family::Daemontools => vec![self.command("svstat", services)],
            Family::Runit => {
                vec![
                    self.command(
                        "sv",
                        ["status".as_ref()].into_iter().chain(services.iter().map(|dir| dir.as_os_str())),
                    ),
                ]
            }
            Family::S6 => services.iter().map(|dir| self.command("s6-svstat", [dir])).collect(),
            Family::Supervisord => Vec::new(),
        }
    }

    /// Whether each service has a supervisor of its own.
    pub fn has_supervisors(&self) -> bool {
        self.family != Family::Supervisord
    }

    /// The greatest number of services it can have.
    pub fn most_services(&self) -> usize {
        if self.polls() { 1_000 } else { usize::MAX }
    }
}
