//! `uphold status NAME`: a page about one service. It says in a line each what the table has room for, and what it has not: the last deaths, what stands around it, and
//! the end of its log. What does not apply is left out.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use cli::Voice;
use machine::SECOND;
use svdir::record::Role;
use svdir::tally::{self, Death};
use svdir::{Want, names};
use sys::fd;
use tai::Label;

use crate::service::details::{Details, Second};
use crate::service::facts::Facts;
use crate::service::home::Home;
use crate::service::knobs::{self, Wrong};
use crate::service::local_time::Times;
use crate::service::summary::{State, Summary};
use crate::service::{cgroup, needs, over, tally as deaths, tick};

use super::around::{Logger, Needs};
use super::log::{self, Tail};
use super::look::{self, Row};
use super::scan::{Meant, Scan};
use super::table::{self, Cell, Column};
use super::{full, shown, whole, why};

/// How many deaths are shown, and how many lines of the log.
const DEATHS: usize = 5;
const LINES: usize = 10;

/// Lays out the page about a service that was looked at. `width` is that of the terminal in characters, or `None`: then nothing is cut.
///
/// # Errors
/// If the way back from a service directory fails.
pub fn text(
    home: &Home,
    scan: &Scan,
    meant: &Meant,
    row: &Row,
    voice: Voice,
    (width, coloured): (Option<usize>, bool),
) -> anyhow::Result<String> {
    let is_logger = meant.dir.file_name() == Some(OsStr::new(names::LOG));
    let here = home.visit(&meant.dir, || Here::look(row.facts.as_ref(), is_logger))?.unwrap_or_default();
    let mut page = Page { lines: Vec::new(), times: Times::local() };
    page.state(meant, row, scan);
    page.life(row, &here);
    page.neighbours("NEEDS", &here.needs, home, scan, meant)?;
    page.neighbours("WANTS", &here.wants, home, scan, meant)?;
    let needed_by = whole::needed_by(&Needs::of(scan), scan, meant).unwrap_or_default();
    page.neighbours("NEEDED BY", &needed_by, home, scan, meant)?;
    page.supervise(row, &here);
    page.log(home, scan, meant, row, voice)?;
    const COLUMNS: [Column; 2] = [Column { title: "", right: false, dispensable: 0 }; 2];
    Ok(table::lines(&COLUMNS, &page.lines, width, coloured))
}

/// What is found in the service directory, besides what its supervise tells.
#[derive(Default)]
struct Here {
    has_health: bool,
    deaths: Vec<Death>,
    needs: Vec<OsString>,
    wants: Vec<OsString>,
    wrong: Vec<Wrong>,
    /// The path of its cgroup.
    cgroup: Option<PathBuf>,
}

impl Here {
    /// Looks at the current directory.
    fn look(facts: Option<&Facts>, is_logger: bool) -> Here {
        let named = |of: &str| {
            let found = if is_logger { None } else { needs::named(fd::CURRENT_DIRECTORY, Path::new(of)).ok() };
            let names = found.map(|(names, _)| names).unwrap_or_default();
            names.iter().map(|name| OsStr::from_bytes(name).to_owned()).collect()
        };
        let tally = deaths::read().unwrap_or_default();
        let cgroup = facts.filter(|facts| facts.has_cgroup()).and_then(|_| cgroup::recorded());
        Here {
            has_health: std::fs::metadata(names::HEALTH).is_ok(),
            deaths: tally::deaths(&tally).rev().take(DEATHS).collect(),
            needs: named(names::DEPENDENCIES),
            wants: named(names::WANTS),
            wrong: facts.filter(|facts| facts.can_be_waited_for()).map(knobs::wrong_for).unwrap_or_default(),
            cgroup: cgroup.map(|cgroup| cgroup.path().to_owned()),
        }
    }
}

/// The lines of a page.
struct Page {
    lines: Vec<Vec<Cell>>,
    times: Times,
}

impl Page {
    /// A line with a label; none if there is nothing to be said.
    fn put(&mut self, label: &str, text: impl Into<String>) {
        self.list(label, [text.into()]);
    }

    /// A line for each text, with the label before the first.
    fn list(&mut self, label: &str, texts: impl IntoIterator<Item = String>) {
        let mut label = label.to_owned();
        for text in texts.into_iter().filter(|text| !text.is_empty()) {
            self.lines.push(vec![(std::mem::take(&mut label), None), (text, None)]);
        }
    }

    /// A moment, and how long ago it was.
    fn moment(&mut self, label: Label) -> String {
        let ago = format!("{} ago", shown::age(label));
        match self.time(label) {
            Some(time) => format!("{time}, {ago}"),
            None => ago,
        }
    }

    /// A moment in local time, if it has one.
    fn time(&mut self, label: Label) -> Option<String> {
        let mut text = Vec::new();
        self.times.put(label.unix_seconds(), &mut text).then(|| String::from_utf8_lossy(&text).into_owned())
    }

    /// Who it is, and how.
    fn state(&mut self, meant: &Meant, row: &Row, scan: &Scan) {
        let Summary { state, why, .. } = &row.summary;
        self.put("NAME", row.name.as_str());
        let leads = std::fs::read_link(&meant.dir).ok();
        let leads = leads.map_or_else(String::new, |target| format!(" -> {}", shown::name(target.as_os_str())));
        self.put("DIRECTORY", shown::name(meant.dir.as_os_str()) + &leads);
        self.lines.push(vec![("STATE".to_owned(), None), (state.word().to_owned(), shown::colour(*state))]);
        let help = if *state == State::Broken { why::help(why, meant, &scan.dir) } else { None };
        self.list("WHY", [shown::bytes(why.as_bytes()), help.unwrap_or_default()]);
    }

    /// Its process, and those before it.
    fn life(&mut self, row: &Row, here: &Here) {
        let Row { name, summary, facts, details, used } = row;
        if let Some(details) = details {
            self.process(summary, details, here);
        }
        if let Some(used) = used {
            self.put("CPU", shown::share(used.share));
            self.put("MEMORY", shown::size(used.memory));
            self.put("PROCESSES", number(used.processes));
        }
        if let Some(cgroup) = &here.cgroup {
            self.put("CGROUP", shown::name(cgroup.as_os_str()));
        }
        self.put("STARTS", number(summary.starts));
        self.put("LAST EXIT", summary.last_exit.clone().unwrap_or_default());
        self.deaths(&here.deaths);
        if !summary.changed.is_empty() {
            let changed = summary.changed.join(", ");
            self.put("CHANGED", format!("{changed}, since it started: uphold restart {name} takes that up"));
        }
        let wait = facts.and_then(|facts| facts.wait(tick()));
        if let Some(wait) = wait.filter(|wait| !wait.is_over || wait.nanoseconds >= SECOND) {
            let (label, waits) = if wait.is_over { ("WAITED FOR", "") } else { ("WAITS FOR", " until now") };
            let name = shown::bytes(&wait.name);
            self.put(label, format!("{name}, {}{waits}", shown::span(wait.nanoseconds)));
        }
    }

    /// Its process, or why there is none, and what is known of it.
    fn process(&mut self, summary: &Summary, details: &Details, here: &Here) {
        let Details { want, normally_up, second, health, .. } = details;
        let since = self.moment(summary.since);
        self.put("SINCE", since);
        self.put("PID", number(summary.pid));
        if let Some(ready) = summary.ready {
            let ready = self.moment(ready);
            self.put("READY", ready);
        }
        let word = match want {
            Want::Up => "up",
            Want::Down => "down",
            Want::Once => "once",
        };
        let normally = if *normally_up { "" } else { ", normally down" };
        if *want != Want::Up || !normally_up {
            self.put("WANTED", format!("{word}{normally}"));
        }
        if let Some(Second { pid, role, since }) = second {
            let is = match role {
                Role::Warming => "the new copy, which is not ready yet",
                Role::EndingOld => "the old copy, which was told to end",
                Role::EndingNew => "a new copy that was given up",
            };
            self.put("SECOND COPY", format!("pid {pid}, for {}: {is}", shown::age(*since)));
        }
        match health {
            Some((fails, first)) => {
                let times = if *fails == 1 { "once" } else { &format!("{fails} times in a row") };
                self.put("HEALTH", format!("failed {times}, the first time {} ago", shown::span(first.until(tick()))));
            }
            None if here.has_health && summary.pid.is_some() => self.put("HEALTH", "has not failed"),
            None => {}
        }
    }

    fn deaths(&mut self, deaths: &[Death]) {
        let texts: Vec<String> = deaths
            .iter()
            .map(|death| {
                let memory = if death.memory { format!(", {}", over::MEMORY) } else { String::new() };
                format!("{}: {}{memory}", self.moment(death.at), over::ended(death.exit))
            })
            .collect();
        self.list("DEATHS", texts);
    }

    /// Other services, and how they are.
    fn neighbours(
        &mut self,
        label: &str,
        names: &[OsString],
        home: &Home,
        scan: &Scan,
        meant: &Meant,
    ) -> anyhow::Result<()> {
        let above = match (meant.dir.file_name(), meant.dir.parent()) {
            (Some(_), Some(above)) => above.to_path_buf(),
            // It ends with a dot, or two.
            _ => meant.dir.join(".."),
        };
        let mut texts = Vec::new();
        for name in names {
            let other = Meant { name: name.clone(), dir: above.join(name) };
            let row = look::look(home, &other, scan.served)?;
            let why = shown::bytes(row.summary.why.as_bytes());
            let why = if why.is_empty() { why } else { format!(", {why}") };
            texts.push(format!("{}: {}{why}", row.name, row.summary.state.word()));
        }
        self.list(label, texts);
        Ok(())
    }

    /// Who supervises it, and what that cannot use.
    fn supervise(&mut self, row: &Row, here: &Here) {
        self.list("KNOBS", here.wrong.iter().map(Wrong::shown));
        let Some(facts) = row.facts else {
            return;
        };
        match facts.supervise() {
            Some((pid, version)) if version.is_empty() => self.put("SUPERVISE", format!("pid {pid}")),
            Some((pid, version)) => self.put("SUPERVISE", format!("pid {pid}, version {version}")),
            None => self.put("SUPERVISE", "of another suite or an older version"),
        }
    }

    /// Its logger, and the end of its log.
    fn log(&mut self, home: &Home, scan: &Scan, meant: &Meant, row: &Row, voice: Voice) -> anyhow::Result<()> {
        let logger = Logger::of(home, meant, scan.served)?;
        if logger.is_none() && row.facts.is_none() {
            return Ok(());
        }
        let writer = logger.as_ref().map_or(row.summary.pid, |logger| logger.pid);
        if let Some(logger) = logger {
            let pid = logger.pid.map_or_else(String::new, |pid| format!(", pid {pid}"));
            self.put("LOGGER", format!("{}{pid}", logger.state.word()));
        }
        let Tail { directories, lines, trouble } = log::tail(meant, &scan.dir, LINES, voice);
        let stuck = directories.iter().filter_map(|directory| full::in_the_way(writer, directory));
        let stuck: Vec<String> = stuck.map(|why| format!("cannot be written: {why}")).collect();
        self.list("LOGS IN", directories.iter().map(|directory| shown::name(directory.as_os_str())).chain(stuck));
        self.list("LOG", trouble.into_iter().chain(lines));
        Ok(())
    }
}

fn number<T: ToString>(number: Option<T>) -> String {
    number.map_or_else(String::new, |number| number.to_string())
}
