//! A copy of `examples/deploy`, its services on addresses of their own.

use std::io::Read;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use testkit::{Running, Scratch, Suite, wait_until};

use crate::load::{Load, Options, Target};
use crate::server;

/// Far longer than anything takes: six of these tests run at a time on a machine that may be busy.
pub const PATIENCE: &str = "5m";

/// How often a server is replaced in a row.
const REPLACES: usize = 20;

/// A site in a directory of its own.
pub struct Site {
    pub scratch: Scratch,
    supervises: Vec<Running>,
}

/// Where the servers are installed, if this one is.
pub fn needs_server(name: &str) -> Option<PathBuf> {
    let beside = Suite::ours().directory().with_file_name("servers");
    let servers = std::env::var_os("UPHOLD_SERVERS").map_or(beside, PathBuf::from);
    if servers.join("bin").join(name).exists() {
        return std::fs::canonicalize(servers).ok();
    }
    testkit::skip(&format!("{name} is not installed, tests/real/install does that"));
    None
}

/// A port of this machine that nobody has now.
pub fn free_address() -> SocketAddr {
    // One that bind(2) chooses is not given again soon.
    TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port")
}

impl Site {
    /// Copies the examples. The directory with the servers is linked where there is one.
    pub fn new(servers: Option<&Path>) -> Option<Site> {
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/deploy");
        if !examples.join("deploy").exists() {
            testkit::skip("the examples cannot be read");
            return None;
        }
        let scratch = Scratch::new();
        copied(&examples.join("."), scratch.root());
        if let Some(servers) = servers {
            std::os::unix::fs::symlink(servers, scratch.path("venv")).expect("a link");
        }
        let site = Site { scratch, supervises: Vec::new() };
        site.scratch.script("server", &Site::server("\"$1\""));
        Some(site)
    }

    /// Makes a service as another one is, which has not been started.
    #[allow(dead_code)] // Not each of these targets has several.
    pub fn copy(&self, name: &str, to: &str) {
        copied(&self.scratch.path(name), &self.scratch.path(to));
    }

    /// Shell words that become the server in Rust, with this page.
    pub fn server(page: &str) -> String {
        let program = std::env::current_exe().expect("the test has a path");
        format!("REAL_SERVE={page} exec '{}' --exact helper --nocapture >/dev/null", program.display())
    }

    /// Puts `new` where `old` stands in a file.
    pub fn edit(&self, file: &str, old: &str, new: &str) {
        let text = self.scratch.text(file);
        assert!(text.contains(old), "{file}: {text}");
        self.scratch.install(file, text.replace(old, new).as_bytes());
    }

    /// Lets the service `name` listen on a free TCP port and on a Unix socket in its directory.
    pub fn listen(&self, name: &str) -> [Target; 2] {
        let address = free_address();
        self.scratch.write(format!("{name}/sockets/web"), format!("tcp {address}\n"));
        self.scratch.write(format!("{name}/sockets/web2"), "unix web.sock\n");
        [Target::Tcp(address), Target::Unix(self.scratch.path(name).join("web.sock"))]
    }

    /// Starts a service with release 1, and waits until it is ready.
    pub fn start(&mut self, name: &str) {
        for knob in ["timeout-ready", "timeout-kill"] {
            self.scratch.write(format!("{name}/{knob}"), PATIENCE);
        }
        self.switch(name, "1");
        self.supervises.push(self.scratch.start(name, "supervise", &[name]));
        wait_until("a supervise runs", || self.scratch.run("svok", &[name]).code == 0);
        self.svc(&["--wait=ready", "--timeout=5m", name]);
    }

    /// The pid of the supervise that was started first.
    pub fn supervise(&self) -> u32 {
        self.supervises[0].pid()
    }

    /// Lets the link of the service lead to a release.
    pub fn switch(&self, name: &str, release: &str) {
        let link = self.scratch.path(name).join("current");
        let _ = std::fs::remove_file(&link);
        std::os::unix::fs::symlink(self.scratch.path("releases").join(release), link).expect("a link");
    }

    /// Runs svc to its end, which may take long, and returns what it said; empty is success.
    pub fn try_svc(&self, words: &[&str]) -> String {
        said(self.scratch.command("svc", words))
    }

    /// The same, and it has to succeed.
    #[track_caller]
    pub fn svc(&self, words: &[&str]) {
        let said = self.try_svc(words);
        assert_eq!(said, "", "{}", self.logs());
    }

    /// Runs the script that deploys, and returns what it said on stderr; empty is success.
    pub fn deploy(&self, name: &str, release: &str) -> String {
        let mut command = Command::new(self.scratch.path("deploy"));
        command.args([name, &format!("releases/{release}")]).current_dir(self.scratch.root());
        command.env("PATH", self.scratch.suite().search_path());
        said(command)
    }

    /// Waits until the service has one copy, and returns its pid.
    #[track_caller]
    pub fn settled(&self, name: &str) -> u32 {
        testkit::wait_for("one copy is left", || {
            let line = self.scratch.run("svstat", &[name]).out();
            let alone = !line.contains(", starting") && !line.contains(", ending");
            line.split_once("up (pid ").filter(|_| alone)?.1.split(')').next()?.parse().ok()
        })
    }

    /// Deploys releases 2 and 1 in turn, twenty times, while clients ask.
    #[track_caller]
    pub fn deploy_under_load(&self, name: &str, targets: &[Target]) {
        let loads = load(targets);
        for replace in 1..=REPLACES {
            wait_for_answers(&loads);
            let said = self.deploy(name, if replace % 2 == 1 { "2" } else { "1" });
            assert_eq!(said, "", "replacement {replace}: {}", self.logs());
        }
        self.settled(name);
        wait_for_answers(&loads);
        finish(loads, self);
        // The last release answers, and no copy of another one.
        let loads = load(targets);
        wait_for_answers(&loads);
        for load in loads {
            let tally = load.finish();
            assert_eq!(tally.answers().keys().collect::<Vec<_>>(), ["release 1"], "{}", tally.table());
        }
        assert_eq!(self.scratch.text(format!("{name}.err")), "");
    }

    /// What supervises and services wrote.
    pub fn logs(&self) -> String {
        let files = std::fs::read_dir(self.scratch.root()).expect("it is there").flatten();
        let names = files.map(|file| file.file_name().to_string_lossy().into_owned());
        let logs = names.filter(|name| name.ends_with(".out") || name.ends_with(".err"));
        logs.map(|name| format!("{name}:\n{}\n", self.scratch.text(&name))).collect()
    }
}

fn copied(from: &Path, to: &Path) {
    let copied = testkit::finish(Command::new("cp").arg("-R").arg(from).arg(to));
    assert_eq!((copied.code, copied.err().as_str()), (0, ""));
}

/// What the test `helper` of each of these targets is: in a site, where [`Site::server`] names it as its program, the server in Rust.
pub fn be_the_server() {
    if let Some(page) = std::env::var_os("REAL_SERVE") {
        server::serve(page.as_ref()).expect("it serves");
        // One that takes no more requests after TERM, and does not end.
        while std::env::var_os("REAL_STAY").is_some() {
            std::thread::park();
        }
    }
}

/// Runs a command for as long as it takes; returns its stderr, and how it ended where that is not success.
fn said(mut command: Command) -> String {
    let mut running = testkit::start(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()));
    let mut text = String::new();
    let stderr = running.child().stderr.take();
    stderr.expect("piped").read_to_string(&mut text).expect("text");
    let status = running.child().wait().expect("a child of ours");
    if !status.success() {
        text += &format!("{status}\n");
    }
    text
}

/// Sixteen clients for each target, with little rest, so that a busy machine still gets its servers started.
pub fn load(targets: &[Target]) -> Vec<Load> {
    let start = |target: &Target| {
        let mut options = Options::new(target.clone());
        options.timeout = Duration::from_secs(120);
        options.pause = Duration::from_millis(5);
        options.expect = "release ".to_owned();
        Load::start(&options)
    };
    targets.iter().map(start).collect()
}

/// Ends the clients. No request may have failed.
#[track_caller]
pub fn finish(loads: Vec<Load>, site: &Site) {
    for load in loads {
        let tally = load.finish();
        assert!(tally.failed() == 0 && tally.asked() > 0, "{}\n{}", tally.table(), site.logs());
    }
}

/// Waits until every client side has got more answers than now.
#[track_caller]
pub fn wait_for_answers(loads: &[Load]) {
    for load in loads {
        let before = load.asked();
        wait_until("requests are answered", || load.asked() >= before + 16);
    }
}
