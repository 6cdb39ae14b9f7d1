//! Installed servers are replaced twenty times in a row under load, over TCP and a Unix socket at the same time: no request fails. `rolling.rs` has several copies of one.
//!
//! This is a target of its own, since it keeps both processors busy for a minute and a half. `tests/real/main.rs` says how the servers are installed.

#![cfg(target_os = "linux")]

#[path = "../../examples/load/program/mod.rs"]
#[allow(dead_code, unused_imports)] // Not all of it is needed here.
mod load;
mod rolling;
#[path = "../../examples/deploy/rust/server.rs"]
#[allow(dead_code)]
mod server;
#[allow(dead_code)] // Not all of it is needed here.
mod site;

use load::Target;
use site::{Site, free_address, needs_server};

/// The server of `examples/deploy/rust`: see [`Site::server`].
#[test]
fn helper() {
    site::be_the_server();
}

#[test]
fn gunicorn_with_sync_workers() {
    let Some(mut site) = needs_server("gunicorn").and_then(|servers| Site::new(Some(&servers))) else { return };
    let targets = site.listen("gunicorn");
    site.start("gunicorn");
    site.deploy_under_load("gunicorn", &targets);
}

#[test]
fn gunicorn_with_threads() {
    let Some(mut site) = needs_server("gunicorn").and_then(|servers| Site::new(Some(&servers))) else { return };
    site.edit("gunicorn/run", "--workers 2", "--workers 2 --threads 4");
    let targets = site.listen("gunicorn");
    site.start("gunicorn");
    site.deploy_under_load("gunicorn", &targets);
}

#[test]
fn waitress() {
    let Some(mut site) = needs_server("waitress-serve").and_then(|servers| Site::new(Some(&servers))) else { return };
    let targets = site.listen("waitress");
    site.start("waitress");
    site.deploy_under_load("waitress", &targets);
}

#[test]
fn uwsgi() {
    let Some(mut site) = needs_server("uwsgi").and_then(|servers| Site::new(Some(&servers))) else { return };
    site.edit("uwsgi/run", "--http-socket fd://3", "--http-socket fd://3 --http-socket fd://4");
    let targets = site.listen("uwsgi");
    site.start("uwsgi");
    site.deploy_under_load("uwsgi", &targets);
}

#[test]
fn django_over_fastcgi_behind_lighttpd() {
    if testkit::needs_program("lighttpd").is_none() {
        return;
    }
    let Some(mut site) = needs_server("django-admin").and_then(|servers| Site::new(Some(&servers))) else { return };
    let address = free_address();
    site.edit("lighttpd/sockets/web", "127.0.0.1:8084", &address.to_string());
    site.edit("lighttpd/lighttpd.conf", "8084", &address.port().to_string());
    site.start("django");
    site.start("lighttpd");
    site.deploy_under_load("django", &[Target::Tcp(address)]);
}
