//! Real servers, as `examples/deploy` runs them, are replaced under load, and no request may fail.
//!
//! The servers come from their registry: `tests/real/install` puts them into `target/servers`; UPHOLD_SERVERS names another place. What
//! is not there is skipped. A figure is never asserted but for the number of failures: that is 0.

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
mod replaces;
mod site;

/// The server of `examples/deploy/rust`, as a part of this test's own file: see [`site::Site::server`].
#[test]
fn helper() {
    if let Some(page) = std::env::var_os("REAL_SERVE") {
        server::serve(page.as_ref()).expect("it serves");
        // One that takes no more requests after TERM, and does not end.
        while std::env::var_os("REAL_STAY").is_some() {
            std::thread::park();
        }
    }
}
