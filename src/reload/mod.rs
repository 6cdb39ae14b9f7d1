//! Deploying without a lost request: hupwatch, and the sockets that it holds as supervise does.

mod check;
pub mod hupwatch;
pub mod listeners;
mod options;
mod pidfile;
mod said;

/// A signal that could not be sent: the process has ended, and we shall be told; or it became somebody else's, and is none of ours.
fn signalled(_: std::io::Result<()>) {}
