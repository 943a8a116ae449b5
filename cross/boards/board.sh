# Makes an initramfs for an emulated board and runs a script in it; sourced by run-*, never run.
#
# Promises: `board_main` exits as the script inside did; 124 when time was up, 125 when the board
# itself failed, 137 after `@cut`. What the script printed is on stdout, the whole serial line in
# target/cross/boards/last-MACHINE.log. QEMU never outlives the call.
# What differs between machines (QEMU's flags, modules) is said in run-pi3 and run-virt.
source "$(dirname "${BASH_SOURCE[0]}")/../debian.sh"

# What is wrong out here must not look like the script's own exit status.
fail_status=125

boards=$cross_dir/boards
modules_ext4=(crypto/crc32c_generic lib/crc16 fs/mbcache fs/jbd2/jbd2 fs/ext4/ext4)

board_usage() {
    cat >&2 <<END
Usage: cross/boards/${0##*/} [OPTION...] SCRIPT [FILE[:PATH]...]

Runs the shell script SCRIPT (busybox sh, as root) on the board. Each FILE, or folder, lies in
/board there, which is in PATH, or at PATH if one is given. A line @cut printed by the script
switches the power off at that instant${board_actions:-}.

  --sd FILE           an ext4 image, made with 64 MiB if absent, mounted at /data
  --timeout SECONDS   ends the board and the call with 124 (default 120)
  --gpiod             Debian's gpiomon, gpioset and so on are there too
  --module PATH       also load kernel/PATH.ko, e.g. drivers/input/keyboard/gpio_keys
  --append WORDS      more words for the kernel's command line
  --forward HOST:PORT a port of 127.0.0.1 here that leads to one of the board (run-virt only)
  --dtb FILE          another device tree
  --steady            the board's time goes by instructions, a nanosecond each, and not by this machine's clock:
                      what else runs here changes nothing, and idle time passes at once
END
    exit 2
}

board_main() {
    local sd='' limit=120 gpiod='' append='' forward=() dtb=''
    while [[ ${1-} == --* ]]; do
        (($# >= 2)) || [[ $1 == --gpiod || $1 == --steady ]] || board_usage
        case $1 in
            --sd) sd=$2 ;;
            --timeout) limit=$2 ;;
            --gpiod) gpiod=yes ;;
            --steady) board_qemu+=(-icount 'shift=0,sleep=off') ;;
            --module) board_modules+=("$2") ;;
            --append) append=$2 ;;
            --forward) forward+=("$2") ;;
            --dtb) dtb=$2 ;;
            *) board_usage ;;
        esac
        [[ $1 == --gpiod || $1 == --steady ]] || shift
        shift
    done
    (($# >= 1)) && [[ -r $1 ]] || board_usage
    board_prepare
    work=$(mktemp --directory "$boards/run.XXXXXX")
    trap 'rm --recursive --force "$work"' EXIT
    token=board-$RANDOM$RANDOM$RANDOM
    [[ $sd ]] && board_sd "$sd"
    ((${#forward[@]})) && board_forward "${forward[@]}"
    board_initramfs "$@"
    board_boot
}

board_prepare() {
    debian_need qemu-system-aarch64=qemu-system-arm cpio=cpio xz=xz-utils python3=python3 \
        mkfs.ext4=e2fsprogs
    "$cross_root/cross/boards/fetch"
}

# QEMU wants an SD card's size to be a power of two.
board_sd() {
    local image=$1
    if [[ ! -e $image ]]; then
        truncate --size=64M "$image"
        mkfs.ext4 -q -L data "$image"
    fi
    board_qemu+=("${board_disk[@]/IMAGE/$image}")
    board_modules+=("${modules_ext4[@]}" "${board_disk_modules[@]}")
    disk=$board_disk_device
}

board_forward() {
    local pair user=user,id=net,restrict=on
    for pair in "$@"; do
        user+=,hostfwd=tcp:127.0.0.1:${pair%%:*}-10.0.2.15:${pair#*:}
    done
    [[ ${board_net[*]-} ]] || fail "this board has no network card"
    board_qemu+=(-netdev "$user" "${board_net[@]}")
    board_modules+=("${board_net_modules[@]}")
    network=yes
}

# A folder that becomes the board's root, then one archive of it. Not compressed: the emulated
# processor would need longer to unpack it than QEMU to load it.
board_initramfs() {
    local root=$work/root script=$1 module place=10 file
    shift
    mkdir --parents "$root"/{bin,dev,board/modules}
    cp "$boards/root/usr/bin/busybox" "$root/bin/busybox"
    cp "$cross_root/cross/boards/init" "$root/init"
    chmod +x "$root/init"
    cp "$script" "$root/board/script"
    for module in "${board_modules[@]}"; do
        # Counted here: in a redirection it would be counted in a child.
        place=$((place + 1))
        xz --decompress --stdout "$boards/modules/$module.ko.xz" \
            >"$root/board/modules/$place-${module##*/}.ko"
    done
    printf 'token=%s\ndisk=%s\nnetwork=%s\n' "$token" "${disk-}" "${network-}" >"$root/board/settings"
    for file in "$@"; do
        board_file "$root" "${file%%:*}" "${file#"${file%%:*}"}"
    done
    [[ ! $gpiod ]] || board_gpiod "$root"
    # The kernel needs a console before /dev is mounted, and root alone may make the node;
    # devtmpfs brings it, so that init is started through a shell-less `rdinit`.
    (cd "$root" && find . -print0 |
        cpio --quiet --null --create --format=newc --owner=0:0) >"$work/initramfs"
}

board_file() {
    local root=$1 from=$2 to=${3#:}
    to=${to:-/board/${from##*/}}
    mkdir --parents "$root$(dirname "$to")"
    cp --recursive --dereference --preserve=mode "$from" "$root$to"
}

board_gpiod() {
    local root=$1 from=$boards/root/usr
    mkdir --parents "$root/lib"
    cp "$from"/bin/gpio* "$root/bin/"
    cp --dereference "$from"/lib/aarch64-linux-gnu/{libc.so.6,libgpiod.so.3} \
        "$from"/lib/ld-linux-aarch64.so.1 "$root/lib/"
}

board_boot() {
    local tree=${dtb:-${board_dtb-}}
    # It takes the place of this shell, so that a signal sent to the call reaches what ends QEMU.
    exec python3 "$cross_root/cross/boards/serial.py" \
        --token "$token" --timeout "$limit" --work "$work" \
        --log "$boards/last-${0##*/}.log" -- \
        qemu-system-aarch64 "${board_qemu[@]}" -kernel "$boards/kernel" ${tree:+-dtb "$tree"} \
        -initrd "$work/initramfs" -display none -monitor none -no-reboot \
        -append "console=ttyAMA0 rdinit=/init quiet loglevel=1 panic=-1 $append"
}
