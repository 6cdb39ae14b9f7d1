//! The descriptors that svscan has in a world. Each is closed when its owner is dropped, unless it is left open for the next program.

use std::cell::RefCell;
use std::rc::Rc;

use super::world::{Open, World};

/// A log pipe, with the descriptor numbers of its ends.
pub struct Pipe {
    world: Rc<RefCell<World>>,
    pub reader: i32,
    pub writer: Option<i32>,
}

/// The write end of a FIFO, with its descriptor number.
pub struct Fifo {
    world: Rc<RefCell<World>>,
    pub number: i32,
}

/// Opens a descriptor, and returns its number: the lowest free one from 3 on.
fn open(world: &RefCell<World>, open: Open) -> i32 {
    let mut world = world.borrow_mut();
    let number = (3..).find(|number| !world.open.contains_key(number)).unwrap_or_default();
    world.open.insert(number, open);
    number
}

fn close(world: &RefCell<World>, number: i32) {
    let mut world = world.borrow_mut();
    if !world.exec || !world.kept.contains(&number) {
        world.open.remove(&number);
    }
}

impl Pipe {
    /// Opens both ends of the pipe with the id `pipe`.
    pub fn open(world: &Rc<RefCell<World>>, pipe: u64) -> Pipe {
        let (reader, writer) = (open(world, Open::Reader(pipe)), Some(open(world, Open::Writer(pipe))));
        Pipe { world: Rc::clone(world), reader, writer }
    }

    /// Takes over the ends that the program before has left open.
    pub fn inherit(world: &Rc<RefCell<World>>, reader: i32, writer: Option<i32>) -> Pipe {
        Pipe { world: Rc::clone(world), reader, writer }
    }

    /// Returns the id of the pipe.
    pub fn id(&self) -> u64 {
        match self.world.borrow().open[&self.reader] {
            Open::Reader(id) => id,
            other => panic!("{other:?} is no pipe"),
        }
    }

    pub fn reopen(&mut self) {
        self.writer = Some(open(&self.world, Open::Writer(self.id())));
    }

    pub fn close_writer(&mut self) {
        self.writer.take().into_iter().for_each(|writer| close(&self.world, writer));
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        close(&self.world, self.reader);
        self.close_writer();
    }
}

impl Fifo {
    /// Opens the FIFO `of`.
    pub fn open(world: &Rc<RefCell<World>>, of: Open) -> Fifo {
        Fifo { world: Rc::clone(world), number: open(world, of) }
    }

    /// Takes over the FIFO that the program before has left open.
    pub fn inherit(world: &Rc<RefCell<World>>, number: i32) -> Fifo {
        Fifo { world: Rc::clone(world), number }
    }
}

impl Drop for Fifo {
    fn drop(&mut self) {
        close(&self.world, self.number);
    }
}
