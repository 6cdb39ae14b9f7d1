//! Why a service is down for good though nobody told it to be, in the words of `svstat`, `svc --wait` and supervise's warning.

use svdir::Exit;
use svdir::record::Over;
use sys::process::Signal;

/// What is said where the kernel has killed a service because memory ran out.
pub const MEMORY: &str = "killed for memory";

/// The same, as short as a column of a table.
pub const NO_MEMORY: &str = "no memory";

/// The clause of `svstat`: that it is done, or why it has failed.
pub fn clause(over: Over) -> String {
    match over {
        Over::Done => "done".to_owned(),
        failed => format!("failed: {}", reason(failed)),
    }
}

/// What has brought it there.
pub fn reason(over: Over) -> String {
    match over {
        Over::Done => "exited 0".to_owned(),
        Over::Finish => "finish said so".to_owned(),
        Over::Often { times, seconds } => {
            let word = if times == 1 { "time" } else { "times" };
            format!("ended {times} {word} in {seconds} seconds")
        }
        Over::Ended(exit) => ended(exit),
        Over::Start(exit @ Exit::Signal(_)) => format!("start was {}", ended(exit)),
        Over::Start(exit) => format!("start {}", ended(exit)),
        Over::Unknown => "a later version knows why".to_owned(),
    }
}

/// How the service has ended.
pub fn ended(exit: Exit) -> String {
    match exit {
        Exit::Code(code) => format!("exited {code}"),
        Exit::Signal(signal) => match Signal::try_from(i32::from(signal)) {
            Ok(signal) => format!("killed by {signal}"),
            Err(_) => format!("killed by signal {signal}"),
        },
        Exit::Unknown => "ended unseen".to_owned(),
    }
}

/// How the service has ended, as short as a column of a table.
pub fn ended_short(exit: Exit) -> String {
    match exit {
        Exit::Code(code) => format!("exited {code}"),
        Exit::Signal(signal) => match Signal::try_from(i32::from(signal)) {
            Ok(signal) => signal.as_str().trim_start_matches("SIG").to_owned(),
            Err(_) => format!("signal {signal}"),
        },
        Exit::Unknown => "unseen".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_words() {
        let ended = [Exit::Code(3), Exit::Signal(11), Exit::Signal(40), Exit::Unknown].map(Over::Ended).map(clause);
        let expected = ["exited 3", "killed by SIGSEGV", "killed by signal 40", "ended unseen"];
        assert_eq!(ended, expected.map(|why| format!("failed: {why}")));
        let short = [Exit::Code(3), Exit::Signal(11), Exit::Signal(40), Exit::Unknown].map(ended_short);
        assert_eq!(short, ["exited 3", "SEGV", "signal 40", "unseen"]);
        assert_eq!(clause(Over::Start(Exit::Code(1))), "failed: start exited 1");
        assert_eq!(clause(Over::Start(Exit::Signal(9))), "failed: start was killed by SIGKILL");
        let often = Over::Often { times: 5, seconds: 60 };
        assert_eq!(clause(often), "failed: ended 5 times in 60 seconds");
        assert_eq!([Over::Done, Over::Finish].map(clause), ["done", "failed: finish said so"]);
    }
}
