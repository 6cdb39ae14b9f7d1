//! Whether a supervise runs in the service directory that a client has entered.

use std::io;
use std::path::Path;

use anyhow::Context;
use cli::text;
use svdir::names;

use crate::service::client::{self, Unreachable};

/// Returns whether a supervise runs in the current directory, which messages call `dir`. A directory that was never supervised has none.
///
/// # Errors
/// If that cannot be found out.
pub fn is_supervised(dir: &Path) -> anyhow::Result<bool> {
    match client::find() {
        Ok(()) => Ok(true),
        Err(Unreachable::System(error)) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| text!("unable to open ", dir, "/", names::OK))
        }
        Err(_) => Ok(false),
    }
}
