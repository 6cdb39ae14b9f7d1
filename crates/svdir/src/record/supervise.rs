//! The supervise that writes the record, as a section of the record.

use super::sections::{Fields, Writer};
use super::text::Text;

/// The boot of the system in which a record was written: pids from another boot mean nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boot {
    /// The boot id of the kernel, in records of the first layout. It stays the same when a container is started again.
    Kernel([u8; 16]),
    /// An id of the kernel's boot, of the PID namespace and of the time namespace together.
    Namespace([u8; 16]),
}

impl Default for Boot {
    fn default() -> Boot {
        Boot::Namespace([0; 16])
    }
}

/// The supervise that writes the record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Supervise {
    /// Its pid.
    pub pid: u32,
    /// It has exited because it was told to: there is nothing to take over.
    pub exited: bool,
    /// The boot in which it wrote the record. All zeros if that is unknown.
    pub boot: Boot,
    /// Inode number of the pipe that is its stdin; 0 if that is not a pipe.
    pub stdin: u64,
    /// Inode number of the log pipe that is its stdout; 0 if that is not a log pipe.
    pub stdout: u64,
    /// Its version.
    pub version: Text<12>,
    /// Device and inode number of the service directory; both 0 if they are unknown.
    pub directory: (u64, u64),
}

impl Supervise {
    /// Writes pid, whether it has exited, the boot, both pipes, the version and the directory.
    pub(super) fn encode(&self, section: &mut Writer<'_>) {
        let (kind, boot) = match self.boot {
            Boot::Namespace(id) => (0, id),
            Boot::Kernel(id) => (1, id),
        };
        section.number(self.pid);
        section.byte(u8::from(self.exited));
        section.byte(kind);
        section.put(&boot);
        section.long(self.stdin);
        section.long(self.stdout);
        section.put(self.version.padded());
        section.long(self.directory.0);
        section.long(self.directory.1);
    }

    /// Reads what [`encode`](Supervise::encode) wrote.
    pub(super) fn decode(section: &mut Fields<'_>) -> Supervise {
        let (pid, exited, kind, id) = (section.number(), section.byte() != 0, section.byte(), section.array());
        Supervise {
            pid,
            exited,
            boot: if kind == 1 { Boot::Kernel(id) } else { Boot::Namespace(id) },
            stdin: section.long(),
            stdout: section.long(),
            version: Text::new(&section.array::<12>()),
            directory: (section.long(), section.long()),
        }
    }

    /// Its version, if that is printable.
    pub fn version(&self) -> Option<&str> {
        let text = self.version.some().and_then(|bytes| std::str::from_utf8(bytes).ok())?;
        text.bytes().all(|byte| byte.is_ascii_graphic()).then_some(text)
    }
}
