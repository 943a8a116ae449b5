# Calls cargo with the compiler and linker of cross/toolchain; sourced by build and test.
#
# Promises: what it makes lies under target/cross and holds no path of this machine, and nothing
# of the caller's compiler settings gets in. It knows no target and no profile.
source "$(dirname "${BASH_SOURCE[0]}")/debian.sh"

manifest=${NARTHEX_CROSS_MANIFEST:-$cross_root/Cargo.toml}
registry=${CARGO_HOME:-$HOME/.cargo}/registry/src

# Fetches what is missing.
cross_prepare() {
    command -v cargo >/dev/null || fail "no cargo in PATH: install Rust with rustup"
    "$cross_root/cross/toolchain"
    # Its folder has to be there, or the flags of the second build would not be those of the first.
    compgen -G "$registry/*/" >/dev/null ||
        cargo fetch --quiet --manifest-path "$manifest" 2> >(without_hosts >&2)
}

# Runs `cargo-zigbuild SUBCOMMAND FLAGS...` on the workspace.
cross_cargo() {
    local command=$1
    shift
    env --unset=RUSTC_WRAPPER --unset=RUSTFLAGS \
        PATH="$cross_dir/venv/bin:$PATH" \
        RUSTC="$cross_dir/rustc" \
        RUSTC_BOOTSTRAP=1 \
        TARGET_CFLAGS="$(c_flags)" \
        ZIG_GLOBAL_CACHE_DIR="$cross_dir/cache/zig" \
        CARGO_ZIGBUILD_CACHE_DIR="$cross_dir/cache/cargo-zigbuild" \
        CARGO_ENCODED_RUSTFLAGS="$(rust_flags)" \
        CARGO_TARGET_DIR="$cross_dir/build" \
        cargo-zigbuild "$command" --manifest-path "$manifest" --jobs "${NARTHEX_CROSS_JOBS:-2}" "$@" \
        2> >(without_hosts >&2)
}

# Prints the flags of what is C: no tables for an unwinder that is not there, and of zstd only the ways
# to compress that the store asks for (levels 1 and 6: fast, lazy, lazy2).
c_flags() {
    local way
    printf -- '-fno-asynchronous-unwind-tables -fno-unwind-tables'
    for way in DFAST GREEDY BTLAZY2 BTOPT BTULTRA; do
        printf ' -DZSTD_EXCLUDE_%s_BLOCK_COMPRESSOR=1' "$way"
    done
}

# Prints rustc's flags, separated as cargo wants them where a path may hold a space.
rust_flags() {
    local folder
    # rustc would look for the C start files of a musl of its own; zig brings them.
    printf -- '-Clink-self-contained=no'
    # Nothing unwinds in a program that aborts, and a stripped one has no backtrace to print: 501 KB of tables less on x86-64.
    printf '\x1f-Cforce-unwind-tables=no'
    # Panics name their source file; where that lay on the machine of the build is nobody's affair,
    # and two machines are to make the same bytes.
    printf '\x1f--remap-path-prefix=%s=' "$cross_root/"
    printf '\x1f--remap-path-prefix=%s=std' "$(realpath "$cross_dir/rust")/usr/lib/rustlib/src/rust/library"
    for folder in "$registry"/*/; do
        printf '\x1f--remap-path-prefix=%s=' "$folder"
    done
}
