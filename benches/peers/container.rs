//! svscan as process 1 of a PID namespace, as in a container, compared with other programs for that: how soon an orphan is reaped, how long a stop
//! takes, the memory, the files.
//!
//! In each namespace one process makes orphans when asked to: below a supervisor if there is one, otherwise as the only child (tini, dumb-init). The
//! time of an orphan is measured from outside, from its end until its pid is gone. The stop lasts from TERM to process 1 until the namespace is gone.
//! The files are the programs that are needed, and the libraries that they load.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use sys::process::{Pid, Signal, kill};

use crate::Bench;
use crate::process::{children, memory, suite};
use crate::samples::median;
use crate::scratch::{Process, Scratch};
use crate::suites::{Family, text};
use crate::table::{Report, Table, figure};

/// How many orphans are watched, one after another.
const ORPHANS: usize = 50;
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Makes an orphan for each line in `make`; the orphan ends at a line in `go`. The FIFOs are opened for reading and
/// writing, so that a read waits.
const MAKER: &str = "#!/bin/sh
cd \"${0%/*}\" || exit
while read line <>make; do (read line <>go &); done
";

/// A program that can be process 1.
struct First {
    name: String,
    /// The command, without its last arguments.
    command: Vec<PathBuf>,
    /// Whether it gets a scan directory and starts supervisors, or is given a program to start.
    scans: bool,
    files: Vec<PathBuf>,
}

/// The figures of one program.
#[derive(Default)]
struct Figures {
    delays: Vec<f64>,
    stops: Vec<f64>,
    private: Vec<f64>,
}

/// The table.
pub fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    ensure!(fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0), "needs root");
    let firsts = firsts(bench);
    let mut figures: Vec<Figures> = firsts.iter().map(|_| Figures::default()).collect();
    for round in 0..bench.rounds(9) {
        for place in 0..firsts.len() {
            let at = (place + round) % firsts.len();
            let found = Space::start(&firsts[at]).and_then(|space| space.measure(&mut figures[at]));
            if let Err(error) = found {
                bench.note(format!("container, {}: a round was not measured: {error:#}", firsts[at].name));
            }
        }
    }
    let columns = [
        "an orphan is reaped after, us",
        "the slowest, us",
        "stop, ms",
        "private memory, kB",
        "files, kB",
        "with libraries, kB",
    ];
    let mut table = Table::new("As process 1 of a PID namespace", columns.map(str::to_owned).into());
    for (first, figures) in firsts.iter().zip(&figures) {
        let slowest = figures.delays.iter().copied().reduce(f64::max);
        let (files, libraries) = sizes(&first.files);
        let cells = [
            median(&figures.delays),
            slowest,
            median(&figures.stops),
            median(&figures.private),
            Some(files),
            Some(files + libraries),
        ];
        table.add(first.name.clone(), cells.map(figure).into());
    }
    report.table(table);
    Ok(())
}

/// The programs that are installed, and ours.
fn firsts(bench: &Bench) -> Vec<First> {
    let mut firsts = Vec::new();
    for name in ["tini", "dumb-init"] {
        let path = std::env::var_os("PATH").unwrap_or_default();
        match std::env::split_paths(&path).map(|directory| directory.join(name)).find(|file| file.is_file()) {
            Some(file) => firsts.push(First {
                name: name.to_owned(),
                command: vec![file.clone(), "--".into()],
                scans: false,
                files: vec![file],
            }),
            None => bench.note(format!("container, {name}: not measured: not installed")),
        }
    }
    for suite in &bench.suites {
        let program = |name: &str| suite.programs.join(name);
        if suite.is_ours() {
            firsts.push(First {
                name: suite.name.to_owned(),
                command: vec![program("uphold"), "svscan".into(), "--init".into()],
                scans: true,
                files: vec![program("uphold")],
            });
        } else if suite.family == Family::S6 {
            firsts.push(First {
                name: "s6-svscan".to_owned(),
                command: vec![program("s6-svscan"), "-t0".into()],
                scans: true,
                files: vec![program("s6-svscan"), program("s6-supervise")],
            });
        }
    }
    firsts
}

/// The sizes of the files, and of the libraries that they load, in kB.
fn sizes(files: &[PathBuf]) -> (f64, f64) {
    let size = |path: &Path| fs::metadata(path).map_or(0.0, |file| file.len() as f64 / 1024.0);
    let mut libraries = BTreeSet::new();
    for file in files {
        let listed = text(Command::new("ldd").arg(file)).unwrap_or_default();
        libraries.extend(listed.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from));
    }
    (files.iter().map(|file| size(file)).sum(), libraries.iter().map(|file| size(file)).sum())
}

/// A namespace with its process 1.
struct Space<'a> {
    first: &'a First,
    /// The process that has made the namespace, and ends when that is gone.
    outer: Process,
    /// The pid of process 1, seen from outside.
    pid: i32,
    make: File,
    go: File,
    _scratch: Scratch,
}

impl Space<'_> {
    fn start(first: &First) -> Result<Space<'_>> {
        let scratch = Scratch::in_memory()?;
        let service = scratch.mkdir("scan/maker")?;
        let run = service.join("run");
        fs::write(&run, MAKER).context("unable to write run")?;
        fs::set_permissions(&run, fs::Permissions::from_mode(0o755)).context("unable to make run executable")?;
        let fifo = |name: &str| -> Result<File> {
            let path = service.join(name);
            sys::fd::make_fifo(&*path).context("unable to make a FIFO")?;
            File::options().read(true).write(true).open(path).context("unable to open a FIFO")
        };
        let (make, go) = (fifo("make")?, fifo("go")?);
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--mount-proc", "--kill-child"]).args(&first.command);
        command.arg(if first.scans { scratch.path("scan") } else { run });
        let path = first.files.first().and_then(|file| file.parent()).unwrap_or(Path::new("/usr/bin"));
        command.env_clear().env("PATH", format!("{}:/usr/bin:/bin", path.display())).current_dir(scratch.path("scan"));
        let outer = Process::start(command.stdin(Stdio::null()))?;
        let pid = wait_for(|| children(outer.pid()).first().copied())?;
        let mut space = Space { first, outer, pid, make, go, _scratch: scratch };
        // When it has made one it runs.
        let orphan = space.make_orphan()?;
        space.end_orphan(orphan)?;
        Ok(space)
    }

    fn measure(mut self, figures: &mut Figures) -> Result<()> {
        for _ in 0..ORPHANS {
            let orphan = self.make_orphan()?;
            figures.delays.push(self.end_orphan(orphan)?);
        }
        figures.private.push(memory(&suite(self.pid, self.first.scans))?.private);
        let begin = Instant::now();
        kill(Pid::from_raw(self.pid), Signal::SIGTERM).context("unable to send TERM")?;
        // Its code is what process 1 ends with.
        let _ = self.outer.end();
        figures.stops.push(begin.elapsed().as_secs_f64() * 1e3);
        Ok(())
    }

    fn make_orphan(&mut self) -> Result<i32> {
        let before = children(self.pid);
        self.make.write_all(b"\n").context("unable to ask for an orphan")?;
        let is_shell =
            |pid: &i32| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.starts_with(b"/bin/sh\0"));
        wait_for(|| children(self.pid).into_iter().filter(is_shell).find(|pid| !before.contains(pid)))
    }

    /// The time from the end of an orphan until it is gone, in microseconds.
    fn end_orphan(&mut self, orphan: i32) -> Result<f64> {
        self.go.write_all(b"\n").context("unable to end an orphan")?;
        let begin = Instant::now();
        while sys::adopted::lives(Pid::from_raw(orphan)) {
            ensure!(begin.elapsed() < PATIENCE, "an orphan does not end");
        }
        let ended = Instant::now();
        while Path::new(&format!("/proc/{orphan}")).exists() {
            ensure!(ended.elapsed() < PATIENCE, "an orphan is not reaped");
        }
        Ok(ended.elapsed().as_secs_f64() * 1e6)
    }
}

fn wait_for<T>(mut look: impl FnMut() -> Option<T>) -> Result<T> {
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        if let Some(found) = look() {
            return Ok(found);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    bail!("nothing happens")
}
