//! System calls that no safe library offers: at present one, whether the kernel's clock is synchronised.
//!
//! This is the only crate with an unsafe block, and it is small on purpose: each function here is one call with
//! its arguments checked and its answer believed. Everything else goes through rustix.

use std::io;

/// The answer of `adjtimex(2)` for a clock that nobody has set right (`TIME_ERROR`).
const TIME_ERROR: libc::c_int = 5;

/// Returns whether the kernel says that a time service keeps the wall clock right (`adjtimex(2)`, `STA_UNSYNC`).
///
/// # Errors
/// As the kernel answers; a sandbox may forbid the call.
pub fn clock_is_synchronised() -> io::Result<bool> {
    // SAFETY: a timex of zeros is a valid value (integers only), and its `modes` of 0 asks the kernel to change
    // nothing; the pointer is valid for the whole call.
    #[allow(unsafe_code)]
    let state = unsafe {
        let mut request: libc::timex = std::mem::zeroed();
        libc::adjtimex(&mut request)
    };
    match state {
        -1 => Err(io::Error::last_os_error()),
        state => Ok(state != TIME_ERROR),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_kernel_answers() {
        super::clock_is_synchronised().expect("asking changes nothing, so anybody may");
    }
}
