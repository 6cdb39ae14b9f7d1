//! Local time, in the time zone of the environment, as glibc finds that.

use std::env;
use std::ffi::OsStr;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use tai::{LocalTime, Zone};

/// The time zone of the environment, as glibc finds it; UTC if nothing is found.
pub fn zone() -> Zone {
    let name = env::var_os("TZ");
    let name = name.as_deref().map(|name| name.as_bytes().strip_prefix(b":").unwrap_or(name.as_bytes()));
    match name {
        None => read(Path::new("/etc/localtime")).and_then(|bytes| Zone::from_file(&bytes)),
        Some(name) => {
            let file = zone_file(OsStr::from_bytes(name)).and_then(|bytes| Zone::from_file(&bytes));
            file.or_else(|| Zone::from_text(name))
        }
    }
    .unwrap_or_default()
}

/// Reads the file of a zone, from the directory that most systems have.
fn zone_file(name: &OsStr) -> Option<Vec<u8>> {
    let directory = env::var_os("TZDIR").filter(|directory| !directory.is_empty());
    read(&Path::new(directory.as_deref().unwrap_or(OsStr::new("/usr/share/zoneinfo"))).join(name))
}

fn read(path: &Path) -> Option<Vec<u8>> {
    /// The largest file of a zone that is read, in bytes.
    const MOST: u64 = 1 << 20;
    let mut bytes = Vec::new();
    sys::fd::open_read(path).ok()?.take(MOST).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// The local time of the last second that was asked for: lines of the same second come together.
pub struct Times {
    zone: Zone,
    second: Option<i64>,
    /// Empty if that second has no local time.
    text: Vec<u8>,
}

impl Times {
    /// Those of the time zone of the environment.
    pub fn local() -> Times {
        Times { zone: zone(), second: None, text: Vec::new() }
    }

    /// Those of UTC.
    pub fn utc() -> Times {
        Times { zone: Zone::default(), second: None, text: Vec::new() }
    }

    /// Appends the local time of a Unix second; `false` if it has none.
    pub fn put(&mut self, second: i64, out: &mut Vec<u8>) -> bool {
        if self.second != Some(second) {
            self.look_up(second);
        }
        out.extend_from_slice(&self.text);
        !self.text.is_empty()
    }

    fn look_up(&mut self, second: i64) {
        self.second = Some(second);
        self.text.clear();
        if let Some(time) = self.zone.local_time(second) {
            let LocalTime { year, month, day, hour, minute, second } = time;
            // Writing to a Vec cannot fail.
            let _ = write!(self.text, "{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}");
        }
    }
}
