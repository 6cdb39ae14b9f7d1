//! The report: one Markdown table of all metrics, followed by smaller tables.

use std::fmt::Write;

use crate::Bench;
use crate::samples::Samples;
use crate::suites::Origin;

/// Which way a figure should go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    Less,
    More,
}

/// The target, for the default build and for the release build.
#[derive(Clone, Copy, Debug)]
pub enum Target {
    /// A ratio to the best of the others: at most or at least this, whichever is better.
    Ratio(f64, f64),
    /// A figure, whatever the others do.
    AtMost(f64),
    /// Nothing: the figure is shown.
    None,
}

/// One metric.
pub struct Row {
    metric: String,
    unit: &'static str,
    better: Better,
    samples: Samples,
    target: Target,
}

impl Row {
    /// Makes a row with these figures.
    pub fn new(metric: impl Into<String>, unit: &'static str, better: Better, samples: Samples, target: Target) -> Row {
        Row { metric: metric.into(), unit, better, samples, target }
    }

    /// The other suite with the best median. supervisord, one process in which all services are lost together, is shown but not
    /// compared with.
    fn best(&self, bench: &Bench) -> Option<usize> {
        let others = bench.of(Origin::Installed).into_iter().filter(|index| bench.suites[*index].has_supervisors());
        let known = others.filter_map(|index| Some((index, self.samples.median(index)?)));
        let best = match self.better {
            Better::Less => known.min_by(|a, b| a.1.total_cmp(&b.1)),
            Better::More => known.max_by(|a, b| a.1.total_cmp(&b.1)),
        };
        best.map(|(index, _)| index)
    }

    fn name(&self) -> String {
        if self.unit.is_empty() { self.metric.clone() } else { format!("{}, {}", self.metric, self.unit) }
    }

    fn line(&self, bench: &Bench) -> String {
        let best = self.best(bench);
        let mut cells = vec![self.name()];
        for index in 0..bench.suites.len() {
            let shown = figure(self.samples.median(index));
            cells.push(if Some(index) == best { format!("**{shown}**") } else { shown });
        }
        cells.push(figure(self.samples.median(bench.floor())));
        let ours = bench.of(Origin::Now);
        let goals = self.goals();
        for (&index, goal) in ours.iter().zip(goals) {
            let ratio = best.and_then(|best| self.samples.ratio(index, best));
            let reached = self.reached(index, ratio, goal);
            cells.push(match (ratio, reached) {
                (Some(ratio), Some(reached)) => format!("{ratio:.2} {}", mark(reached)),
                (None, Some(reached)) => mark(reached).to_owned(),
                (Some(ratio), None) => format!("{ratio:.2}"),
                (None, None) => "-".to_owned(),
            });
        }
        cells.push(self.goal_text(&goals[..ours.len()]));
        format!("| {} |\n", cells.join(" | "))
    }

    fn goals(&self) -> [f64; 2] {
        match self.target {
            Target::Ratio(default, release) => [default, release],
            Target::AtMost(figure) => [figure; 2],
            Target::None => [f64::NAN; 2],
        }
    }

    fn reached(&self, index: usize, ratio: Option<f64>, goal: f64) -> Option<bool> {
        match (self.target, self.better) {
            (Target::None, _) => None,
            (Target::AtMost(_), _) => Some(self.samples.median(index)? <= goal),
            (Target::Ratio(..), Better::Less) => Some(ratio? <= goal),
            (Target::Ratio(..), Better::More) => Some(ratio? >= goal),
        }
    }

    fn goal_text(&self, goals: &[f64]) -> String {
        let sign = if self.better == Better::Less { "<=" } else { ">=" };
        match self.target {
            Target::AtMost(goal) => format!("{sign} {goal} {}", self.unit).trim_end().to_owned(),
            Target::Ratio(..) => {
                let texts: Vec<String> = goals.iter().map(|goal| format!("{goal:.2}")).collect();
                format!("{sign} {}", texts.join(", "))
            }
            Target::None => "-".to_owned(),
        }
    }

    /// For each of our builds: before, now, and how the one relates to the other.
    fn compared(&self, bench: &Bench) -> Vec<String> {
        let builds = bench.of(Origin::Before).into_iter().zip(bench.of(Origin::Now));
        let cells = builds.flat_map(|(before, now)| {
            let ratio = self.samples.ratio_and_spread(now, before);
            let ratio = ratio.map(|[low, middle, high]| format!("{middle:.2} ({low:.2} to {high:.2})"));
            let [before, now] = [before, now].map(|index| figure(self.samples.median(index)));
            [before, now, ratio.unwrap_or_else(|| "-".to_owned())]
        });
        cells.collect()
    }
}

fn mark(reached: bool) -> &'static str {
    if reached { "yes" } else { "**no**" }
}

/// Formats a figure with three significant digits.
pub fn figure(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(0.0) => "0".to_owned(),
        Some(value) if value.abs() >= 99.95 => format!("{value:.0}"),
        Some(value) if value.abs() >= 9.995 => format!("{value:.1}"),
        Some(value) if value.abs() >= 0.9995 => format!("{value:.2}"),
        Some(value) => format!("{value:.3}"),
    }
}

/// A separate table.
pub struct Table {
    title: String,
    columns: Vec<String>,
    rows: Vec<(String, Vec<String>)>,
}

impl Table {
    /// Makes a table with these columns after the first one.
    pub fn new(title: impl Into<String>, columns: Vec<String>) -> Table {
        Table { title: title.into(), columns, rows: Vec::new() }
    }

    /// Adds a row.
    pub fn add(&mut self, name: impl Into<String>, cells: Vec<String>) {
        self.rows.push((name.into(), cells));
    }

    fn markdown(&self) -> String {
        let mut text = format!("### {}\n\n{}", self.title, header("", &self.columns));
        for (name, cells) in &self.rows {
            let _ = writeln!(text, "| {name} | {} |", cells.join(" | "));
        }
        text
    }
}

fn header(first: &str, columns: &[String]) -> String {
    format!("| {first} | {} |\n|---|{}\n", columns.join(" | "), "--:|".repeat(columns.len()))
}

/// All results.
#[derive(Default)]
pub struct Report {
    rows: Vec<Row>,
    tables: Vec<Table>,
}

impl Report {
    /// Adds a metric.
    pub fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// Adds a table.
    pub fn table(&mut self, table: Table) {
        self.tables.push(table);
    }

    /// Formats the report as Markdown.
    pub fn markdown(&self, bench: &Bench) -> String {
        let mut text = String::new();
        if !self.rows.is_empty() {
            let mut columns = bench.names();
            columns.push("floor".to_owned());
            columns.extend(bench.of(Origin::Now).iter().map(|&index| format!("{} / best", bench.name(index))));
            columns.push("target".to_owned());
            text.push_str(&header("metric", &columns));
            self.rows.iter().for_each(|row| text.push_str(&row.line(bench)));
        }
        for table in self.before_and_now(bench).iter().chain(&self.tables) {
            text.push('\n');
            text.push_str(&table.markdown());
        }
        text
    }
    /// Each metric of our builds as they were and as they are.
    fn before_and_now(&self, bench: &Bench) -> Option<Table> {
        let builds = bench.of(Origin::Before).into_iter().zip(bench.of(Origin::Now));
        let columns: Vec<String> = builds
            .flat_map(|(before, now)| [bench.name(before).to_owned(), bench.name(now).to_owned(), "ratio".to_owned()])
            .collect();
        if columns.is_empty() || self.rows.is_empty() {
            return None;
        }
        let mut table = Table::new("Before and now: a ratio is the median of the rounds' (their quartiles)", columns);
        for row in &self.rows {
            table.add(row.name(), row.compared(bench));
        }
        Some(table)
    }
}
