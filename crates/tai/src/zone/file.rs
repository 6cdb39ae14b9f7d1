//! The file of a zone: TZif (RFC 9636). From version 2 on it has everything twice, the second time with 64-bit seconds, and ends in a rule.

/// The contents of a file.
pub(super) struct File {
    pub changes: Vec<Change>,
    kinds: Vec<Kind>,
    pub leaps: Vec<(i64, i64)>,
    /// The rule that holds after the last change, as text; often empty.
    pub rule: Vec<u8>,
}

/// A time from which on another kind of time holds.
pub(super) struct Change {
    pub at: i64,
    pub kind: Kind,
}

/// A kind of time in a zone.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    /// Seconds east of Greenwich.
    pub offset: i64,
    summer: bool,
}

/// The counts in the header, of the parts that follow it.
struct Counts {
    universal: usize,
    standard: usize,
    leaps: usize,
    changes: usize,
    kinds: usize,
    letters: usize,
}

impl Counts {
    /// How many bytes these parts take if seconds have this `width` in bytes.
    fn len(&self, width: usize) -> Option<usize> {
        let each = [
            (self.changes, width + 1),
            (self.kinds, 6),
            (self.letters, 1),
            (self.leaps, width + 4),
            (self.standard, 1),
            (self.universal, 1),
        ];
        each.iter().try_fold(0_usize, |sum, &(count, size)| sum.checked_add(count.checked_mul(size)?))
    }
}

impl File {
    /// Reads the bytes of a file; `None` if they are not such a file.
    pub fn parse(bytes: &[u8]) -> Option<File> {
        let mut bytes = Bytes(bytes);
        let (version, counts) = bytes.header()?;
        if version == 0 {
            return bytes.body(&counts, 4);
        }
        bytes.take(counts.len(4)?)?;
        let (_, counts) = bytes.header()?;
        let mut file = bytes.body(&counts, 8)?;
        if let Some((b'\n', rest)) = bytes.0.split_first() {
            file.rule = rest.split(|&byte| byte == b'\n').next().unwrap_or_default().to_vec();
        }
        Some(file)
    }

    /// The kind of time before the first change: the first kind that is not summer time.
    pub fn first(&self) -> Option<Kind> {
        self.kinds.iter().find(|kind| !kind.summer).or(self.kinds.first()).copied()
    }
}

struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(front)
    }

    /// Reads the version (0 for the first) and the counts.
    fn header(&mut self) -> Option<(u8, Counts)> {
        let (magic, rest) = self.take(44)?.split_at(4);
        if magic != b"TZif" {
            return None;
        }
        let count = |at: usize| integer(&rest[16 + 4 * at..][..4]) as u32 as usize;
        let [universal, standard, leaps, changes, kinds, letters] = [0, 1, 2, 3, 4, 5].map(count);
        Some((rest[0], Counts { universal, standard, leaps, changes, kinds, letters }))
    }

    /// Reads everything but the rule, with seconds of this `width` in bytes.
    fn body(&mut self, counts: &Counts, width: usize) -> Option<File> {
        let mut body = Bytes(self.take(counts.len(width)?)?);
        let times = body.take(counts.changes * width)?;
        let indexes = body.take(counts.changes)?;
        let kinds = body.take(counts.kinds * 6)?;
        body.take(counts.letters)?;
        let leaps = body.take(counts.leaps * (width + 4))?;
        let kind = |kind: &[u8]| Kind { offset: integer(&kind[..4]), summer: kind[4] != 0 };
        let kinds: Vec<Kind> = kinds.chunks_exact(6).map(kind).collect();
        let changes = times
            .chunks_exact(width)
            .zip(indexes)
            .map(|(time, &index)| kinds.get(usize::from(index)).map(|&kind| Change { at: integer(time), kind }));
        let changes = changes.collect::<Option<_>>()?;
        let leaps = leaps.chunks_exact(width + 4).map(|leap| (integer(&leap[..width]), integer(&leap[width..])));
        Some(File { changes, leaps: leaps.collect(), kinds, rule: Vec::new() })
    }
}

/// Reads a signed number of four or eight bytes.
fn integer(bytes: &[u8]) -> i64 {
    let unsigned = bytes.iter().fold(0_u64, |number, &byte| number << 8 | u64::from(byte));
    let spare = 64 - 8 * bytes.len() as u32;
    (unsigned << spare) as i64 >> spare
}

#[cfg(test)]
mod tests {
    use super::super::Zone;

    /// A zone that was an hour east of Greenwich until 1970, two since, and again one in summers since the second 1,000,000; a leap second at 500,000.
    fn file() -> Vec<u8> {
        let header = |version: u8, [changes, kinds, leaps]: [u8; 3]| {
            let mut header = vec![0; 44];
            header[..5].copy_from_slice(&[b'T', b'Z', b'i', b'f', version]);
            (header[31], header[35], header[39], header[43]) = (leaps, changes, kinds, 4);
            header
        };
        let mut bytes = header(b'2', [0, 1, 0]);
        bytes.extend_from_slice(&[0; 10]);
        bytes.extend(header(b'2', [2, 3, 1]));
        bytes.extend([0, 1_000_000].iter().flat_map(|at: &i64| at.to_be_bytes()));
        bytes.extend_from_slice(&[1, 2]);
        for (offset, summer) in [(3_600_i32, 0), (7_200, 0), (3_600, 1)] {
            bytes.extend(offset.to_be_bytes());
            bytes.extend([summer, 0]);
        }
        bytes.extend_from_slice(b"XXX\0");
        bytes.extend(500_000_i64.to_be_bytes());
        bytes.extend(1_i32.to_be_bytes());
        bytes.extend_from_slice(b"\nXXX-2YYY-1,0/0,J365/25\n");
        bytes
    }

    #[test]
    fn a_file_tells_what_holds_before_between_and_after_its_changes() {
        let zone = Zone::from_file(&file()).expect("a zone");
        let shown = |seconds| {
            let time = zone.local_time(seconds).expect("a time");
            (time.day, time.hour, time.minute, time.second)
        };
        assert_eq!(shown(-1), (1, 0, 59, 59));
        assert_eq!(shown(0), (1, 2, 0, 0));
        // It is counted, and from then on the clock is a second ahead.
        assert_eq!([499_999, 500_000, 500_001].map(shown), [(6, 20, 53, 19), (6, 20, 53, 20), (6, 20, 53, 20)]);
        assert_eq!([999_999, 1_000_000].map(shown), [(12, 15, 46, 38), (12, 14, 46, 39)]);
    }

    #[test]
    fn a_damaged_file_is_no_zone() {
        let file = file();
        let rule = file.iter().rposition(|&byte| byte == b'X').expect("a rule") - 3;
        for length in 0..rule {
            assert_eq!(Zone::from_file(&file[..length]), None, "{length} bytes");
        }
        // Whatever else is wrong, it is read without a panic.
        for at in 0..file.len() {
            for value in [0, 1, 127, 128, 255] {
                let mut wrong = file.clone();
                wrong[at] = value;
                for seconds in [i64::MIN, -1, 0, 1 << 40, i64::MAX] {
                    let _ = Zone::from_file(&wrong).unwrap_or_default().local_time(seconds);
                }
            }
        }
    }
}
