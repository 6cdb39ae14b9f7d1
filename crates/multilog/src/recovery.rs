//! Opens `current`, and cleans up after a crash.
//!
//! | found                         | means                                            | becomes                        |
//! |-------------------------------|--------------------------------------------------|--------------------------------|
//! | `current` 0744                | multilog ended as told                           | appended to                    |
//! | `current` otherwise           | it died while writing                            | `@STAMP.u`                     |
//! | `previous`, no safe `processed` | it died in a rotation                          | `@STAMP.u`                     |
//! | `processed` 0744              | it died after the processor was done             | `@STAMP.s`; `previous` goes    |
//! | `previous` with two links     | it died when `previous` had its final name       | that name alone                |

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use crate::OpenError;
use crate::directory::{Code, Directory, UNSAFE, is_safe, set_mode, stat};
use crate::patience::Patience;

/// An open `current`, and its length in bytes.
pub(crate) type Current = (File, u64);

/// Opens `current` in `directory`, which is the current directory.
pub(crate) fn open_current(directory: &mut Directory, patience: &mut Patience) -> Result<Current, OpenError> {
    let found = stat("current").map_err(OpenError::on(|| directory.text("unable to stat ", "/current")))?;
    match found {
        Some(found) if is_safe(found.mode()) => resume(directory, found.len()),
        Some(_) | None => recover(directory, patience),
    }
}

/// Goes on with the `current` of a multilog that ended as told.
fn resume(directory: &Directory, size: u64) -> Result<Current, OpenError> {
    let text = || directory.text("unable to append to ", "/current");
    let current = sys::fd::open_append(Path::new("current")).map_err(OpenError::on(text))?;
    mark_unsafe(directory, &current)?;
    // Without `state` every processor would fail. If it cannot be made, a log without a processor still works.
    let _ = OpenOptions::new().append(true).create(true).mode(UNSAFE).open("state");
    Ok((current, size))
}

fn recover(directory: &mut Directory, patience: &mut Patience) -> Result<Current, OpenError> {
    for name in ["state", "newstate"] {
        // If a file cannot be removed, the error shows when it is made again.
        let _ = std::fs::remove_file(name);
    }
    let processed = stat("processed").map_err(OpenError::on(|| directory.text("unable to stat ", "/processed")))?;
    if processed.is_some_and(|found| is_safe(found.mode())) {
        directory.remove("previous", patience)?;
        directory.finish("processed", Code::Safe, patience)?;
    } else {
        directory.remove("processed", patience)?;
        directory.finish("previous", Code::Unsafe, patience)?;
    }
    directory.finish("current", Code::Unsafe, patience)?;
    begin(directory)
}

/// Makes a first, empty `current`.
fn begin(directory: &Directory) -> Result<Current, OpenError> {
    sys::fd::open_truncate(Path::new("state"))
        .map_err(OpenError::on(|| directory.text("unable to write to ", "/state")))?;
    let text = || directory.text("unable to write to ", "/current");
    let current = sys::fd::open_append(Path::new("current")).map_err(OpenError::on(text))?;
    mark_unsafe(directory, &current)?;
    Ok((current, 0))
}

fn mark_unsafe(directory: &Directory, current: &File) -> Result<(), OpenError> {
    let failed = OpenError::on(|| directory.text("unable to set mode of ", "/current"));
    set_mode(current, UNSAFE).map_err(failed)
}
