//! The memory of the process: the library dlmalloc for what is small, the C library for what is large.
//!
//! dlmalloc keeps what a burst of small pieces took closer together than the C library of the static binary does. But
//! a large piece that is free again it keeps too, among the small ones, and tables that grow leave one behind at each
//! step. The C library maps large pieces one by one, moves them by remapping, and gives them back.
//!
//! A piece's size says whose it is, and whoever frees it tells its size, so nothing is kept about any of them.

use std::alloc::{GlobalAlloc, Layout, System};

use dlmalloc::GlobalDlmalloc;

/// From this size on a piece is the C library's, in bytes.
pub const LARGE_BYTES: usize = 256 << 10;

/// The allocator: `#[global_allocator] static HEAP: Heap = Heap;`
pub struct Heap;

fn is_large(bytes: usize) -> bool {
    bytes >= LARGE_BYTES
}

// SAFETY: a piece is got, grown and freed by one and the same of two allocators, which its size alone decides; where a
// new size decides otherwise, it is got from one, copied, and freed by the other.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are passed on.
        unsafe { if is_large(layout.size()) { System.alloc(layout) } else { GlobalDlmalloc.alloc(layout) } }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are passed on.
        unsafe {
            if is_large(layout.size()) { System.alloc_zeroed(layout) } else { GlobalDlmalloc.alloc_zeroed(layout) }
        }
    }

    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on, to the one that the piece came from.
        unsafe {
            if is_large(layout.size()) { System.dealloc(piece, layout) } else { GlobalDlmalloc.dealloc(piece, layout) }
        }
    }

    unsafe fn realloc(&self, piece: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's promises are passed on; `size` is no larger than a layout may be, as it promises.
        unsafe {
            match (is_large(layout.size()), is_large(size)) {
                (true, true) => System.realloc(piece, layout, size),
                (false, false) => GlobalDlmalloc.realloc(piece, layout, size),
                _ => {
                    let moved = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
                    if !moved.is_null() {
                        piece.copy_to_nonoverlapping(moved, layout.size().min(size));
                        self.dealloc(piece, layout);
                    }
                    moved
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A piece keeps what is in it while it grows from one allocator to the other and back.
    #[test]
    fn pieces_keep_what_is_in_them() {
        let sizes = [8, 4 << 10, LARGE_BYTES - 1, LARGE_BYTES, 4 * LARGE_BYTES, LARGE_BYTES + 1, LARGE_BYTES - 8, 64];
        for align in [1, 8, 64, 4096] {
            let layout = |size| Layout::from_size_align(size, align).expect("a layout");
            // SAFETY: what is read was written, within the size, and each piece is freed once with its layout.
            #[allow(unsafe_code)]
            unsafe {
                let (mut piece, mut had) = (Heap.alloc_zeroed(layout(sizes[0])), sizes[0]);
                assert!((0..had).all(|at| piece.add(at).read() == 0));
                for (size, byte) in sizes.into_iter().skip(1).zip(1..) {
                    piece.write_bytes(byte, had);
                    piece = Heap.realloc(piece, layout(had), size);
                    assert!(!piece.is_null() && (piece as usize).is_multiple_of(align), "{size} at {align}");
                    assert!((0..had.min(size)).all(|at| piece.add(at).read() == byte), "{had} to {size}");
                    had = size;
                }
                Heap.dealloc(piece, layout(had));
                let large = Heap.alloc_zeroed(layout(LARGE_BYTES));
                assert!((0..LARGE_BYTES).all(|at| large.add(at).read() == 0));
                Heap.dealloc(large, layout(LARGE_BYTES));
            }
        }
    }
}
