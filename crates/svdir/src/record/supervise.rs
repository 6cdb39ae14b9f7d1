//! The supervise that writes the record, in the record.

use super::sections::{Fields, Writer};
use super::text::Text;

/// In which life of the system a record was written: pids of another one say nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boot {
    /// The id of the kernel's boot. Records of the first layout have it; it stays the same when a container is started again.
    Kernel([u8; 16]),
    /// Of the kernel's boot, of this PID namespace and of this time namespace together.
    Namespace([u8; 16]),
}

impl Default for Boot {
    fn default() -> Boot {
        Boot::Namespace([0; 16])
    }
}

/// Who supervises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Supervise {
    /// Its pid.
    pub pid: u32,
    /// It has exited because it was told to: its successor begins anew.
    pub exited: bool,
    /// When. All zeros if that could not be told.
    pub boot: Boot,
    /// Inode number of the pipe that is its stdin; 0 if that is no pipe.
    pub stdin: u64,
    /// Inode number of the log pipe that is its stdout; 0 if that is none.
    pub stdout: u64,
    /// Its version.
    pub version: Text<12>,
    /// Device and inode number of the service directory; both 0 where that is not told.
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

    /// What [`encode`](Supervise::encode) wrote.
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
