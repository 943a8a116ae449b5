//! The binary: hands the command line to the library and returns its exit status.

fn main() -> std::process::ExitCode {
    narthex::cli::main(std::env::args_os())
}
