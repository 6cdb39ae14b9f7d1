//! What was found out about a service directory.

use std::io;

/// The lines about a service directory.
#[derive(Debug, Default)]
pub struct Found {
    /// What is wrong.
    pub wrong: Vec<String>,
    /// What this user may not look at.
    pub unseen: Vec<String>,
    /// Its `run` cannot be executed, or is missing.
    pub cannot_run: bool,
}

impl Found {
    /// Adds what is wrong with a file.
    pub fn about(&mut self, file: &str, why: &str) {
        self.wrong.push(format!("{file}: {why}"));
    }

    /// Adds why a file cannot be used. What this user may not read says nothing about one who may.
    pub fn failed(&mut self, file: &str, error: &io::Error) {
        match error.kind() {
            io::ErrorKind::PermissionDenied => self.unseen.push(file.to_owned()),
            _ => self.about(file, &cli::reason(error)),
        }
    }
}
