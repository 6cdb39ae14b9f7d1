//! A table for people: columns as wide as what stands in them, fitted to a terminal.

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// What stands above it.
    pub title: &'static str,
    /// Numbers stand at the right.
    pub right: bool,
    /// Columns with a greater number are left out first where the table is too wide; one with 0 never is.
    pub dispensable: u8,
}

/// A cell: its text, and the number of its colour in a terminal (SGR, ECMA-48), if it has one.
pub type Cell = (String, Option<u8>);

/// Between two columns, in characters.
const GAP: usize = 2;
/// The least width to which the last column is cut, in characters.
const LEAST: usize = 16;
/// Stands where something was cut off.
const CUT: &str = "...";

/// Lays out a table, with a line of titles. `width` is that of the terminal in characters, or `None`: then nothing is cut or left out. Colours are written only if `coloured` is
/// true. Each row has a cell for each column. Where no column has a title, there is no line of them.
pub fn lines(columns: &[Column], rows: &[Vec<Cell>], width: Option<usize>, coloured: bool) -> String {
    let wide = |at: usize| {
        let cells = rows.iter().filter_map(|row| row.get(at)).map(|(text, _)| length(text));
        cells.chain([length(columns[at].title)]).max().unwrap_or(0)
    };
    let mut shown: Vec<(usize, usize)> = (0..columns.len()).map(|at| (at, wide(at))).collect();
    if let Some(width) = width {
        fit(columns, &mut shown, width);
    }
    let mut text = String::new();
    let titles: Vec<Cell> = columns.iter().map(|column| (column.title.to_owned(), None)).collect();
    let is_titled = columns.iter().any(|column| !column.title.is_empty());
    for row in is_titled.then_some(&titles).into_iter().chain(rows) {
        let mut line = Line { text: String::new(), length: 0, room: width.unwrap_or(usize::MAX) };
        for (place, &(at, wide)) in shown.iter().enumerate() {
            let Some((cell, colour)) = row.get(at) else {
                continue;
            };
            if place > 0 {
                line.pad(GAP);
            }
            // What would be dots alone is left out.
            let scarce = place > 0 && line.room - line.length <= CUT.len();
            let cell = if scarce && length(cell) > line.room - line.length { String::new() } else { cut(cell, wide) };
            let pad = wide - length(&cell);
            if columns[at].right {
                line.pad(pad);
            }
            line.put(&cell, colour.filter(|_| coloured));
            if !columns[at].right {
                line.pad(pad);
            }
        }
        text += line.text.trim_end();
        text.push('\n');
    }
    text
}

/// Leaves out columns, and makes the last one narrower, until the table fits, if it can.
fn fit(columns: &[Column], shown: &mut Vec<(usize, usize)>, width: usize) {
    let total = |shown: &[(usize, usize)]| shown.iter().map(|&(_, wide)| wide + GAP).sum::<usize>().saturating_sub(GAP);
    loop {
        let over = total(shown).saturating_sub(width);
        let Some(last) = shown.last_mut().filter(|_| over > 0) else {
            return;
        };
        if last.1 > LEAST && last.1 - LEAST >= over {
            last.1 -= over;
            return;
        }
        let most = shown.iter().enumerate().max_by_key(|(_, (at, _))| columns[*at].dispensable);
        match most.filter(|(_, (at, _))| columns[*at].dispensable > 0).map(|(place, _)| place) {
            Some(place) => drop(shown.remove(place)),
            // The lines are cut.
            None => return,
        }
    }
}

/// A line that is cut at the width of the terminal.
struct Line {
    text: String,
    length: usize,
    room: usize,
}

impl Line {
    fn pad(&mut self, count: usize) {
        let count = count.min(self.room - self.length);
        self.text.extend(std::iter::repeat_n(' ', count));
        self.length += count;
    }

    fn put(&mut self, text: &str, colour: Option<u8>) {
        let text = cut(text, self.room - self.length);
        self.length += length(&text);
        match colour.filter(|_| !text.is_empty()) {
            Some(colour) => self.text += &format!("\x1b[{colour}m{text}\x1b[0m"),
            None => self.text += &text,
        }
    }
}

fn length(text: &str) -> usize {
    text.chars().count()
}

/// The text, or its beginning with dots behind it.
fn cut(text: &str, room: usize) -> String {
    if length(text) <= room {
        return text.to_owned();
    }
    let dots = CUT.get(..room.min(CUT.len())).unwrap_or_default();
    let kept: String = text.chars().take(room - dots.len()).collect();
    kept + dots
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 4] = [
        Column { title: "NAME", right: false, dispensable: 0 },
        Column { title: "PID", right: true, dispensable: 1 },
        Column { title: "CPU", right: true, dispensable: 2 },
        Column { title: "WHY", right: false, dispensable: 0 },
    ];

    fn row(cells: [&str; 4]) -> Vec<Cell> {
        let [name, pid, cpu, why] = cells.map(str::to_owned);
        vec![(name, Some(31)), (pid, None), (cpu, None), (why, None)]
    }

    fn shown(width: Option<usize>) -> String {
        lines(
            &COLUMNS,
            &[row(["web", "12345", "-", "a reason that is long"]), row(["b\u{e4}r", "7", "-", ""])],
            width,
            false,
        )
    }

    #[test]
    fn columns_are_as_wide_as_what_stands_in_them() {
        let expected = "NAME    PID  CPU  WHY\nweb   12345    -  a reason that is long\nb\u{e4}r       7    -\n";
        assert_eq!([shown(None), shown(Some(80)), shown(Some(39))], [expected; 3]);
    }

    #[test]
    fn a_narrow_terminal_gets_the_columns_that_matter() {
        assert_eq!(
            shown(Some(36)),
            "NAME    PID  CPU  WHY\nweb   12345    -  a reason that i...\nb\u{e4}r       7    -\n"
        );
        assert_eq!(shown(Some(30)), "NAME    PID  WHY\nweb   12345  a reason that ...\nb\u{e4}r       7\n");
        assert_eq!(shown(Some(22)), "NAME  WHY\nweb   a reason that...\nb\u{e4}r\n");
        assert_eq!(shown(Some(9)), "NAME  WHY\nweb\nb\u{e4}r\n");
        assert_eq!(shown(Some(2)), "..\n..\n..\n");
        assert_eq!(shown(Some(0)), "\n\n\n");
    }

    #[test]
    fn a_colour_ends_with_its_cell() {
        let text = lines(&COLUMNS, &[row(["web", "7", "-", ""])], None, true);
        assert_eq!(text, "NAME  PID  CPU  WHY\n\x1b[31mweb\x1b[0m     7    -\n");
    }
}
