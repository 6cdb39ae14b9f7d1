//! `svstat`: one line on stdout for each service directory. Scripts parse the lines, so their wording is that of
//! daemontools 0.76, `1 seconds` included, and the exit code is 0 whatever they say.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use cli::{Text, Word, WrongOption, reason, text};
use svdir::{Exit, More, Role, Status, Want, names};
use tai::Label;

use crate::service::{files, running};

use super::Home;

const PROGRAM: cli::Program = cli::Program {
    name: "svstat",
    synopsis: "[--long] [dir ...]",
    usage: "svstat: usage: svstat [--long] [dir ...]",
    usage_exit: cli::USAGE,
    about: "Prints one line for each service directory: whether the service is up, for how long, and what is wanted.",
    options: &[
        ("--long", "tell besides who supervises the service, how often it was started and how it ended last"),
        ("dir", "a service directory; -- goes before one whose name begins with --"),
    ],
};

/// The program.
pub fn main(call: cli::Call) -> i32 {
    PROGRAM.run(&call, run)
}

fn run(call: &cli::Call) -> anyhow::Result<u8> {
    let (long, dirs) = operands(call.words())?;
    let mut lines = Text::default();
    let done = describe_all(dirs, long, &mut lines);
    // Nobody is left to be told of a stdout that cannot be written.
    let _ = sys::fd::write_all(sys::fd::stdout(), &lines.0);
    done.map(|()| 0)
}

/// Whether more is to be told, and what is to be described. `-x` is a directory: only words with two dashes are options.
fn operands(words: &[Word]) -> Result<(bool, &[Word]), WrongOption> {
    match words.split_first() {
        Some((word, rest)) if *word == "--long" => operands(rest).map(|(_, dirs)| (true, dirs)),
        Some((word, rest)) if *word == "--" => Ok((false, rest)),
        Some((word, _)) if word.as_bytes().starts_with(b"--") => Err(WrongOption::Long(word)),
        Some(_) | None => Ok((false, words)),
    }
}

fn describe_all(dirs: &[Word], long: bool, lines: &mut Text) -> anyhow::Result<()> {
    let home = Home::open()?;
    for dir in dirs {
        let found = home.visit(Path::new(dir), look)?;
        lines.add(&[dir, &": "]);
        match found {
            Ok(Ok(found)) => {
                found.describe(lines);
                if let Some(more) = found.more.filter(|_| long) {
                    describe_more(found.status.pid.is_some(), &more, lines);
                }
            }
            Ok(Err(Text(why))) => lines.add(&[&why.as_slice()]),
            Err(error) => lines.add(&[&"unable to chdir: ", &reason(&error).as_ref()]),
        }
        lines.add(&[&"\n"]);
    }
    Ok(())
}

/// What there is to say about a service.
struct Found {
    status: Status,
    /// What our supervise tells besides.
    more: Option<More>,
    /// For how long it has been so.
    seconds: u64,
    /// For how long it has been ready, if it is and tells so.
    ready: Option<u64>,
    normally_up: bool,
}

/// Looks at the service of the current directory. An error says why nothing can be said.
fn look() -> Result<Found, Text> {
    let normally_up = normally_up()?;
    check_running()?;
    let (status, more) = read_status()?;
    let (seconds, nanos) = sys::clock::wall();
    let now = Label::from_unix(seconds, nanos);
    let ready = more.and_then(|more| more.ready).filter(|_| status.pid.is_some()).map(|ready| ready.age(now));
    Ok(Found { status, more, seconds: status.since.age(now), ready, normally_up })
}

/// Whether there is no `down` file. A dangling link counts as none.
fn normally_up() -> Result<bool, Text> {
    match std::fs::metadata(names::DOWN) {
        Ok(_) => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(unable("stat ", names::DOWN, &error)),
    }
}

fn check_running() -> Result<(), Text> {
    match sys::fd::open_write(&*files::here(names::OK)) {
        Ok(_) => match running::owner(Path::new(".")) {
            None => Ok(()),
            Some(owner) => Err(unable("open ", names::OK, &running::shared(&owner))),
        },
        Err(error) if super::has_no_reader(&error) => Err(text!("supervise not running")),
        Err(error) => Err(unable("open ", names::OK, &error)),
    }
}

fn read_status() -> Result<(Status, Option<More>), Text> {
    let file =
        sys::fd::open_read(&*files::here(names::STATUS)).map_err(|error| unable("open ", names::STATUS, &error))?;
    let mut record = [0; Status::WHOLE];
    let length = sys::fd::read(file.as_fd(), &mut record).map_err(|error| unable("read ", names::STATUS, &error))?;
    let read = record.get(..length).unwrap_or_default();
    Status::decode_with(read).map_err(|svdir::TooShort| text!("unable to read ", names::STATUS, ": bad format"))
}

fn unable(verb: &str, file: &str, error: &io::Error) -> Text {
    text!("unable to ", verb, file, ": ", reason(error).as_ref())
}

impl Found {
    fn describe(&self, line: &mut Text) {
        let Found { status, seconds, normally_up, .. } = self;
        match status.pid {
            Some(pid) => {
                line.add(&[
                    &"up (pid ",
                    &u64::from(pid.get()),
                    &") ",
                    seconds,
                    &" seconds",
                    &if *normally_up { "" } else { ", normally down" },
                    &if status.paused { ", paused" } else { "" },
                    &if status.want == Want::Down { ", want down" } else { "" },
                ]);
                if let Some(ready) = self.ready {
                    line.add(&[&", ready ", &ready, &" seconds"]);
                }
            }
            None => line.add(&[
                &"down ",
                seconds,
                &" seconds",
                &if *normally_up { ", normally up" } else { "" },
                &if status.want == Want::Up { ", want up" } else { "" },
                &self.more.and_then(|more| more.why()).map(|why| format!(", {why}")).unwrap_or_default().as_str(),
            ]),
        }
        if let Some(second) = self.more.and_then(|more| more.second) {
            let doing = match second.role {
                Role::Starting => ", starting pid ",
                Role::EndingOld | Role::EndingNew => ", ending pid ",
            };
            line.add(&[&doing, &u64::from(second.pid.get())]);
        }
    }
}

fn describe_more(up: bool, more: &More, line: &mut Text) {
    let number = |number: u32| u64::from(number);
    line.add(&[&", supervise pid ", &number(more.supervise), &" version ", &more.version().unwrap_or("unknown")]);
    line.add(&[&", started ", &number(more.starts), &if more.starts == 1 { " time" } else { " times" }]);
    match more.last_exit {
        None => {}
        Some(Exit::Code(code)) => line.add(&[&", last exited ", &u64::from(code)]),
        Some(Exit::Signal(signal)) => line.add(&[&", last killed by signal ", &u64::from(signal)]),
        Some(Exit::Unknown) => line.add(&[&", last ended unseen"]),
    }
    if let Some(why) = more.why().filter(|_| up) {
        line.add(&[&", not replaced: ", &why.as_str()]);
    }
}
