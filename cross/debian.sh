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
    exit "${fail_status:-1}"
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
    # Cloud images name a file with a list of mirrors instead of one.
    # shellcheck disable=SC2016  # The format is apt's to expand.
    uri=${!override:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' |
        grep --extended-regexp --max-count=1 "/$archive(\.list)?/?\$" || true)}
    [[ $uri ]] || fail "this system's apt knows no archive called $archive: set $override"
    printf '%s\n' "$uri"
}

# Opens an apt folder of our own: FOLDER ARCHITECTURE then ARCHIVE/SUITE words, and fetches the
# lists. `debian_apt` below then works on the folder opened last.
debian_open() {
    local folder=$1 arch=$2 suite uri keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    shift 2
    debian_need apt-get=apt "dpkg-deb=dpkg" xz=xz-utils
    [[ -r $keyring ]] || fail "missing package debian-archive-keyring"
    mkdir --parents "$folder"/{parts,lists/partial,cache/archives/partial}
    for suite in "$@"; do
        uri=$(debian_uri "${suite%%/*}")
        printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n\n' \
            "$uri" "${suite#*/}" "$keyring"
    done >"$folder/parts/own.sources"
    # The hooks cleared are the system's own (of container images, of desktops): they would act
    # on its folders, which are none of ours. Its proxy settings stay in force.
    cat >"$folder/apt.conf" <<END
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
Dir::Etc::SourceList "/dev/null";
Dir::Etc::SourceParts "$folder/parts";
Dir::State::Lists "$folder/lists";
Dir::State::status "/dev/null";
Dir::Cache "$folder/cache";
APT::Architecture "$arch";
APT::Architectures { "$arch"; };
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "3";
END
    debian_conf=$folder/apt.conf
    debian_apt apt-get update --quiet=2
}

# Runs apt-get or apt-cache on the open folder; mirrors are blanked in what it says.
debian_apt() {
    local tool=$1
    shift
    "$tool" --config-file "$debian_conf" "$@" 2> >(without_hosts >&2)
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
