//! A scan directory with services, and a scanner that supervises them.
//!
//! Each service is a directory beside the scan directory, which has a link to it, as is usual. Its `run` is a link to a
//! program that reports that it runs, and waits.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::scratch::{Process, Scratch};
use crate::started::{Start, Started};
use crate::suites::{Family, Suite};

/// The services and their scanner.
pub struct World {
    // Dropped first, so that nothing is started again while the rest is killed.
    scanner: Option<Process>,
    pub started: Started,
    /// The first start of each service, in the order of the starts.
    pub first: Vec<Start>,
    scratch: Scratch,
    run: PathBuf,
    files: Vec<File>,
    count: usize,
}

/// What a service directory has beside `run`.
#[derive(Clone, Debug)]
pub enum File {
    /// A link with this name, which may be in a directory there, to a program.
    Program(&'static str, PathBuf),
    /// A file with this name and contents.
    Text(&'static str, &'static str),
}

impl World {
    /// Makes `count` services that run `run`, not supervised yet.
    pub fn prepare(run: &Path, count: usize) -> Result<World> {
        World::furnished(run, &[], count)
    }

    /// Makes `count` services that run `run` and have these files too.
    pub fn furnished(run: &Path, files: &[File], count: usize) -> Result<World> {
        let scratch = Scratch::in_memory()?;
        scratch.mkdir("scan")?;
        scratch.mkdir("services")?;
        let started = Started::make(&scratch.path("services/started"))?;
        let world = World {
            scanner: None,
            started,
            first: Vec::new(),
            scratch,
            run: run.to_owned(),
            files: files.to_vec(),
            count,
        };
        for number in 0..count {
            let service = world.make(number)?;
            world.link(&service, number)?;
        }
        Ok(world)
    }

    /// Makes `count` services, and starts the scanner.
    pub fn running(suite: &Suite, run: &Path, count: usize) -> Result<World> {
        let mut world = World::prepare(run, count)?;
        world.launch(suite)?;
        Ok(world)
    }

    /// Starts the scanner and waits until all services run. Returns the milliseconds that it took.
    pub fn launch(&mut self, suite: &Suite) -> Result<f64> {
        let begin = self.scan_with(suite)?;
        self.first = self.started.wait(self.count)?;
        let last = self.first.iter().map(|start| start.at).max().unwrap_or(begin);
        Ok(crate::started::milliseconds(begin, last))
    }

    /// Starts the scanner. Returns when that was.
    pub fn scan_with(&mut self, suite: &Suite) -> Result<u64> {
        let configuration = self.configuration();
        if suite.family == Family::Supervisord {
            fs::write(&configuration, self.supervisord()).context("unable to write supervisord.conf")?;
        }
        let mut command = suite.scanner(&self.scan(), self.count + 100, &configuration);
        command.current_dir(self.scratch.path("services"));
        let begin = sys::clock::monotonic();
        self.scanner = Some(Process::start(&mut command)?);
        Ok(begin)
    }

    /// Makes one more service, without a link in the scan directory.
    pub fn make(&self, number: usize) -> Result<PathBuf> {
        let directory = self.scratch.mkdir(service(number))?;
        symlink(&self.run, directory.join("run")).context("unable to link run")?;
        for file in &self.files {
            let (File::Program(name, _) | File::Text(name, _)) = file;
            let place = directory.join(name);
            fs::create_dir_all(place.parent().unwrap_or(&directory)).context("unable to make a directory")?;
            match file {
                File::Program(_, program) => symlink(program, place),
                File::Text(_, text) => fs::write(place, text),
            }
            .context("unable to furnish a service")?;
        }
        Ok(directory)
    }

    /// Links a service into the scan directory.
    pub fn link(&self, service: &Path, number: usize) -> Result<()> {
        symlink(service, self.scan().join(format!("s{number}"))).context("unable to link a service")
    }

    /// The scan directory.
    pub fn scan(&self) -> PathBuf {
        self.scratch.path("scan")
    }

    /// The configuration of supervisord, once that has been started.
    pub fn configuration(&self) -> PathBuf {
        self.scratch.path("supervisord.conf")
    }

    /// A service directory.
    pub fn service(&self, number: usize) -> PathBuf {
        self.scratch.path(service(number))
    }

    /// The pid of the scanner.
    pub fn scanner(&self) -> Result<i32> {
        Ok(self.scanner.as_ref().context("nothing was launched")?.pid())
    }

    fn supervisord(&self) -> String {
        let files = 10 * self.count + 1_000;
        let mut text = format!("[supervisord]\nlogfile=/dev/null\nlogfile_maxbytes=0\nminfds={files}\n");
        let _ = writeln!(text, "pidfile={}", self.scratch.path("supervisord.pid").display());
        // For supervisorctl.
        let socket = self.scratch.path("supervisord.sock");
        let socket = socket.display();
        let _ = write!(
            text,
            "[unix_http_server]\nfile={socket}\n[supervisorctl]\nserverurl=unix://{socket}\n[rpcinterface:supervisor]\n"
        );
        text.push_str("supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n");
        for number in 0..self.count {
            let (run, directory) = (self.run.display(), self.service(number));
            let directory = directory.display();
            let _ = write!(text, "[program:s{number}]\ncommand={run}\ndirectory={directory}\nautorestart=true\n");
            text.push_str("stdout_logfile=NONE\nstderr_logfile=NONE\n");
        }
        text
    }
}

fn service(number: usize) -> String {
    format!("services/s{number}")
}
