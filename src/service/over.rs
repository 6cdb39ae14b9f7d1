//! Why a service is down for good though nobody told it to be, in the words of `svstat`, `svc --wait` and supervise's warning.

use svdir::record::Over;

/// Why it has failed.
pub fn reason(over: Over) -> String {
    match over {
        Over::Finish => "finish said so".to_owned(),
        Over::Unknown => "a later version knows why".to_owned(),
    }
}
