//! How far a service is that is waited for.

use std::path::PathBuf;

use machine::Tick;

use crate::service::wait::Awaited;

pub struct Waited {
    pub step: Step,
    pub since: Tick,
    /// Where the link leads that is to go away.
    pub target: PathBuf,
    /// `None` before its supervise is found.
    pub service: Option<Awaited>,
    pub logger: Option<Awaited>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A supervise should begin. `told` says that the kernel tells of it.
    Expected { told: bool },
    /// It comes up.
    Comes,
    /// It was told to be down.
    Ends,
    /// Its link is away, and its supervise was told to exit.
    Leaves,
    /// Its supervise has exited, and that of its logger was told to.
    Drains,
}

impl Waited {
    /// The supervise whose news matter now.
    pub fn awaited(&mut self) -> Option<&mut Awaited> {
        match self.step {
            Step::Expected { .. } => None,
            Step::Comes | Step::Ends | Step::Leaves => self.service.as_mut(),
            Step::Drains => self.logger.as_mut(),
        }
    }
}

impl Step {
    /// What is the case if nothing follows it.
    pub const fn rest(self) -> &'static str {
        match self {
            Step::Expected { .. } | Step::Comes => "",
            Step::Ends => "; its link stays",
            Step::Leaves => "; its link is away, and its supervise was told to exit",
            Step::Drains => {
                "; the service is gone, and its logger exits when no process has the log pipe open any more"
            }
        }
    }
}
