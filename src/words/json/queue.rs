//! The lines that somebody who follows is still to be told. Of each service there is one at most, the newest: a slow reader misses states, and costs no memory.

use std::collections::{HashMap, VecDeque};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use super::line::Line;
use super::text::Object;

/// What is to be told, and what was.
#[derive(Debug, Default)]
pub struct Queue {
    /// What was told last of each service that is there.
    told: HashMap<OsString, String>,
    /// What is to be told, of those that are in `order`.
    next: HashMap<OsString, Next>,
    order: VecDeque<OsString>,
    /// What was begun: whole lines, of which the first may be the end of one.
    begun: Vec<u8>,
}

#[derive(Debug, PartialEq, Eq)]
enum Next {
    Line(Line),
    Gone,
    /// It is as it was told.
    Nothing,
}

impl Queue {
    /// A service is so now.
    pub fn is_so(&mut self, name: &OsStr, line: Line) {
        let is_old = self.told.get(name).is_some_and(|told| told == line.news());
        self.set(name, if is_old { Next::Nothing } else { Next::Line(line) });
    }

    /// A service is gone.
    pub fn is_gone(&mut self, name: &OsStr) {
        if self.told.contains_key(name) {
            self.set(name, Next::Gone);
        } else if self.next.remove(name).is_some() {
            self.order.retain(|other| other != name);
        }
    }

    fn set(&mut self, name: &OsStr, next: Next) {
        if let Some(before) = self.next.get_mut(name) {
            *before = next;
        } else if next != Next::Nothing {
            self.next.insert(name.to_owned(), next);
            self.order.push_back(name.to_owned());
        }
    }

    /// Returns whether all is told.
    pub fn is_empty(&self) -> bool {
        self.begun.is_empty() && self.order.is_empty()
    }

    /// What is to be written next, as much as `most` bytes if there is so much. What is in it is told: no later news takes its place.
    pub fn front(&mut self, most: usize) -> &[u8] {
        while self.begun.len() < most
            && let Some(name) = self.order.pop_front()
        {
            match self.next.remove(&name) {
                None | Some(Next::Nothing) => continue,
                Some(Next::Line(line)) => {
                    self.begun.extend(line.text.as_bytes());
                    self.told.insert(name, line.news().to_owned());
                }
                Some(Next::Gone) => {
                    let mut gone = Object::default();
                    gone.text("name", name.as_bytes());
                    gone.flag("gone", true);
                    self.begun.extend(gone.end().as_bytes());
                    self.told.remove(&name);
                }
            }
            self.begun.push(b'\n');
        }
        &self.begun[..self.begun.len().min(most)]
    }

    /// So many bytes of the front were written.
    pub fn written(&mut self, count: usize) {
        self.begun.drain(..count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line {
        Line { text: text.to_owned(), stable: text.len() - 1 }
    }

    fn read(queue: &mut Queue) -> String {
        let mut all = Vec::new();
        while !queue.is_empty() {
            let front = queue.front(3).to_vec();
            queue.written(front.len());
            all.extend(front);
        }
        String::from_utf8(all).expect("text")
    }

    #[test]
    fn only_the_newest_of_each_is_kept_and_nothing_is_told_twice() {
        let mut queue = Queue::default();
        let [a, b] = ["a", "b"].map(OsStr::new);
        queue.is_so(a, line("a1."));
        queue.is_so(b, line("b1."));
        queue.is_so(a, line("a2."));
        assert_eq!(read(&mut queue), "a2.\nb1.\n");
        // The last letter is no news.
        queue.is_so(a, line("a2,"));
        assert!(queue.is_empty());
        // There and back while nobody reads.
        queue.is_so(a, line("a3."));
        queue.is_so(a, line("a2."));
        assert_eq!(read(&mut queue), "");
        queue.is_gone(a);
        queue.is_gone(b);
        queue.is_so(b, line("b2."));
        assert_eq!(read(&mut queue), "{\"name\":\"a\",\"gone\":true}\nb2.\n");
        // It comes back as it was.
        queue.is_so(a, line("a2."));
        assert_eq!(read(&mut queue), "a2.\n");
    }

    #[test]
    fn what_is_begun_is_told_to_its_end() {
        let mut queue = Queue::default();
        let a = OsStr::new("a");
        queue.is_so(a, line("first."));
        assert_eq!(queue.front(3), b"fir");
        queue.written(2);
        queue.is_so(a, line("second."));
        assert_eq!(read(&mut queue), "rst.\nsecond.\n");
    }

    #[test]
    fn who_comes_and_goes_untold_costs_nothing() {
        let mut queue = Queue::default();
        for number in 0..1000 {
            let name = number.to_string();
            queue.is_so(OsStr::new(&name), line("new."));
            queue.is_gone(OsStr::new(&name));
        }
        assert!(queue.is_empty() && queue.next.is_empty() && queue.told.is_empty());
    }
}
