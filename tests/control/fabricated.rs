//! A service directory without a supervise: the test makes the files and stands in for it.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use testkit::Scratch;

/// Nothing is done for longer than this in a test, so a stamp so far ahead lies in the future.
pub const AHEAD: i64 = 1_000_000;

/// A service directory whose `ok` and `control` the test reads.
pub struct Fabricated {
    pub dir: PathBuf,
    control: File,
    _ok: File,
}

impl Fabricated {
    pub fn new(scratch: &Scratch, name: impl AsRef<Path>) -> Fabricated {
        let dir = dead(scratch, name);
        let open = |file: &str| sys::fd::open_read(&dir.join(file)).expect("a FIFO");
        Fabricated { control: open("supervise/control"), _ok: open("supervise/ok"), dir }
    }

    /// What `svc` has sent since the last call.
    pub fn received(&mut self) -> String {
        let mut bytes = vec![0; 1 << 17];
        let mut all = Vec::new();
        while let Ok(count @ 1..) = self.control.read(&mut bytes) {
            all.extend_from_slice(&bytes[..count]);
        }
        String::from_utf8(all).expect("letters")
    }

    /// Fills the control FIFO, so that the next write must wait.
    pub fn fill(&self) {
        let mut writer = sys::fd::open_write(&self.dir.join("supervise/control")).expect("read by us");
        while writer.write(&[b' '; 4096]).is_ok() {}
        while writer.write(b" ").is_ok() {}
    }

    pub fn status(&self, record: &[u8]) {
        fs::write(self.dir.join("supervise/status"), record).expect("a file");
    }
}

/// A service directory whose FIFOs nobody reads.
pub fn dead(scratch: &Scratch, name: impl AsRef<Path>) -> PathBuf {
    let dir = scratch.path(name);
    fs::create_dir_all(dir.join("supervise")).expect("a directory");
    sys::fd::make_fifo(&dir.join("supervise/control")).expect("a FIFO");
    sys::fd::make_fifo(&dir.join("supervise/ok")).expect("a FIFO");
    dir
}

/// A link that leads to itself.
pub fn link_loop(at: &Path) {
    let _ = fs::remove_file(at);
    symlink(at.file_name().expect("a name"), at).expect("a link");
}

/// The 18 bytes of a status record whose stamp lies `ago` seconds back.
pub fn record(ago: i64, pid: u32, paused: u8, want: u8) -> Vec<u8> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs() as i64;
    let mut bytes = (4_611_686_018_427_387_914 + now - ago).to_be_bytes().to_vec();
    bytes.extend([0, 0, 0, 0]);
    bytes.extend(pid.to_le_bytes());
    bytes.extend([paused, want]);
    bytes
}
