//! Which end of the service is final. It looks at ends that nobody asked for, while the service is wanted up: `svc -t` starts a service again whose ends are all final.

use svdir::Exit;
use svdir::finals::Finals;
use svdir::record::Over;

/// Why this end is the last one, if it is one of those.
pub fn judge(finals: &Finals, exit: Exit) -> Option<Over> {
    finals.holds(exit).then_some(match exit {
        Exit::Code(0) => Over::Done,
        exit => Over::Ended(exit),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_ends_with_code_0_is_done() {
        let judged =
            [Exit::Code(0), Exit::Code(3), Exit::Signal(9), Exit::Unknown].map(|exit| judge(&Finals::ANY, exit));
        let failed = |exit| Some(Over::Ended(exit));
        assert_eq!(judged, [Some(Over::Done), failed(Exit::Code(3)), failed(Exit::Signal(9)), failed(Exit::Unknown)]);
        assert_eq!(judge(&Finals::default(), Exit::Code(0)), None);
    }
}
