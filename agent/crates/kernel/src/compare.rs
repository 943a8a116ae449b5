//! `memcmp` and `bcmp` for the static binary, a word at a time.
//!
//! Every comparison of two strings ends here, and the C library that is linked for boards compares byte by byte: at
//! a hundred thousand labels a scrape that is seen. What the C standard promises of the two is all they promise. The
//! system's own library has better ones, and where a word must lie at a multiple of its size (ARMv6) these would be no
//! gain; so they are for the static binary on x86-64 and aarch64.

/// Bytes compared at once.
const WORD: usize = size_of::<usize>();

/// Compares `n` bytes; negative, zero or positive as the first that differs is lower, none does, or it is higher.
///
/// # Safety
/// Both pointers are good for reading `n` bytes.
#[cfg_attr(not(test), unsafe(no_mangle))]
#[allow(unsafe_code)]
unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, n: usize) -> i32 {
    // SAFETY: as the caller promises.
    unsafe {
        let mut at = same_words(a, b, n);
        while at < n {
            let (left, right) = (a.add(at).read(), b.add(at).read());
            if left != right {
                return i32::from(left) - i32::from(right);
            }
            at += 1;
        }
    }
    0
}

/// Returns zero if `n` bytes are the same.
///
/// # Safety
/// Both pointers are good for reading `n` bytes.
#[cfg_attr(not(test), unsafe(no_mangle))]
#[allow(unsafe_code)]
unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, n: usize) -> i32 {
    // SAFETY: every read lies within the `n` bytes that the caller promises; the last word overlaps the one before.
    unsafe {
        if n >= WORD {
            let at = same_words(a, b, n);
            let differs = n - at >= WORD || word(a, n - WORD) != word(b, n - WORD);
            return i32::from(differs);
        }
        let mut at = 0;
        while at < n {
            if a.add(at).read() != b.add(at).read() {
                return 1;
            }
            at += 1;
        }
    }
    0
}

/// Returns the start of the first word that differs, or of what is no whole word.
///
/// # Safety
/// Both pointers are good for reading `n` bytes.
#[allow(unsafe_code)]
#[inline(always)]
unsafe fn same_words(a: *const u8, b: *const u8, n: usize) -> usize {
    let mut at = 0;
    // SAFETY: a whole word is left of the `n` bytes.
    while n - at >= WORD && unsafe { word(a, at) == word(b, at) } {
        at += WORD;
    }
    at
}

/// Reads a word wherever it begins.
///
/// # Safety
/// A word can be read there.
#[allow(unsafe_code)]
#[inline(always)]
unsafe fn word(from: *const u8, at: usize) -> usize {
    // SAFETY: as the caller promises; alignment is not asked for.
    unsafe { from.add(at).cast::<usize>().read_unaligned() }
}

#[cfg(test)]
mod tests {
    /// Everything that two runs of bytes may have in common and not, at every alignment.
    #[test]
    fn they_say_what_slices_say() {
        let text: Vec<u8> = (0..64_u8).map(|at| at.wrapping_mul(37)).collect();
        for length in 0..40 {
            for (left, right) in [(0, 0), (0, 1), (3, 8), (7, 5)] {
                let a = &text[left..left + length];
                let mut b = text[left..left + length].to_vec();
                b.splice(0..0, vec![0; right]);
                compare(a, &b[right..]);
                for at in 0..length {
                    for change in [1, 0x80, 0xff] {
                        b[right + at] ^= change;
                        compare(a, &b[right..]);
                        b[right + at] ^= change;
                    }
                }
            }
        }
    }

    fn compare(a: &[u8], b: &[u8]) {
        // SAFETY: both slices have this many bytes.
        #[allow(unsafe_code)]
        let (order, differs) =
            unsafe { (super::memcmp(a.as_ptr(), b.as_ptr(), a.len()), super::bcmp(a.as_ptr(), b.as_ptr(), a.len())) };
        assert_eq!(order.cmp(&0), a.cmp(b), "{a:?} {b:?}");
        assert_eq!(differs == 0, a == b, "{a:?} {b:?}");
    }
}
