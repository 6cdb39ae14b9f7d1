//! What may stand where in the command line of a program, by the texts of its help page.

use cli::Program;

/// What a value or an operand may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A name of a service, or the path of its directory.
    Service,
    Directory,
    File,
    User,
    Command,
    /// One of these words, each with its meaning.
    Words(Vec<(&'static str, &'static str)>),
    /// Nobody can tell.
    Other,
}

/// An option.
#[derive(Debug)]
pub struct Choice {
    /// Its names, with their dashes.
    pub names: Vec<&'static str>,
    pub value: Option<Kind>,
    pub meaning: &'static str,
}

/// An operand: what it may be, and whether there may be any number of it.
type Operand = (Vec<Kind>, bool);

/// The grammar of a program.
pub struct Grammar {
    pub choices: Vec<Choice>,
    operands: Vec<Operand>,
    /// Those behind `--`, where that says what it is.
    behind: Option<Vec<Operand>>,
}

impl Grammar {
    /// Reads the texts. Where `dir` means a directory of a service, `of_services` is true.
    pub fn of(program: &Program, of_services: bool) -> Grammar {
        let choices = program.options.iter().filter_map(|&(names, meaning)| choice(names, meaning)).collect();
        let kinds = Kinds { program, of_services };
        let mut operands = vec![Vec::new()];
        kinds.read(program.synopsis, &mut operands);
        let mut parts = operands.into_iter();
        Grammar { choices, operands: parts.next().unwrap_or_default(), behind: parts.next() }
    }

    /// The option with this name.
    pub fn choice(&self, name: &[u8]) -> Option<&Choice> {
        self.choices.iter().find(|choice| choice.names.iter().any(|known| known.as_bytes() == name))
    }

    /// What the operand behind `before` others may be; `dashes` is how many of these stand before `--`, if that was there.
    pub fn operand(&self, before: usize, dashes: Option<usize>) -> &[Kind] {
        let (operands, at) = match (&self.behind, dashes) {
            (Some(behind), Some(dashes)) => (behind, before - dashes),
            _ => (&self.operands, before),
        };
        let repeated = || operands.last().filter(|(_, repeats)| *repeats);
        operands.get(at).or_else(repeated).map_or(&[], |(kinds, _)| kinds.as_slice())
    }
}

/// An option by its row in the table: `-x`, `--long` or both as `-x, --long`, each perhaps followed by ` VALUE` or `=VALUE`.
fn choice(row: &'static str, meaning: &'static str) -> Option<Choice> {
    let mut found = Choice { names: Vec::new(), value: None, meaning };
    for word in row.split([' ', '=']).map(|word| word.trim_end_matches(',')) {
        if word.starts_with("--") || word.starts_with('-') && word.len() == 2 {
            found.names.push(word);
        } else {
            found.value = Some(kind(word, meaning, false));
        }
    }
    (!found.names.is_empty()).then_some(found)
}

/// What a value or an operand with this name may be.
fn kind(name: &str, meaning: &'static str, of_services: bool) -> Kind {
    match name.to_ascii_lowercase().as_str() {
        "name" => listed(meaning).unwrap_or(Kind::Service),
        "service" => Kind::Service,
        "dir" if of_services => Kind::Service,
        "dir" | "scandir" | "root" => Kind::Directory,
        "file" | "lock" | "path" | "arg" | "argument" | "action" => Kind::File,
        "user" | "account" => Kind::User,
        "command" => listed(meaning).unwrap_or(Kind::Command),
        "child" | "prog" | "program" => Kind::Command,
        "sig" | "state" => listed(meaning).unwrap_or(Kind::Other),
        _ => Kind::Other,
    }
}

/// The words of the first list in a text that has at least three, such as `up, down or ready`.
fn listed(meaning: &'static str) -> Option<Kind> {
    let is_part = |char: char| char.is_alphanumeric() || ".-_".contains(char);
    for (at, or) in meaning.match_indices(" or ") {
        let behind = &meaning[at + or.len()..];
        let last = behind.split(|char| !is_part(char)).next().unwrap_or_default();
        let mut words = vec![(last, "")];
        let mut before = &meaning[..at];
        loop {
            let rest = before.trim_end_matches(is_part);
            let word = &before[rest.len()..];
            if word.is_empty() {
                break;
            }
            words.insert(0, (word, ""));
            let Some(more) = rest.strip_suffix(", ") else {
                break;
            };
            before = more;
        }
        if words.len() > 2 {
            return Some(Kind::Words(words));
        }
    }
    None
}

/// Finds operands in a synopsis.
struct Kinds<'a> {
    program: &'a Program,
    of_services: bool,
}

impl Kinds<'_> {
    /// Adds the operands of a synopsis, or of a part of one, to the last list; `--` begins another list.
    fn read(&self, synopsis: &'static str, lists: &mut Vec<Vec<Operand>>) {
        let mut is_behind_options = false;
        for token in tokens(synopsis) {
            let token = token.trim();
            if token == "--" {
                lists.push(Vec::new());
            } else if let Some(inner) = token.strip_prefix('[') {
                let inner = inner.trim_end_matches('.').strip_suffix(']').unwrap_or(inner);
                // Options are in the table.
                let operands = inner.split(" | ").map(str::trim).filter(|part| !part.starts_with('-'));
                operands.for_each(|part| self.read(part, lists));
            } else if let Some(list) = lists.last_mut() {
                let name = token.trim_end_matches('.');
                if !name.is_empty() && !name.starts_with('-') {
                    list.push((self.alternatives(name), false));
                }
                // Behind options it is one of them that may be repeated.
                if token.ends_with("...")
                    && !(name.is_empty() && is_behind_options)
                    && let Some((_, repeats)) = list.last_mut()
                {
                    *repeats = true;
                }
            }
            is_behind_options = token.trim_start_matches(['[', ' ']).starts_with('-');
        }
    }

    fn alternatives(&self, name: &'static str) -> Vec<Kind> {
        let meaning = |name: &str| {
            let row = self.program.options.iter().find(|(row, _)| row.split(' ').next() == Some(name));
            row.map_or("", |&(_, meaning)| meaning)
        };
        let is_list = name.contains('|') && name.bytes().all(|byte| !byte.is_ascii_uppercase());
        if is_list {
            return vec![Kind::Words(name.split('|').map(|word| (word, meaning(word))).collect())];
        }
        name.split('|').map(|name| kind(name, meaning(name), self.of_services)).collect()
    }
}

/// The words of a synopsis, each bracket as one.
fn tokens(synopsis: &'static str) -> Vec<&'static str> {
    let (mut found, mut begin, mut depth) = (Vec::new(), 0, 0_usize);
    for (at, byte) in synopsis.bytes().enumerate() {
        match byte {
            b'[' => depth += 1,
            b']' => depth = depth.saturating_sub(1),
            b' ' if depth == 0 => {
                found.push(&synopsis[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    found.push(&synopsis[begin..]);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grammar(synopsis: &'static str, options: &'static [(&'static str, &'static str)]) -> Grammar {
        let program = Program { name: "", synopsis, usage: "", usage_exit: 100, about: "", options };
        Grammar::of(&program, false)
    }

    #[test]
    fn operands_are_what_the_synopsis_says() {
        let signal =
            grammar("[--no-wait] SIG NAME ...", &[("SIG", "HUP, INT or TERM, also as 1"), ("NAME", "a service")]);
        assert_eq!(signal.operand(0, None), [Kind::Words(vec![("HUP", ""), ("INT", ""), ("TERM", "")])]);
        assert_eq!(signal.operand(1, None), [Kind::Service]);
        assert_eq!(signal.operand(9, None), [Kind::Service]);
        let check = grammar("[-a | --deep | NAME|DIR ...]", &[]);
        assert_eq!(check.operand(3, None), [Kind::Service, Kind::Directory]);
        let status = grammar("[-l] [--json [--follow] | --metrics [--output FILE]] [NAME ...]", &[]);
        assert_eq!(status.operand(0, None), [Kind::Service]);
        let scale = grammar("[--template DIR] NAME [N]", &[]);
        assert_eq!(scale.operand(0, None), [Kind::Service]);
        assert_eq!(scale.operand(1, None), [Kind::Other]);
        let boot = grammar("start|stop [--root DIR]", &[("start", "begin")]);
        assert_eq!(boot.operand(0, None), [Kind::Words(vec![("start", "begin"), ("stop", "")])]);
        assert!(boot.operand(1, None).is_empty());
        let new = grammar("NAME [--need SERVICE] ... [--at DIR] -- COMMAND [ARG ...]", &[]);
        assert_eq!(new.operand(0, None), [Kind::Service]);
        assert!(new.operand(1, None).is_empty());
        assert_eq!(new.operand(1, Some(1)), [Kind::Command]);
        assert_eq!(new.operand(7, Some(1)), [Kind::File]);
        assert!(grammar("", &[]).operand(0, None).is_empty());
    }

    #[test]
    fn options_are_what_the_table_says() {
        let known = grammar(
            "",
            &[
                ("-v, --verbose", "say more"),
                ("-w, --warm sec", "how long"),
                ("--wait=state", "until each is up, down or ready; else not"),
                ("--init NAME", "systemd, rc.d or busybox"),
                ("--need NAME", "a service of the scan directory, NAME/log for its logger, or a path"),
                ("-PATTERN", "an operand"),
            ],
        );
        let value = |name: &str| known.choice(name.as_bytes()).map(|choice| choice.value.clone());
        assert_eq!(value("--verbose"), Some(None));
        assert_eq!(value("-v"), Some(None));
        assert_eq!(value("-w"), Some(Some(Kind::Other)));
        let words = |words: [&'static str; 3]| Some(Some(Kind::Words(words.map(|word| (word, "")).to_vec())));
        assert_eq!(value("--wait"), words(["up", "down", "ready"]));
        assert_eq!(value("--init"), words(["systemd", "rc.d", "busybox"]));
        assert_eq!(value("--need"), Some(Some(Kind::Service)));
        assert_eq!(value("-P"), None);
        assert_eq!(known.choices.len(), 5);
    }
}
