//! Twenty replacements in a row under load, over TCP and a Unix socket at the same time: no request fails.

use crate::load::Target;
use crate::site::{Site, finish, free_address, load, needs_server, wait_for_answers};

const REPLACES: usize = 20;

/// Deploys releases 2 and 1 in turn.
fn deploy_under_load(site: &Site, name: &str, targets: &[Target]) {
    let loads = load(targets);
    for replace in 1..=REPLACES {
        wait_for_answers(&loads);
        let said = site.deploy(name, if replace % 2 == 1 { "2" } else { "1" });
        assert_eq!(said, "", "replacement {replace}: {}", site.logs());
    }
    site.settled(name);
    wait_for_answers(&loads);
    finish(loads, site);
    // The last release answers, and no copy of another one.
    let loads = load(targets);
    wait_for_answers(&loads);
    for load in loads {
        let tally = load.finish();
        assert_eq!(tally.answers().keys().collect::<Vec<_>>(), ["release 1"], "{}", tally.table());
    }
    assert_eq!(site.scratch.text(format!("{name}.err")), "");
}

#[test]
#[ignore = "takes a minute of both processors: `cargo test --test real -- --ignored replaces`"]
fn gunicorn_with_sync_workers() {
    let Some(mut site) = needs_server("gunicorn").and_then(|servers| Site::new(Some(&servers))) else { return };
    let targets = site.listen("gunicorn");
    site.start("gunicorn");
    deploy_under_load(&site, "gunicorn", &targets);
}

#[test]
#[ignore = "takes a minute of both processors: `cargo test --test real -- --ignored replaces`"]
fn gunicorn_with_threads() {
    let Some(mut site) = needs_server("gunicorn").and_then(|servers| Site::new(Some(&servers))) else { return };
    site.edit("gunicorn/run", "--workers 2", "--workers 2 --threads 4");
    let targets = site.listen("gunicorn");
    site.start("gunicorn");
    deploy_under_load(&site, "gunicorn", &targets);
}

#[test]
#[ignore = "takes a minute of both processors: `cargo test --test real -- --ignored replaces`"]
fn waitress() {
    let Some(mut site) = needs_server("waitress-serve").and_then(|servers| Site::new(Some(&servers))) else { return };
    let targets = site.listen("waitress");
    site.start("waitress");
    deploy_under_load(&site, "waitress", &targets);
}

#[test]
#[ignore = "takes a minute of both processors: `cargo test --test real -- --ignored replaces`"]
fn uwsgi() {
    let Some(mut site) = needs_server("uwsgi").and_then(|servers| Site::new(Some(&servers))) else { return };
    site.edit("uwsgi/run", "--http-socket fd://3", "--http-socket fd://3 --http-socket fd://4");
    let targets = site.listen("uwsgi");
    site.start("uwsgi");
    deploy_under_load(&site, "uwsgi", &targets);
}

#[test]
#[ignore = "takes a minute of both processors: `cargo test --test real -- --ignored replaces`"]
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
    deploy_under_load(&site, "django", &[Target::Tcp(address)]);
}

#[test]
fn the_server_in_rust() {
    let Some(mut site) = Site::new(None) else { return };
    let targets = site.listen("rust");
    site.start("rust");
    deploy_under_load(&site, "rust", &targets);
}
