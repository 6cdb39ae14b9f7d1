//! The descriptors that svscan has in a world: each is closed with its owner, unless it is left to the next program.

use std::cell::RefCell;
use std::rc::Rc;

use super::world::{Open, World};

/// A pipe, with both ends.
pub struct Pipe {
    world: Rc<RefCell<World>>,
    pub reader: i32,
    pub writer: Option<i32>,
}

/// A write end of a FIFO.
pub struct Fifo {
    world: Rc<RefCell<World>>,
    pub number: i32,
}

/// Opens one.
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
    /// Both ends of this pipe.
    pub fn open(world: &Rc<RefCell<World>>, pipe: u64) -> Pipe {
        let (reader, writer) = (open(world, Open::Reader(pipe)), Some(open(world, Open::Writer(pipe))));
        Pipe { world: Rc::clone(world), reader, writer }
    }

    /// What the program before has left.
    pub fn inherit(world: &Rc<RefCell<World>>, reader: i32, writer: Option<i32>) -> Pipe {
        Pipe { world: Rc::clone(world), reader, writer }
    }

    /// Which pipe it is.
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
    /// That of this process.
    pub fn open(world: &Rc<RefCell<World>>, of: Open) -> Fifo {
        Fifo { world: Rc::clone(world), number: open(world, of) }
    }

    /// What the program before has left.
    pub fn inherit(world: &Rc<RefCell<World>>, number: i32) -> Fifo {
        Fifo { world: Rc::clone(world), number }
    }
}

impl Drop for Fifo {
    fn drop(&mut self) {
        close(&self.world, self.number);
    }
}
