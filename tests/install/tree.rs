//! A tree that is installed into: the root of a system, as far as `uphold boot` looks at it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use testkit::{Finished, Scratch, Suite, finish};

/// Makes a tree what it is.
pub type Prepare = fn(&Tree);

/// Every init, and what a tree needs to be taken for one of its systems.
pub const INITS: [(&str, Prepare); 7] = [
    ("systemd", |tree| tree.link("sbin/init", "../lib/systemd/systemd")),
    ("sysvinit", |tree| tree.write("etc/inittab", "id:2:initdefault:\nsi::sysinit:/etc/init.d/rcS\n")),
    ("sysvinit", |tree| tree.mkdir("etc/init.d")),
    ("openrc", |tree| tree.write("sbin/openrc-run", "")),
    ("upstart", |tree| {
        tree.mkdir("etc/init");
        tree.write("sbin/initctl", "");
    }),
    ("rc.d", |tree| tree.write("etc/rc.subr", "")),
    ("busybox", |tree| {
        tree.link("sbin/init", "/bin/busybox");
        tree.write("etc/inittab", "::sysinit:/etc/init.d/rcS\n::shutdown:/bin/umount -a -r\n");
    }),
];

/// One in a directory of the test's own.
pub struct Tree {
    scratch: Scratch,
}

/// Everything below a directory: mode, owner, and contents or target.
pub type Listing = BTreeMap<PathBuf, (u32, u32, Vec<u8>)>;

impl Tree {
    /// The tree of a system with this init.
    pub fn new(prepare: Prepare) -> Tree {
        // The installer is ours alone.
        let suite = Suite::under_test();
        let tree = Tree { scratch: Scratch::with(if suite.is_original() { Suite::ours() } else { suite }) };
        tree.mkdir("etc");
        prepare(&tree);
        tree
    }

    pub fn root(&self) -> PathBuf {
        self.scratch.path("root")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    pub fn mkdir(&self, name: &str) {
        self.scratch.mkdir(Path::new("root").join(name));
    }

    pub fn write(&self, name: &str, contents: &str) {
        self.scratch.write(Path::new("root").join(name), contents);
    }

    pub fn link(&self, name: &str, target: &str) {
        self.mkdir(Path::new(name).parent().and_then(Path::to_str).expect("a parent"));
        symlink(target, self.path(name)).expect("a link");
    }

    pub fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The program that installs.
    pub fn program(&self) -> PathBuf {
        self.scratch.suite().path("uphold")
    }

    /// `uphold boot VERB --root TREE` and these words.
    pub fn boot(&self, verb: &str, words: &[&str]) -> Finished {
        let mut command = self.scratch.command("uphold", &["boot", verb, "--root"]);
        finish(command.arg(self.root()).args(words))
    }

    /// The same, which must work. Returns what it said.
    pub fn boots(&self, verb: &str, words: &[&str]) -> String {
        let done = self.boot(verb, words);
        let said = done.err();
        // The program that is tested lies in no tree.
        let (warnings, other): (Vec<&str>, Vec<&str>) =
            said.lines().partition(|line| line.contains(", which is not there below "));
        assert!(warnings.len() <= 1 && other.is_empty(), "{verb} {words:?}: {said}");
        assert_eq!(done.code, 0, "{verb} {words:?}");
        done.out()
    }

    pub fn listing(&self) -> Listing {
        let mut listing = Listing::new();
        list(&self.root(), &mut listing);
        listing
    }
}

fn list(dir: &Path, listing: &mut Listing) {
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        let there = fs::symlink_metadata(&path).expect("it is there");
        let contents = match there.file_type() {
            kind if kind.is_symlink() => fs::read_link(&path).expect("a link").into_os_string().into_encoded_bytes(),
            kind if kind.is_dir() => {
                list(&path, listing);
                Vec::new()
            }
            _ => fs::read(&path).expect("a file"),
        };
        listing.insert(path, (there.mode(), there.uid(), contents));
    }
}
