# What Debian gives the scripts of this folder; sourced by them, never run.
#
# Promises: packages are fetched through apt folders of our own under target/cross, so neither
# the system's lists nor its installed packages change and no root is needed; no line printed
# names a mirror. Only `debian_need`, and only as root, installs on the system itself.
# It deliberately knows no package names: each script says what it needs.

cross_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cross_dir=${NARTHEX_CROSS_DIR:-$cross_root/target/cross}
# A plain user's PATH lacks the folders where Debian keeps mkfs.ext4 and debugfs.
export PATH="$PATH:/usr/sbin:/sbin"

# Says something on stderr, so that a script's stdout stays its result.
say() { printf '%s\n' "$*" >&2; }

# Prints the reason and ends the script.
fail() {
    say "${0##*/}: $*"
    exit 1
}

# Passes text on with the names of mirrors blanked.
without_hosts() {
    sed --regexp-extended --unbuffered \
        --expression="s#(https?://)[^/ ']+#\1...#g" \
        --expression="s#(host=|connect to |resolve |resolving )['\"]?[A-Za-z0-9.:-]+['\"]?#\1...#g"
}

# Makes sure of commands, given as COMMAND=PACKAGE.
debian_need() {
    local pair missing=()
    for pair in "$@"; do
        command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
    done
    ((${#missing[@]})) || return 0
    debian_install "${missing[@]}"
    for pair in "$@"; do
        command -v "${pair%%=*}" >/dev/null || fail "${pair#*=} gave no ${pair%%=*}"
    done
}

# Installs packages on this system if root asks; tells anybody else the line to have typed.
debian_install() {
    ((EUID == 0)) ||
        fail "missing packages; as root: apt-get install --no-install-recommends $*"
    say "installing $*"
    local install=(env DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet=2
        --no-install-recommends --option=DPkg::Lock::Timeout=300 "$@")
    # The lists of a new machine are empty or old: look once more after fetching them.
    "${install[@]}" >/dev/null 2>&1 && return
    apt-get update --quiet=2 2>&1 | without_hosts >&2
    "${install[@]}" 2>&1 >/dev/null | without_hosts >&2
}

# Prints where this system fetches the archive named `debian` or `debian-security`.
debian_uri() {
    local archive=$1 override uri
    override=NARTHEX_${archive^^}_URI
    override=${override//-/_}
    uri=${!override:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' |
        grep --extended-regexp --max-count=1 "/$archive/?\$" || true)}
    [[ $uri ]] || fail "this system's apt knows no archive called $archive: set $override"
    printf '%s\n' "$uri"
}

# Opens an apt folder of our own: FOLDER ARCHITECTURE then ARCHIVE/SUITE words, and fetches the
# lists. `debian_apt` below then works on the folder opened last.
debian_open() {
    local folder=$1 arch=$2 suite keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    shift 2
    debian_need apt-get=apt "dpkg-deb=dpkg" xz=xz-utils
    [[ -r $keyring ]] || fail "missing package debian-archive-keyring"
    mkdir --parents "$folder"/{parts,lists/partial,cache/archives/partial}
    for suite in "$@"; do
        printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n\n' \
            "$(debian_uri "${suite%%/*}")" "${suite#*/}" "$keyring"
    done >"$folder/parts/own.sources"
    debian_options=(
        --option=Dir::Etc::SourceList=/dev/null
        --option=Dir::Etc::SourceParts="$folder/parts"
        --option=Dir::State::Lists="$folder/lists"
        --option=Dir::Cache="$folder/cache"
        --option=Dir::State::status=/dev/null
        --option=APT::Architecture="$arch"
        --option=APT::Architectures="$arch"
        --option=APT::Sandbox::User=root
        --option=Acquire::Retries=3
        # Translations and package indexes of contents are not read here.
        --option=Acquire::Languages=none
    )
    debian_apt apt-get update --quiet=2
}

# Runs apt-get or apt-cache on the open folder; mirrors are blanked in what it says.
debian_apt() {
    local tool=$1
    shift
    "$tool" "${debian_options[@]}" "$@" 2> >(without_hosts >&2)
}

# Downloads packages, given as NAME or NAME=VERSION, and unpacks them into FOLDER; the archives
# themselves are not kept. Nothing of theirs runs: no maintainer script, no trigger.
debian_unpack() {
    local folder=$1 archives archive
    shift
    archives=$(mktemp --directory "$cross_dir/archives.XXXXXX")
    mkdir --parents "$folder"
    (cd "$archives" && debian_apt apt-get download --quiet=2 "$@")
    for archive in "$archives"/*.deb; do
        dpkg-deb --extract "$archive" "$folder"
    done
    rm --recursive --force "$archives"
}

# Prints the names a package depends on, itself first, however far away.
debian_depends() {
    debian_apt apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts \
        --no-breaks --no-replaces --no-enhances "$1" | grep '^[a-z0-9]' || true
}
