//! hupwatch at work in a directory of its own.

use testkit::{Running, Scratch, children, lives, wait_for, wait_until};

/// A command that notes its starts and what TERM it gets in `notes`, and ends by it.
pub const NOTING: &str = "trap 'echo TERM $$ >>notes; exit 0' TERM
echo start $$ >>notes
while :; do sleep 100000 & wait $!; done";

/// The same, but TERM does not end it.
pub const STUBBORN: &str = "trap 'echo TERM $$ >>notes' TERM
echo start $$ >>notes
while :; do sleep 100000 & wait $!; done";

/// A warm-up that is over before anybody notices.
pub const BRIEF: &str = "0.05";
/// A time that no test waits for.
pub const LONG: &str = "100000";

/// hupwatch, and the directory that it and its command work in.
pub struct Watch {
    pub scratch: Scratch,
    pub hupwatch: Running,
}

impl Watch {
    /// hupwatch with everything said, running a script with this body.
    pub fn over(options: &[&str], script: &str) -> Watch {
        let scratch = Scratch::new();
        scratch.script("command", script);
        Watch::of(scratch, &[&["-vvv"], options].concat(), &["./command"])
    }

    /// hupwatch with these options, running this command in this directory.
    pub fn of(scratch: Scratch, options: &[&str], command: &[&str]) -> Watch {
        let hupwatch = scratch.start("hupwatch", "hupwatch", &[options, &["--"], command].concat());
        Watch { scratch, hupwatch }
    }

    /// The same, once the command has noted its first start.
    pub fn begun(options: &[&str], script: &str) -> Watch {
        let watch = Watch::over(options, script);
        watch.wait_for_starts(1);
        watch
    }

    pub fn pid(&self) -> u32 {
        self.hupwatch.pid()
    }

    /// What it has said.
    pub fn said(&self) -> String {
        self.scratch.text("hupwatch.err")
    }

    /// How often it has said this.
    pub fn said_times(&self, text: &str) -> usize {
        self.said().matches(text).count()
    }

    pub fn wait_until_said(&self, text: &str, times: usize) {
        wait_until(&format!("{text} {times} times"), || self.said_times(text) >= times);
    }

    /// The lines of `notes`.
    pub fn notes(&self) -> Vec<String> {
        self.scratch.text("notes").lines().map(str::to_owned).collect()
    }

    /// The pids of the copies that were started, in order.
    pub fn starts(&self) -> Vec<u32> {
        self.notes().iter().filter_map(|note| note.strip_prefix("start ")?.parse().ok()).collect()
    }

    /// Waits until so many copies were started, and returns the last of them.
    pub fn wait_for_starts(&self, count: usize) -> u32 {
        wait_for(&format!("{count} starts"), || self.starts().get(count - 1).copied())
    }

    /// Waits until the copy `pid` sleeps: until each process that it has started is a `sleep`, and there are so many. One that a shell has
    /// forked and that has not executed yet can lose a signal.
    pub fn wait_until_asleep(&self, pid: u32, count: usize) {
        wait_until(&format!("{count} sleeps below {pid}"), || {
            let children = children(pid);
            children.len() == count && children.into_iter().all(is_sleep)
        });
    }

    /// Waits until a reload is over: `HUP: <<<` was said so many times.
    pub fn wait_for_reloads(&self, count: usize) {
        self.wait_until_said("HUP: <<<", count);
    }

    pub fn hup(&self) {
        self.hupwatch.signal("HUP");
    }

    /// Those of the copies that live.
    pub fn alive(&self) -> Vec<u32> {
        self.starts().into_iter().filter(|&pid| lives(pid)).collect()
    }
}

/// Whether the process is a `sleep`.
pub fn is_sleep(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "sleep\n")
}

/// A helper (see `helper.rs`) as words of a shell, which becomes it.
pub fn exec_helper(name: &str) -> String {
    let test = std::env::current_exe().expect("the test has a path");
    format!("HELPER={name} exec '{}' --exact reload::helper::helper --ignored --nocapture >/dev/null", test.display())
}
