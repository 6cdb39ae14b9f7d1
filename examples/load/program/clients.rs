//! The clients.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::options::Options;
use super::request;
use super::tally::{Outcome, Tally};

/// Clients that send requests until they are told to stop.
pub struct Load {
    shared: Arc<Shared>,
    tallies: Receiver<Tally>,
    clients: usize,
    /// How long to wait for a client to stop: longer than one needs.
    patience: Duration,
}

struct Shared {
    stop: AtomicBool,
    asked: AtomicU64,
    begin: Instant,
}

impl Load {
    /// Starts the clients.
    pub fn start(options: &Options) -> Load {
        let shared = Arc::new(Shared { stop: AtomicBool::new(false), asked: AtomicU64::new(0), begin: Instant::now() });
        let (sender, tallies) = channel();
        for _ in 0..options.clients {
            let (shared, sender, options) = (Arc::clone(&shared), sender.clone(), options.clone());
            // The thread is not joined: a client that tries to connect to a Unix socket whose queue is full may wait
            // for ever.
            thread::spawn(move || sender.send(shared.ask_on(&options)));
        }
        Load { shared, tallies, clients: options.clients, patience: options.timeout + Duration::from_secs(5) }
    }

    /// How many requests have ended.
    pub fn asked(&self) -> u64 {
        self.shared.asked.load(Ordering::Relaxed)
    }

    /// Lets every client finish its last request, and returns the outcomes of all. A client that does not come back has timed out.
    pub fn finish(self) -> Tally {
        self.shared.stop.store(true, Ordering::Relaxed);
        let deadline = Instant::now() + self.patience;
        let mut sum = Tally::default();
        for _ in 0..self.clients {
            match self.tallies.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(tally) => sum.merge(tally),
                Err(_) => {
                    let time = self.shared.begin.elapsed();
                    sum.add(Outcome::Timeout, "unable to connect".to_owned(), self.patience, time);
                }
            }
        }
        sum
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

impl Shared {
    fn ask_on(&self, options: &Options) -> Tally {
        let mut tally = Tally::default();
        while !self.stop.load(Ordering::Relaxed) {
            let begin = Instant::now();
            let (outcome, text) = request::ask(options);
            tally.add(outcome, text, begin.elapsed(), self.begin.elapsed());
            self.asked.fetch_add(1, Ordering::Relaxed);
            // If nobody listens, a client without a pause would only spin, and take processor time from the server that
            // is starting.
            let pause =
                if outcome == Outcome::Ok { options.pause } else { options.pause.max(Duration::from_millis(1)) };
            if !pause.is_zero() {
                thread::sleep(pause);
            }
        }
        tally
    }
}
