//! The binary: hands the command line to the library and returns its exit status.
//!
//! Everything else is in the library, so that tests run the very same code. A panic aborts: the service manager
//! starts the agent again, and the tail keeps what was not synced.

/// The C library of the static binary keeps what a burst took, in powers of two and for each processor: after four
/// heavy queries at once twice what this one does. See ARCHITECTURE.md.
#[global_allocator]
static HEAP: kernel::heap::Heap = kernel::heap::Heap;

fn main() -> std::process::ExitCode {
    narthex::cli::main(std::env::args_os())
}
