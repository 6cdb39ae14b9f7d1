//! Looks at the names in the scan directory: which are services, and whether they can be started.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use cli::text;
use machine::scan::Id;
use svdir::names;

use super::directory::{Look, ScanDirectory};
use super::proofs::Proofs;
use super::said::{name_of, subject};
use super::services::Services;
use crate::service::running::RunningSupervise;
use crate::service::tick;

/// Warnings about what a name in the scan directory is.
const NAME: &[u8] = b"name";

/// Looks at every name.
pub fn rescan(directory: &mut ScanDirectory, services: &mut Services, proofs: &mut Proofs) {
    match directory.renew() {
        Ok(()) => services.said.over("watch"),
        Err(error) => {
            let text = text!("unable to watch the scan directory, looking every 5 seconds");
            services.said.warning("watch", text, &error);
        }
    }
    let names = directory.names();
    if directory.is_locked_by_a_stranger() {
        let text = text!("unable to lock the scan directory, which a stranger has locked, going on without");
        services.said.warning("lock", text, &io::Error::from_raw_os_error(sys::EAGAIN));
    } else {
        services.said.over("lock");
    }
    match names {
        Ok(names) => {
            services.said.over("directory");
            look_at_all(directory, services, proofs, names);
        }
        Err(error) => {
            services.said.warning("directory", text!("unable to read directory"), &error);
            services.scan.rescan_later(tick());
        }
    }
    if !directory.is_watched() {
        services.scan.rescan_later(tick());
    }
}

/// Looks at whatever has changed.
pub fn take_changes(directory: &mut ScanDirectory, services: &mut Services, proofs: &mut Proofs) {
    match directory.changes() {
        Ok(looks) => {
            services.said.over("changes");
            for change in looks {
                match change {
                    Look::Everything => rescan(directory, services, proofs),
                    Look::Name(name) => look(directory, services, proofs, &name),
                    Look::Filling(id) => {
                        services.scan.names(id).iter().for_each(|name| look(directory, services, proofs, name));
                    }
                }
            }
        }
        Err(error) => {
            services.said.warning("changes", text!("unable to read changes, looking at everything"), &error);
            rescan(directory, services, proofs);
        }
    }
}

fn look_at_all(directory: &mut ScanDirectory, services: &mut Services, proofs: &mut Proofs, names: Vec<OsString>) {
    services.scan.begin_pass();
    for name in &names {
        look(directory, services, proofs, name);
    }
    services.scan.end_pass(tick());
    let names: BTreeSet<OsString> = names.into_iter().collect();
    services.said.retain(b"", |subject| name_of(subject).is_none_or(|name| names.contains(name)));
}

/// Looks at one name in the scan directory, which may be gone.
pub fn look(directory: &mut ScanDirectory, services: &mut Services, proofs: &mut Proofs, name: &OsStr) {
    if name.as_bytes().starts_with(b".") {
        return;
    }
    if !proofs.may_look(name, &mut services.said) {
        if !proofs.is_looked_at(name) {
            // There could be no child.
            services.scan.rescan_later(tick());
        }
        return services.scan.still_listed(name);
    }
    let now = tick();
    match std::fs::metadata(name) {
        Ok(entry) if entry.is_dir() => {
            services.said.over(subject(NAME, name));
            see(directory, services, name, Id { device: entry.dev(), inode: entry.ino() });
        }
        Ok(_) => {
            services.said.over(subject(NAME, name));
            services.scan.unlisted(now, name);
        }
        Err(_) if std::fs::symlink_metadata(name).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) => {
            services.said.retain(b"", |subject| name_of(subject) != Some(name));
            services.scan.unlisted(now, name);
        }
        Err(error) => {
            services.said.warning(subject(NAME, name), text!("unable to stat ", name), &error);
            services.scan.unlisted(now, name);
            // What it points to may appear where nobody watches.
            services.scan.rescan_later(now);
        }
    }
}

/// The name is that of a directory.
fn see(directory: &mut ScanDirectory, services: &mut Services, name: &OsStr, id: Id) {
    let run = Path::new(name).join(names::RUN);
    let mut complete = !services.scan.is_new(id)
        || is_executable(&run)
        || RunningSupervise::find(Path::new(name)).is_ok_and(|other| other.is_some());
    if !complete && !services.scan.is_filling(id) {
        directory.watch_filling(name, id);
        // It may have been filled before it was watched.
        complete = is_executable(&run);
    }
    services.scan.seen(tick(), name, id, complete);
}

fn is_executable(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}
