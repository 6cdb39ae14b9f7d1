//! Looks at the names in the scan directory: which of them are services, and which of these can be started.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use cli::text;
use machine::scan::Id;
use svdir::names;

use super::proofs::Proofs;
use super::services::Services;
use super::subjects::{name_of, subject};
use super::system::{Look, Pass, Sight, System};

/// The kind of the warnings about what a name in the scan directory is.
const NAME: &[u8] = b"name";

/// Looks at every name in the scan directory, and watches the directory if it is not watched yet.
pub fn rescan<S: System>(system: &mut S, services: &mut Services<S>, proofs: &mut Proofs) {
    let Pass { watched, locked_by_a_stranger, names } = system.look_into_directory();
    let is_watched = watched.is_ok();
    match watched {
        Ok(()) => services.said.over("watch"),
        Err(error) => {
            let text = text!("unable to watch the scan directory, looking every 5 seconds");
            services.said.warning("watch", text, &error);
        }
    }
    if locked_by_a_stranger {
        let text = text!("unable to lock the scan directory, which a stranger has locked, going on without");
        services.said.warning("lock", text, &io::Error::from_raw_os_error(sys::EAGAIN));
    } else {
        services.said.over("lock");
    }
    match names {
        Ok(names) => {
            services.said.over("directory");
            look_at_all(system, services, proofs, names);
        }
        Err(error) => {
            services.said.warning("directory", text!("unable to read directory"), &error);
            services.scan.rescan_later(system.now());
        }
    }
    if !is_watched {
        services.scan.rescan_later(system.now());
    }
}

/// Reads the changes in the scan directory, and looks at what has changed.
pub fn take_changes<S: System>(system: &mut S, services: &mut Services<S>, proofs: &mut Proofs) {
    match system.changes() {
        Ok(looks) => {
            services.said.over("changes");
            for change in looks {
                match change {
                    Look::Everything => rescan(system, services, proofs),
                    Look::Name(name) => look(system, services, proofs, &name),
                    Look::Filling(id) => {
                        services.scan.names(id).iter().for_each(|name| look(system, services, proofs, name));
                    }
                }
            }
        }
        Err(error) => {
            services.said.warning("changes", text!("unable to read changes, looking at everything"), &error);
            rescan(system, services, proofs);
        }
    }
}

fn look_at_all<S: System>(system: &mut S, services: &mut Services<S>, proofs: &mut Proofs, names: Vec<OsString>) {
    services.scan.begin_pass();
    for name in &names {
        look(system, services, proofs, name);
    }
    services.scan.end_pass(system.now());
    let names: BTreeSet<OsString> = names.into_iter().collect();
    services.said.retain(b"", |subject| name_of(subject).is_none_or(|name| names.contains(name)));
}

/// Looks at one name in the scan directory, which may be gone.
pub fn look<S: System>(system: &mut S, services: &mut Services<S>, proofs: &mut Proofs, name: &OsStr) {
    if name.as_bytes().starts_with(b".") {
        return;
    }
    if !proofs.may_look(system, name, &mut services.said) {
        if !proofs.is_looked_at(name) {
            // No child could be started.
            services.scan.rescan_later(system.now());
        }
        return services.scan.still_listed(name);
    }
    let now = system.now();
    match system.examine(Path::new(name)) {
        Sight::Directory(id) => {
            services.said.over(subject(NAME, name));
            if is_template(system, services, name, id) {
                services.scan.unlisted(now, name);
            } else {
                see(system, services, name, id);
            }
        }
        Sight::Other => {
            services.said.over(subject(NAME, name));
            services.scan.unlisted(now, name);
        }
        Sight::Gone => {
            services.said.retain(b"", |subject| name_of(subject) != Some(name));
            services.scan.unlisted(now, name);
        }
        Sight::Unclear(error) => {
            services.said.warning(subject(NAME, name), text!("unable to stat ", name), &error);
            services.scan.unlisted(now, name);
            // The target of the link may appear in a directory that is not watched.
            services.scan.rescan_later(now);
        }
    }
}

/// Returns whether a directory is only there for instances to be made of it, as `web@1` is of `web@`. One that is served is a service as
/// any other: an earlier version may have started it, and nothing that runs is to lose its supervise.
fn is_template<S: System>(system: &mut S, services: &mut Services<S>, name: &OsStr, id: Id) -> bool {
    if !name.as_bytes().ends_with(b"@") || !services.scan.is_new(id) {
        return false;
    }
    let found = system.find_supervise(Path::new(name));
    if found.is_err() {
        // Descriptors have run out.
        services.scan.rescan_later(system.now());
    }
    !matches!(found, Ok(Some(_))) && !system.was_left_behind(Path::new(name))
}

/// Takes note that `name` is the name of directory `id`, and finds out whether it is complete.
fn see<S: System>(system: &mut S, services: &mut Services<S>, name: &OsStr, id: Id) {
    let run = Path::new(name).join(names::RUN);
    let mut complete = !services.scan.is_new(id)
        || system.can_run(&run)
        || system.find_supervise(Path::new(name)).is_ok_and(|other| other.is_some());
    if !complete && !services.scan.is_filling(id) {
        system.watch_filling(name, id);
        // It may have been filled just before the watch began.
        complete = system.can_run(&run);
    }
    services.scan.seen(system.now(), name, id, complete);
    // Without `run` it may be a service that its `start` sets up, or a name for others. When such a directory is complete, only the quiet in it tells.
    if !complete && services.scan.is_filling(id) && may_lack_run(system, Path::new(name)) {
        services.scan.seen(system.now(), name, id, true);
    }
}

/// Returns whether there is something by which the directory may be a service without `run`. Most that name others have one, which may still come: a directory that was
/// just made is given all of its time.
fn may_lack_run<S: System>(system: &S, name: &Path) -> bool {
    let names_others = |directory| matches!(system.examine(&name.join(directory)), Sight::Directory(_));
    system.can_run(&name.join(names::START))
        || ([names::DEPENDENCIES, names::WANTS].into_iter().any(names_others) && system.has_rested(name))
}
