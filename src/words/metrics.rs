//! `uphold status --metrics`: what is known of services as OpenMetrics text, of gauges and counters, which Prometheus and node_exporter read too.

use std::fmt::Write;
use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use cli::text;
use machine::Tick;
use svdir::Exit;
use sys::fd;
use tai::Label;

use super::clock::Clock;
use super::whole::Whole;

/// A value, in millionths.
type Value = i128;

const ONE: Value = 1_000_000;

/// A family of metrics, of which each service has one or none.
struct Family {
    name: &'static str,
    help: &'static str,
    is_counter: bool,
    value: fn(&Whole, &mut Clock) -> Option<Value>,
}

const FAMILIES: [Family; 17] = [
    gauge("up", "Whether it has a process.", |service, _| Some(flag(service.row.summary.pid.is_some()))),
    gauge("ready", "Whether it has told that it is ready, or is done.", |service, _| {
        use crate::service::summary::State;
        let Whole { row, .. } = service;
        Some(flag(row.summary.ready.is_some() || row.summary.state == State::Done))
    }),
    gauge("wanted_up", "Whether it is wanted up, now or later.", |service, _| {
        service.row.details.map(|_| flag(service.row.summary.is_wanted_up))
    }),
    gauge("normally_up", "Whether it has no file down.", |service, _| {
        service.row.details.map(|details| flag(details.normally_up))
    }),
    gauge("paused", "Whether its process is stopped.", |service, _| {
        service.row.details.map(|details| flag(details.is_paused))
    }),
    gauge("replacing", "Whether it has a second copy.", |service, _| {
        service.row.details.map(|details| flag(details.second.is_some()))
    }),
    gauge("since_timestamp_seconds", "Since when it is up or down.", |service, _| {
        service.row.details.map(|_| time(service.row.summary.since))
    }),
    gauge("ready_since_timestamp_seconds", "Since when it is ready.", |service, _| service.row.summary.ready.map(time)),
    gauge("next_start_timestamp_seconds", "When it is started next, if later than usual.", |service, clock| {
        service.row.details?.next_start.map(|next: Tick| time(clock.label(next)))
    }),
    gauge("last_exit_code", "The exit code of its last end, if that was one.", |service, _| {
        match service.last_exit()?.exit {
            Exit::Code(code) => Some(whole(code)),
            Exit::Signal(_) | Exit::Unknown => None,
        }
    }),
    gauge("last_exit_signal", "The number of the signal that has ended it last, if that was one.", |service, _| {
        match service.last_exit()?.exit {
            Exit::Signal(signal) => Some(whole(signal)),
            Exit::Code(_) | Exit::Unknown => None,
        }
    }),
    gauge("last_exit_timestamp_seconds", "When it has ended last, if that is known.", |service, _| {
        service.last_exit()?.at.map(time)
    }),
    gauge("health_failures", "How often health has failed in a row.", |service, _| {
        service.row.details.map(|details| whole(details.health.map_or(0, |(failures, _)| failures)))
    }),
    counter("starts", "How often it was started.", |service, _| service.row.summary.starts.map(whole)),
    counter("cpu_seconds", "The processor time of its process, or of its whole cgroup.", |service, _| {
        service.row.used.map(|used| Value::from(used.processor))
    }),
    gauge("memory_bytes", "The memory of its process, or of its whole cgroup.", |service, _| {
        service.row.used.map(|used| whole(used.memory))
    }),
    gauge("processes", "How many processes its cgroup has.", |service, _| {
        service.row.used?.processes.map(|processes| whole(processes as u64))
    }),
];

const fn gauge(name: &'static str, help: &'static str, value: fn(&Whole, &mut Clock) -> Option<Value>) -> Family {
    Family { name, help, is_counter: false, value }
}

const fn counter(name: &'static str, help: &'static str, value: fn(&Whole, &mut Clock) -> Option<Value>) -> Family {
    Family { name, help, is_counter: true, value }
}

fn flag(is_true: bool) -> Value {
    whole(u8::from(is_true))
}

fn whole(number: impl Into<u64>) -> Value {
    Value::from(number.into()) * ONE
}

fn time(label: Label) -> Value {
    Value::from(label.unix_seconds()) * ONE + Value::from(label.nanos / 1000)
}

/// The metrics of these services. `served` says whether a svscan serves the scan directory, if that is known.
pub fn text(services: &[Whole], served: Option<bool>) -> String {
    let (mut out, mut clock) = (String::new(), Clock::new());
    if let Some(served) = served {
        head("uphold_svscan_up", "gauge", "Whether a svscan serves the scan directory.", &mut out);
        let _ = writeln!(out, "uphold_svscan_up {}", u8::from(served));
    }
    head("uphold_service_state", "gauge", "1 for the state in which the service is.", &mut out);
    for Whole { meant, row, .. } in services {
        let (name, state) = (label(meant.name.as_bytes()), row.summary.state.word());
        let _ = writeln!(out, "uphold_service_state{{name=\"{name}\",state=\"{state}\"}} 1");
    }
    head("uphold_logger_state", "gauge", "1 for the state in which the logger of the service is.", &mut out);
    for Whole { meant, logger, .. } in services {
        if let Some(logger) = logger {
            let (name, state) = (label(meant.name.as_bytes()), logger.state.word());
            let _ = writeln!(out, "uphold_logger_state{{name=\"{name}\",state=\"{state}\"}} 1");
        }
    }
    for Family { name, help, is_counter, value } in FAMILIES {
        let (kind, suffix) = if is_counter { ("counter", "_total") } else { ("gauge", "") };
        head(&format!("uphold_service_{name}"), kind, help, &mut out);
        for service in services {
            if let Some(value) = value(service, &mut clock) {
                let label = label(service.meant.name.as_bytes());
                let _ = writeln!(out, "uphold_service_{name}{suffix}{{name=\"{label}\"}} {}", shown(value));
            }
        }
    }
    out += "# EOF\n";
    out
}

fn head(name: &str, kind: &str, help: &str, out: &mut String) {
    let _ = write!(out, "# TYPE {name} {kind}\n# HELP {name} {help}\n");
}

/// A value without more digits than it has.
fn shown(value: Value) -> String {
    let sign = if value < 0 { "-" } else { "" };
    let (ones, parts) = (value.unsigned_abs() / ONE.unsigned_abs(), value.unsigned_abs() % ONE.unsigned_abs());
    if parts == 0 { format!("{sign}{ones}") } else { format!("{sign}{ones}.{parts:06}") }
}

/// A name as the value of a label. What is no text of UTF-8, and what a terminal would obey, is `\xNN`, as in the table; so is a backslash, so that no two names look the same.
fn label(name: &[u8]) -> String {
    let mut out = String::new();
    let hex = |byte: u8, out: &mut String| {
        let _ = write!(out, "\\\\x{byte:02x}");
    };
    for chunk in name.utf8_chunks() {
        for char in chunk.valid().chars() {
            match char {
                '"' => out.push_str("\\\""),
                _ if char == '\\' || char.is_control() => char.to_string().bytes().for_each(|byte| hex(byte, &mut out)),
                _ => out.push(char),
            }
        }
        chunk.invalid().iter().for_each(|&byte| hex(byte, &mut out));
    }
    out
}

/// Puts a text in place of the file at `path`, which is there whole, or as it was: it is written beside it, and renamed.
///
/// # Errors
/// Why it is as it was. Anything but a plain file is left alone.
pub fn replace(path: &Path, text: &str) -> anyhow::Result<()> {
    write(path, text.as_bytes()).with_context(|| text!("unable to write ", path))
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(there) if !there.is_file() => return Err(io::Error::other("it is no plain file")),
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let new = beside(path).ok_or_else(|| io::Error::other("it has no name"))?;
    let file = match fd::create_new(&*new) {
        // Of a process that was killed and had the pid of this one.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            fs::remove_file(&new)?;
            fd::create_new(&*new)?
        }
        file => file?,
    };
    let written = fd::write_all(file.as_fd(), bytes)
        // Whatever the umask says, the collector is another user.
        .and_then(|()| file.set_permissions(Permissions::from_mode(0o644)))
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written
}

/// The name of the file before it is renamed. node_exporter reads only what ends with `.prom`.
fn beside(path: &Path) -> Option<PathBuf> {
    let mut name = path.file_name()?.to_owned();
    name.push(format!(".{}.new", std::process::id()));
    Some(path.with_file_name(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shown_as_they_are() {
        assert_eq!([whole(7_u8), 1_500_000, -1, 0].map(shown), ["7", "1.500000", "-0.000001", "0"]);
        assert_eq!(shown(time(Label::from_unix(1_000_000_000, 123_456_789))), "1000000000.123456");
        assert_eq!(shown(time(Label::from_unix(-1, 0))), "-1");
    }

    #[test]
    fn no_two_names_look_the_same() {
        assert_eq!(label(b"web@1 \xc3\xa4"), "web@1 \u{e4}");
        assert_eq!(label(b"a\"\\\n\xff"), "a\\\"\\\\x5c\\\\x0a\\\\xff");
        assert_ne!(label(b"\xff"), label(b"\\xff"));
    }

    #[test]
    fn a_file_is_whole_or_as_it_was() -> io::Result<()> {
        let scratch = tempfile::tempdir()?;
        let path = scratch.path().join("uphold.prom");
        let names = || fs::read_dir(scratch.path()).map(Iterator::count).expect("it is there");
        write(&path, b"one")?;
        write(&path, b"two")?;
        assert_eq!((fs::read(&path)?, fs::metadata(&path)?.permissions().mode() & 0o777), (b"two".to_vec(), 0o644));
        fs::write(beside(&path).expect("a name"), "left behind")?;
        write(&path, b"three")?;
        assert_eq!((fs::read(&path)?, names()), (b"three".to_vec(), 1));
        let link = scratch.path().join("link");
        std::os::unix::fs::symlink("/dev/full", &link)?;
        for wrong in [&*link, Path::new("/dev/null"), scratch.path(), Path::new("/"), Path::new("/nonexistent/x")] {
            assert!(write(wrong, b"four").is_err(), "{wrong:?}");
        }
        assert_eq!(names(), 2);
        Ok(())
    }
}
