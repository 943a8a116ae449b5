//! The binary: hands the command line to the library and returns its exit status.
//!
//! Everything else is in the library, so that tests run the very same code. A panic aborts: the service manager
//! starts the agent again, and the tail keeps what was not synced.

fn main() -> std::process::ExitCode {
    narthex::cli::main(std::env::args_os())
}
