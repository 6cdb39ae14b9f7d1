//! The directory of `--state`, in which each supervise has a directory for its files.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;

use anyhow::Context;
use cli::text;
use sys::identity;

/// The mode of the directory, whatever the umask is. Only the owner may write; all users may read, since their clients look there too.
const MODE: u32 = 0o755;

/// Makes the directory if it is missing, and checks that it can be written: if not, no service could run.
///
/// # Errors
/// If it cannot be made or written, or belongs neither to root nor to this user: its owner could then replace the files of supervises.
pub fn prepare(state: &Path) -> anyhow::Result<()> {
    match DirBuilder::new().mode(MODE).create(state) {
        Ok(()) => fs::set_permissions(state, Permissions::from_mode(MODE)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
    .with_context(|| text!("unable to make ", state))?;
    let owner = fs::metadata(state).with_context(|| text!("unable to stat ", state))?.uid();
    if ![0, identity::effective_user()].contains(&owner) {
        let error = io::Error::from_raw_os_error(sys::EPERM);
        return Err(error).with_context(|| text!("unable to use ", state, ", which belongs to somebody else"));
    }
    try_to_write(state).with_context(|| text!("unable to write ", state))
}

fn try_to_write(state: &Path) -> io::Result<()> {
    let trial = state.join(format!(".svscan.{}", std::process::id()));
    DirBuilder::new().create(&trial)?;
    fs::remove_dir(&trial)
}
