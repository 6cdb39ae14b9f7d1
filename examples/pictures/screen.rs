//! What a terminal shows: text in colours, and a picture of it.

use std::fmt::Write;

/// The width of the terminal, in characters.
pub const COLUMNS: usize = 120;

/// A character, and the size of the text, in pixels.
const WIDE: f64 = 8.4;
const HIGH: f64 = 19.0;
const SIZE: f64 = 14.0;
/// Around the text, in pixels.
const MARGIN: f64 = 16.0;

/// The colours of the ground, its edge, and the text.
const GROUND: &str = "fill=\"#0d1117\" stroke=\"#30363d\"";
const TEXT: &str = "fill=\"#e6edf3\"";

/// A character and its looks, by their number (SGR, ECMA-48); 0 for none.
type Cell = (char, u8);

/// What stands in a terminal before a command.
const PROMPT: [Cell; 2] = [('$', 2), (' ', 0)];

/// The lines.
pub struct Screen(Vec<Vec<Cell>>);

impl Screen {
    /// Reads what was written to a terminal.
    ///
    /// # Panics
    /// If that has more in it than lines and looks.
    pub fn of(written: &str) -> Screen {
        let mut looks = 0;
        let lines = written.lines().map(|line| {
            let mut cells = Vec::new();
            for (at, part) in line.trim_end_matches('\r').split("\x1b[").enumerate() {
                let text = match part.split_once('m').filter(|_| at > 0) {
                    None => part,
                    Some((code, text)) => {
                        looks = code.parse().expect("one number");
                        text
                    }
                };
                assert!(!text.contains(char::is_control), "{line:?}");
                cells.extend(text.chars().map(|char| (char, looks)));
            }
            cells
        });
        Screen(lines.collect())
    }

    /// Without colours.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for line in &self.0 {
            let whole: String = line.iter().map(|(char, _)| char).collect();
            text += whole.trim_end();
            text.push('\n');
        }
        text
    }

    /// The picture, with what was typed above it.
    pub fn svg(&self, typed: &str) -> String {
        let first: Vec<Cell> = PROMPT.into_iter().chain(typed.chars().map(|char| (char, 0))).collect();
        let mut rows: Vec<&[Cell]> = vec![&first];
        for line in &self.0 {
            match line.is_empty() {
                true => rows.push(&[]),
                false => rows.extend(line.chunks(COLUMNS)),
            }
        }
        let longest = rows.iter().map(|row| row.len()).max().unwrap_or(0);
        let (width, height) = (2.0 * MARGIN + pixels(longest, WIDE), 2.0 * MARGIN + pixels(rows.len(), HIGH));
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" role=\"img\">\n\
             <title>{}</title>\n\
             <rect x=\"0.5\" y=\"0.5\" width=\"{:.0}\" height=\"{:.0}\" rx=\"6\" {GROUND}/>\n\
             <g font-family=\"ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', 'Liberation Mono', monospace\" font-size=\"{SIZE}\" {TEXT}>\n",
            escaped(typed),
            width - 1.0,
            height - 1.0
        );
        for (at, row) in rows.iter().enumerate() {
            let mut column = 0;
            for alike in row.chunk_by(|one, other| one.1 == other.1) {
                put(&mut svg, at, column, alike);
                column += alike.len();
            }
        }
        svg + "</g>\n</svg>\n"
    }
}

/// Puts characters that look alike into a row. Each part between wide gaps has its own place and length, so columns stand whatever the font is.
fn put(svg: &mut String, row: usize, mut column: usize, alike: &[Cell]) {
    let text: String = alike.iter().map(|(char, _)| char).collect();
    for part in text.split("  ") {
        let begin = part.chars().take_while(|char| *char == ' ').count();
        let shown = part.trim();
        if !shown.is_empty() {
            // Writing to a String cannot fail.
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{:.0}\" textLength=\"{:.1}\" lengthAdjust=\"spacingAndGlyphs\"{}>{}</text>",
                MARGIN + pixels(column + begin, WIDE),
                MARGIN + pixels(row, HIGH) + SIZE,
                pixels(shown.chars().count(), WIDE),
                alike.first().map_or("", |&(_, looks)| attribute(looks)),
                escaped(shown)
            );
        }
        column += part.chars().count() + 2;
    }
}

#[allow(clippy::cast_precision_loss)] // a few hundred
fn pixels(count: usize, each: f64) -> f64 {
    count as f64 * each
}

/// # Panics
/// For looks that nothing has yet.
fn attribute(looks: u8) -> &'static str {
    match looks {
        0 => "",
        1 => " font-weight=\"bold\"",
        2 => " fill=\"#8b949e\"",
        31 => " fill=\"#ff7b72\"",
        32 => " fill=\"#3fb950\"",
        33 => " fill=\"#d29922\"",
        36 => " fill=\"#39c5cf\"",
        _ => panic!("the picture of {looks} is not known"),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
