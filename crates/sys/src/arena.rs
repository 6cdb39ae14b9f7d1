//! The arena: the first memory of a program comes from its own data, without a system call.
//!
//! Most programs of the suite need a few hundred bytes and then execute another program, or need no more for the rest of a long life.
//! libc's allocator makes several system calls for the first byte and touches three pages, which is a quarter of what a chain program
//! costs as built for musl. Blocks that do not fit here come from libc as usual, so nothing depends on the size.
//!
//! Only the last block can be given back or grow in place. Other blocks stay taken, so the arena may fill up. The end of every block
//! is rounded up to the usual alignment, so that there is no gap between two blocks and it is always clear which one is the last.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The size of the arena in bytes. With musl it is enough for every chain program: pages that are never touched cost nothing. With glibc it
/// is a little more than a supervise needs: a larger arena would push libc's own data, which follows it, onto one more page.
///
/// With musl and GNU ld the size also decides where the data of a program begin. ld begins them with a page if they take fewer pages so; else anywhere in a page, and then what
/// a supervise writes to in its file lies in two pages instead of one, at 4 kB for each service. So all data together, this arena among them, are a little less than a multiple
/// of a page: 28,512 of 28,672 bytes in a supervise. What follows the arena, to which a supervise writes, begins in the last page then, and not at the end of the one before.
const SIZE: usize = if cfg!(target_env = "musl") { 18_264 } else { 3_072 };

#[global_allocator]
static ARENA: Arena<SIZE> = Arena::new();

/// The function that [`without_memory`] has set.
static WITHOUT_MEMORY: OnceLock<fn(u32)> = OnceLock::new();

/// Sets a function for a program that must not end when there is no memory: `wait` is called each time, and then memory is asked for again, for ever.
/// `wait` gets the number of times that memory was refused for this block, and must not allocate any itself.
pub fn without_memory(wait: fn(u32)) {
    // There is one already only if this was called before.
    let _ = WITHOUT_MEMORY.set(wait);
}

/// Asks libc for a block; if there is none, again and again as [`without_memory`] has set.
fn insist(ask: impl Fn() -> *mut u8) -> *mut u8 {
    let block = ask();
    if block.is_null() { wait_for_memory(&ask) } else { block }
}

#[cold]
#[inline(never)]
fn wait_for_memory(ask: &dyn Fn() -> *mut u8) -> *mut u8 {
    let mut refused = 0_u32;
    loop {
        let block = ask();
        match WITHOUT_MEMORY.get() {
            Some(wait) if block.is_null() => wait(refused),
            Some(_) | None => return block,
        }
        refused = refused.saturating_add(1);
    }
}

/// Lengths of blocks are rounded up to a multiple of this, in bytes: the alignment of most blocks.
const GRAIN: usize = 8;

/// The arena. In this order of fields, the count is on the same page as the first blocks.
#[repr(C, align(16))]
struct Arena<const SIZE: usize> {
    /// How many bytes are taken, from the front.
    taken: AtomicUsize,
    memory: UnsafeCell<[u8; SIZE]>,
}

// SAFETY: what `taken` has given out belongs to whoever got it, and each change of `taken` is one atomic step.
unsafe impl<const SIZE: usize> Sync for Arena<SIZE> {}

impl<const SIZE: usize> Arena<SIZE> {
    const fn new() -> Arena<SIZE> {
        Arena { taken: AtomicUsize::new(0), memory: UnsafeCell::new([0; SIZE]) }
    }

    /// The offset of a block in the arena; `None` if it is from libc.
    fn place(&self, block: *mut u8) -> Option<usize> {
        block.addr().checked_sub(self.memory.get().addr()).filter(|&place| place < SIZE)
    }

    /// Takes a new block; `None` if there is no room for it. This function and those below are not inlined, so each program has them
    /// only once.
    #[inline(never)]
    fn take(&self, layout: Layout) -> Option<*mut u8> {
        // Guess 0 instead of loading it: if the first access to a page is a read, a later write costs one more fault.
        let mut taken = 0;
        loop {
            let front = self.memory.get().addr();
            let start = (front + taken).checked_next_multiple_of(layout.align())? - front;
            let end = Self::end(start, layout.size())?;
            match self.taken.compare_exchange_weak(taken, end, Ordering::Relaxed, Ordering::Relaxed) {
                // SAFETY: start <= end <= SIZE.
                Ok(_) => return Some(unsafe { self.memory.get().cast::<u8>().add(start) }),
                Err(now) => taken = now,
            }
        }
    }

    /// The end of a block of `size` bytes that begins at `start`; `None` if there is no room for it.
    fn end(start: usize, size: usize) -> Option<usize> {
        start.checked_add(size)?.checked_next_multiple_of(GRAIN).filter(|&end| end <= SIZE)
    }

    /// Resizes the block of `size` bytes that begins at `start`. Returns false if it is not the last, or there is no
    /// room.
    #[inline(never)]
    fn resize(&self, start: usize, size: usize, new: usize) -> bool {
        let (Some(end), Some(new_end)) = (Self::end(start, size), Self::end(start, new)) else {
            return false;
        };
        self.taken.compare_exchange(end, new_end, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Takes back the block of `size` bytes that begins at `start`, if it is the last.
    #[inline(never)]
    fn give_back(&self, start: usize, size: usize) {
        if let Some(end) = Self::end(start, size) {
            let _ = self.taken.compare_exchange(end, start, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
}

/// The exit code of a child that has allocated or freed memory.
pub(crate) const TOOK_MEMORY: u8 = 134;

/// Ends a child that allocates or frees: it changes its parent's memory, and if it were killed the change would be left half done.
fn forbid_in_child() {
    if crate::spawn::in_child() {
        // SAFETY: _exit ends the process and returns to nobody. abort would take locks in the parent's memory.
        unsafe { libc::_exit(i32::from(TOOK_MEMORY)) }
    }
}

// SAFETY: blocks of the arena do not overlap, since `taken` only goes back over a block that is given back or resized by its
// owner; they are as large and as aligned as asked for. All others are System's.
unsafe impl<const SIZE: usize> GlobalAlloc for Arena<SIZE> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        forbid_in_child();
        // SAFETY: by this function's own contract.
        self.take(layout).unwrap_or_else(|| insist(|| unsafe { System.alloc(layout) }))
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        forbid_in_child();
        let Some(block) = self.take(layout) else {
            // SAFETY: by this function's own contract.
            return insist(|| unsafe { System.alloc_zeroed(layout) });
        };
        // SAFETY: the block is new and that large. Somebody may have had it before.
        unsafe { block.write_bytes(0, layout.size()) };
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        forbid_in_child();
        match self.place(block) {
            Some(start) => self.give_back(start, layout.size()),
            // SAFETY: by this function's own contract, and it came from System.
            None => unsafe { System.dealloc(block, layout) },
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        forbid_in_child();
        let Some(start) = self.place(block) else {
            // SAFETY: by this function's own contract, and it came from System.
            return insist(|| unsafe { System.realloc(block, layout, size) });
        };
        if self.resize(start, layout.size(), size) || size <= layout.size() {
            return block;
        }
        // SAFETY: by this function's own contract, size is not 0 and does not overflow with this alignment.
        let larger = unsafe { self.alloc(Layout::from_size_align_unchecked(size, layout.align())) };
        if !larger.is_null() {
            // SAFETY: the old block has as many bytes, the new one more, and they do not overlap.
            unsafe { larger.copy_from_nonoverlapping(block, layout.size()) };
        }
        larger
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).expect("a layout")
    }

    /// Every block is written over and over with its own byte while others come, grow and go.
    #[test]
    fn blocks_keep_what_is_written_to_them() {
        let arena: Arena<1_024> = Arena::new();
        let mut blocks: Vec<(*mut u8, Layout, u8)> = Vec::new();
        let mut seed = 1_u32;
        let mut random = |below: u32| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 16) % below
        };
        for step in 0..20_000_u32 {
            let mark = step as u8;
            // SAFETY: each block is used with its own layout, within its size, until it is given back.
            unsafe {
                match random(3) {
                    0 => {
                        let layout = layout(1 + random(90) as usize, 1 << random(7));
                        let block = arena.alloc(layout);
                        assert!(!block.is_null() && block.addr().is_multiple_of(layout.align()));
                        block.write_bytes(mark, layout.size());
                        blocks.push((block, layout, mark));
                    }
                    1 if !blocks.is_empty() => {
                        let (block, layout, _) = blocks.swap_remove(random(blocks.len() as u32) as usize);
                        arena.dealloc(block, layout);
                    }
                    _ if !blocks.is_empty() => {
                        let at = random(blocks.len() as u32) as usize;
                        let (block, old, byte) = blocks[at];
                        let new = layout(1 + random(120) as usize, old.align());
                        let moved = arena.realloc(block, old, new.size());
                        let kept = std::slice::from_raw_parts(moved, old.size().min(new.size()));
                        assert!(kept.iter().all(|&kept| kept == byte));
                        moved.write_bytes(mark, new.size());
                        blocks[at] = (moved, new, mark);
                    }
                    _ => {}
                }
                for (block, layout, byte) in &blocks {
                    assert!(std::slice::from_raw_parts(*block, layout.size()).iter().all(|found| found == byte));
                }
            }
            if blocks.len() > 30 {
                // SAFETY: as above.
                blocks.drain(..).rev().for_each(|(block, layout, _)| unsafe { arena.dealloc(block, layout) });
            }
        }
        // SAFETY: as above.
        blocks.drain(..).for_each(|(block, layout, _)| unsafe { arena.dealloc(block, layout) });
    }

    #[test]
    fn the_last_block_is_given_back_and_grows_in_place() {
        let arena: Arena<64> = Arena::new();
        // SAFETY: each block is used with its own layout until it is given back.
        unsafe {
            let first = arena.alloc(layout(8, 8));
            let last = arena.alloc(layout(8, 8));
            assert_eq!(arena.realloc(last, layout(8, 8), 56), last);
            arena.dealloc(last, layout(56, 8));
            assert_eq!(arena.alloc_zeroed(layout(56, 8)), last);
            assert!(std::slice::from_raw_parts(last, 56).iter().all(|&byte| byte == 0));
            // What does not fit is libc's.
            let other = arena.alloc(layout(1, 1));
            assert_eq!(arena.place(other), None);
            arena.dealloc(other, layout(1, 1));
            arena.dealloc(last, layout(56, 8));
            assert_eq!(arena.realloc(first, layout(8, 8), 64), first);
            let moved = arena.realloc(first, layout(64, 8), 65);
            assert_eq!(arena.place(moved), None);
            arena.dealloc(moved, layout(65, 8));
        }
    }

    /// As a supervise does with each start of its service.
    #[test]
    fn blocks_of_any_size_that_come_and_go_in_order_leave_nothing_taken() {
        let arena: Arena<256> = Arena::new();
        for round in 0..1_000 {
            // SAFETY: each block is used with its own layout until it is given back.
            unsafe {
                let name = arena.alloc(layout(6, 1));
                let words = arena.alloc(layout(16, 8));
                let last = arena.alloc(layout(1 + round % 90, 2));
                assert!([name, words, last].iter().all(|&block| arena.place(block).is_some()), "round {round}");
                arena.dealloc(last, layout(1 + round % 90, 2));
                arena.dealloc(words, layout(16, 8));
                arena.dealloc(name, layout(6, 1));
            }
        }
    }

    #[test]
    fn threads_do_not_get_the_same_block() {
        static SHARED: Arena<8_192> = Arena::new();
        let work = |mark: u8| {
            for _ in 0..2_000 {
                let layout = layout(16, 16);
                // SAFETY: the block is used with its own layout until it is given back.
                unsafe {
                    let block = SHARED.alloc(layout);
                    block.write_bytes(mark, 16);
                    assert!(std::slice::from_raw_parts(block, 16).iter().all(|&byte| byte == mark));
                    SHARED.dealloc(block, layout);
                }
            }
        };
        std::thread::scope(|scope| {
            for mark in 0..4 {
                scope.spawn(move || work(mark));
            }
        });
    }
}
