//! Deploying without a lost request: hupwatch, and the sockets that it holds as supervise does.

pub mod listeners;
