//! `uphold status --json --follow`: a line for each service, and one for each change.
//!
//! It sleeps until the kernel tells that a supervise has written something, or that something has come or gone. A reader that does not read is not waited for: meanwhile only the newest
//! state of each service is kept.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;

use anyhow::Context;
use cli::{Exit, Voice, Word, text};
use machine::{SECOND, Tick};
use svdir::names;
use sys::{fd, poll};

use crate::service::client::{self, Unreachable};
use crate::service::home::Home;
use crate::service::{tick, wait};
use crate::words::around::{Logger, Needs};
use crate::words::clock::Clock;
use crate::words::scan::{Meant, Scan};
use crate::words::whole::{self, Whole};

use super::line::Line;
use super::queue::Queue;
use super::watches::{News, Watches, Who};

/// The interval between two looks where nobody tells of changes, in nanoseconds.
const LOOK: u64 = SECOND / 10;

/// A service directory that is followed.
struct Place {
    meant: Meant,
    /// It is to be watched anew.
    watch: bool,
    /// It is to be looked at.
    look: bool,
    /// A supervise was found at the last look.
    is_supervised: bool,
    /// The FIFO of a supervise that seems to be ending, which loses its reader when it has.
    ending: Option<File>,
}

impl Place {
    const fn new(meant: Meant) -> Place {
        Place { meant, watch: true, look: true, is_supervised: false, ending: None }
    }

    /// Notes what has happened. Returns whether it is to be looked at.
    fn hear(&mut self, home: &Home, news: &News) -> anyhow::Result<bool> {
        self.look |= !(self.is_supervised && matches!(news, News::Beginning(_)));
        match news {
            News::Beginning(_) => {}
            News::Ending(_) => {
                self.ending = home.visit(&self.meant.dir, client::find_at_once)?.ok().and_then(Result::ok)
            }
            // Who writes lives.
            News::Written(_) => self.ending = None,
            _ => self.watch = true,
        }
        Ok(self.look)
    }

    /// Looks at it, by a function that notes whether a supervise was found. Where there is none, its beginning is heard from now on.
    fn seen<T>(
        &mut self,
        watches: &mut Watches,
        who: &Who,
        look: impl Fn(&Cell<bool>) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let is_found = Cell::new(false);
        let mut seen = look(&is_found)?;
        if !is_found.get() && watches.watch_for_supervise(who, &self.meant.dir) {
            seen = look(&is_found)?;
        }
        self.is_supervised = is_found.get();
        Ok(seen)
    }
}

/// Finds a supervise, and notes that.
fn finding(is_found: &Cell<bool>) -> impl FnOnce() -> Result<File, Unreachable> {
    move || client::find_at_once().inspect(|_| is_found.set(true))
}

/// A service that is followed.
struct Followed {
    place: Place,
    logger: Option<Place>,
    /// What is known of the logger.
    seen: Option<Logger>,
}

/// All that are followed.
struct Follow<'a> {
    home: Home,
    scan: Scan,
    words: &'a [Word],
    watches: Watches,
    needs: Needs,
    services: BTreeMap<OsString, Followed>,
    queue: Queue,
    clock: Clock,
    /// Whether a svscan serves the scan directory was found out in this turn.
    knows_svscan: bool,
    /// When it is to be looked at everything, where nobody tells of changes.
    due: Tick,
}

/// Tells how the services are that `words` mean in a scan directory, or all of them, and goes on with what changes.
///
/// # Errors
/// If the scan directory cannot be read any more, or stdout cannot be written; quietly, if nobody reads it.
pub fn follow(scan: Scan, words: &[Word], voice: Voice) -> anyhow::Result<u8> {
    wait::allow_many_files();
    let mut watches = Watches::new(voice);
    // What happens from now on is told.
    watches.scan(&scan.dir);
    let mut follow = Follow {
        home: Home::open()?,
        scan,
        words,
        watches,
        needs: Needs::default(),
        services: BTreeMap::new(),
        queue: Queue::default(),
        clock: Clock::new(),
        knows_svscan: false,
        due: tick(),
    };
    // As if all of them came now.
    follow.scan.names.clear();
    follow.list()?;
    follow.look()?;
    loop {
        follow.turn()?;
    }
}

impl Follow<'_> {
    /// Waits until something has happened, and does what follows.
    fn turn(&mut self) -> anyhow::Result<()> {
        let stdout = fd::stdout();
        self.knows_svscan = false;
        let timeout = self.watches.must_look().then(|| tick().until(self.due));
        let ending: Vec<_> = self.places().filter_map(|(_, place)| place.ending.as_ref()).collect();
        let fifos: Vec<_> = ending.iter().map(AsFd::as_fd).collect();
        let has_more = !self.queue.is_empty();
        let happened = poll::stream(self.watches.fd(), stdout, has_more, &fifos, timeout);
        let happened = happened.context(text!("unable to wait"))?;
        if happened.is_unread {
            return Err(Exit(0).into());
        }
        let ended: BTreeSet<usize> = happened.unread.into_iter().collect();
        let is_ending = self.places_mut().filter(|place| place.ending.is_some()).enumerate();
        for (_, place) in is_ending.filter(|(number, _)| ended.contains(number)) {
            (place.look, place.ending) = (true, None);
        }
        let news =
            if happened.is_readable { self.watches.news().context(text!("unable to wait"))? } else { Vec::new() };
        self.hear(&news)?;
        if timeout.is_some() && self.due <= tick() {
            self.due = tick().after(LOOK);
            self.hear(&[News::Lost])?;
        }
        self.look()?;
        if happened.is_writable {
            let written = fd::write(stdout, self.queue.front(fd::PIECE));
            match written {
                Ok(count) => self.queue.written(count),
                // Somebody else who has this pipe does not wait either.
                Err(error) if error.raw_os_error() == Some(sys::EAGAIN) => {}
                Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Err(Exit(0).into()),
                Err(error) => return Err(anyhow::Error::new(error).context(text!("unable to write output"))),
            }
        }
        Ok(())
    }

    fn places(&self) -> impl Iterator<Item = (&OsString, &Place)> {
        self.services.iter().flat_map(|(name, service)| {
            [Some(&service.place), service.logger.as_ref()].into_iter().flatten().map(move |place| (name, place))
        })
    }

    fn places_mut(&mut self) -> impl Iterator<Item = &mut Place> {
        self.services
            .values_mut()
            .flat_map(|service| [Some(&mut service.place), service.logger.as_mut()].into_iter().flatten())
    }

    fn hear(&mut self, news: &[News]) -> anyhow::Result<()> {
        let mut is_other_list = false;
        for one in news {
            match one {
                News::Lost => {
                    is_other_list = true;
                    self.places_mut().for_each(|place| (place.look, place.watch) = (true, true));
                }
                News::Entry(name) => {
                    is_other_list = true;
                    if let Some(service) = self.services.get_mut(name) {
                        service.place.hear(&self.home, one)?;
                    }
                }
                News::Changed(who) | News::Written(who) | News::Ending(who) | News::Beginning(who) => match who {
                    Who::Scan => is_other_list = true,
                    Who::Service(name) => {
                        if let Some(service) = self.services.get_mut(name) {
                            service.place.hear(&self.home, one)?;
                        }
                        // One that was named by its path may be gone.
                        is_other_list |= matches!(one, News::Changed(_));
                    }
                    Who::Logger(name) => {
                        if let Some(Followed { place, logger: Some(logger), .. }) = self.services.get_mut(name) {
                            place.look |= logger.hear(&self.home, one)?;
                        }
                    }
                },
            }
        }
        if is_other_list { self.list() } else { Ok(()) }
    }

    /// Looks which services there are.
    fn list(&mut self) -> anyhow::Result<()> {
        let scan = Scan::open(Some(self.scan.dir.clone()))?;
        self.knows_svscan = true;
        let before = std::mem::replace(&mut self.scan, scan);
        let mut touched = Vec::new();
        for gone in before.names.iter().filter(|name| self.scan.names.binary_search(name).is_err()) {
            touched.extend(self.needs.forget(gone));
        }
        for come in self.scan.names.iter().filter(|name| before.names.binary_search(name).is_err()) {
            touched.extend(self.needs.look(come, &self.scan.dir.join(come)));
        }
        self.touch(touched);
        let mut before = std::mem::take(&mut self.services);
        for meant in self.scan.now(self.words) {
            let (name, service) = before.remove_entry(&meant.name).unwrap_or_else(|| {
                let name = meant.name.clone();
                (name, Followed { place: Place::new(meant), logger: None, seen: None })
            });
            self.services.insert(name, service);
        }
        for name in before.into_keys() {
            self.queue.is_gone(&name);
            self.watches.forget(&Who::Logger(name.clone()));
            self.watches.forget(&Who::Service(name));
        }
        Ok(())
    }

    /// Notes that other services name these now.
    fn touch(&mut self, names: Vec<Vec<u8>>) {
        use std::os::unix::ffi::OsStrExt;
        for name in names {
            if let Some(service) = self.services.get_mut(OsStr::from_bytes(&name)) {
                service.place.look = true;
            }
        }
    }

    /// Looks at all services at which it is to be looked.
    fn look(&mut self) -> anyhow::Result<()> {
        // A look at one may show that it names another.
        loop {
            let due: Vec<OsString> =
                self.services.iter().filter(|(_, service)| service.place.look).map(|(name, _)| name.clone()).collect();
            if due.is_empty() {
                return Ok(());
            }
            for name in due {
                self.look_at(&name)?;
            }
        }
    }

    fn look_at(&mut self, name: &OsStr) -> anyhow::Result<()> {
        let Follow { home, scan, watches, needs, services, queue, clock, knows_svscan, .. } = self;
        let Some(service) = services.get_mut(name) else { return Ok(()) };
        let Followed { place, logger, seen } = service;
        place.look = false;
        if std::mem::take(&mut place.watch) {
            watches.watch(&Who::Service(name.to_owned()), &place.meant.dir);
            let dir = place.meant.dir.join(names::LOG);
            if dir.is_dir() != logger.is_some() {
                watches.forget(&Who::Logger(name.to_owned()));
                let meant = Meant { name: Path::new(name).join(names::LOG).into(), dir };
                *logger = logger.is_none().then(|| Place::new(meant));
            }
        }
        match logger {
            None => *seen = None,
            Some(logger) if logger.look => {
                logger.look = false;
                let who = Who::Logger(name.to_owned());
                if std::mem::take(&mut logger.watch) {
                    watches.watch(&who, &logger.meant.dir);
                }
                let look = |is_found: &Cell<bool>| Logger::found(home, &place.meant, scan.served, finding(is_found));
                *seen = logger.seen(watches, &who, look)?;
            }
            Some(_) => {}
        }
        let (who, meant) = (Who::Service(name.to_owned()), place.meant.clone());
        let mut look = |served| {
            let look = |is_found: &Cell<bool>| Whole::look(home, meant.clone(), served, finding(is_found));
            place.seen(watches, &who, look)
        };
        let mut whole = look(scan.served)?;
        if whole.row.details.is_none() && !std::mem::replace(knows_svscan, true) {
            // That may be the reason.
            scan.look_for_svscan();
            whole = look(scan.served)?;
        }
        let touched = if scan.names.binary_search_by(|known| known.as_os_str().cmp(name)).is_ok() {
            needs.look(name, &whole.meant.dir)
        } else {
            Vec::new()
        };
        whole.needed_by = whole::needed_by(needs, scan, &whole.meant);
        whole.logger.clone_from(seen);
        queue.is_so(name, Line::of(&whole, clock));
        self.touch(touched);
        Ok(())
    }
}
