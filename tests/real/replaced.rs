//! The server of `examples/deploy/rust` is replaced twenty times in a row under load. `replaces.rs` does the same with installed servers.

use crate::site::Site;

#[test]
fn the_server_in_rust() {
    let Some(mut site) = Site::new(None) else { return };
    let targets = site.listen("rust");
    site.start("rust");
    site.deploy_under_load("rust", &targets);
}
