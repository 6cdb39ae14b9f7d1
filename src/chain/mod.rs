//! Chain programs: each prepares the process and then becomes another program.

use std::os::unix::ffi::OsStrExt;

use cli::{LongWords, Options, Word, WrongOption};

pub mod chpst;
pub mod envdir;
pub mod envini;
pub mod envuidgid;
pub mod fghack;
mod ids;
mod limits;
pub mod pgrphack;
pub mod setlock;
pub mod setuidgid;
pub mod setuser;
pub mod softlimit;

/// Scans the one option that daemontools-encore has given to a program which has none in daemontools, and returns the operands. Where the first word does not
/// begin with that option, all words are operands, whatever they begin with. `letters` is as for [`Options::new`]; each value is given to `take`.
fn later_option<'a>(
    words: &'a [Word],
    letters: &'static str,
    mut take: impl FnMut(&'a [u8]),
) -> Result<&'a [Word], WrongOption> {
    let letter = letters.as_bytes().first();
    let first = words.first().and_then(|word| word.as_bytes().strip_prefix(b"-"));
    if letter.is_none() || first.and_then(<[u8]>::first) != letter {
        return Ok(words);
    }
    let mut options = Options::new(words, letters, LongWords::Dropped);
    while let Some((_, value)) = options.next()? {
        take(value);
    }
    Ok(options.operands())
}
