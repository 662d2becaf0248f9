# Shared by up, test and bench: numbered steps that show they live, and installing what is missing.

# A folder for this run's logs; the caller's trap removes it.
LOGS=$(mktemp -d "${TMPDIR:-/tmp}/dinp-steps.XXXXXX")
STEP=0
BEGAN=$SECONDS

say() { printf '%s\n' "$*"; }
complain() { printf '%s\n' "$*" >&2; }

# The last line a log has, short enough for one line.
last_line() { tail -n 1 "$1" 2>/dev/null | tr -d '\r' | cut -c1-90; }

# step TITLE COMMAND...: runs a command with its output in a log, shows what it does, and how long it took.
# Returns the command's status, after the last lines of its log where it failed.
step() {
    local title=$1 status=0 began=$SECONDS shown=0 log pid
    shift
    STEP=$((STEP + 1))
    log=$LOGS/$STEP.log
    say "[$STEP${STEPS:+/$STEPS}] $title"
    "$@" >"$log" 2>&1 &
    pid=$!
    while kill -0 "$pid" 2>/dev/null; do
        sleep 0.2
        # A line every ten seconds: enough to see that it lives, few enough to read.
        if [ $((SECONDS - began - shown)) -ge 10 ]; then
            shown=$((SECONDS - began))
            say "      ${shown} s  $(last_line "$log")"
        fi
    done
    wait "$pid" || status=$?
    if [ "$status" -ne 0 ]; then
        complain "      failed after $((SECONDS - began)) s (exit code $status). Its last lines:"
        tail -n "${STEP_TAIL:-40}" "$log" | sed 's/^/      | /' >&2
        return "$status"
    fi
    say "      done in $((SECONDS - began)) s"
}

have() { command -v "$1" >/dev/null 2>&1; }
am_root() { [ "$(id -u)" -eq 0 ]; }
can_install() { am_root && have apt-get; }

# missing_of COMMAND:PACKAGE...: the packages whose command or file is not there.
missing_of() {
    local pair
    for pair in "$@"; do
        case $pair in
            /*) [ -e "${pair%%:*}" ] || printf '%s ' "${pair#*:}" ;;
            *) have "${pair%%:*}" || printf '%s ' "${pair#*:}" ;;
        esac
    done
}

# Installs Debian packages; their services stay as the packages mean them to.
apt_install() {
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q || return
    apt-get install -q -y --no-install-recommends "$@"
}

# The same, with no service started: the tests have their own.
apt_install_quietly() {
    local policy=/usr/sbin/policy-rc.d ours=no status=0
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
        ours=yes
    fi
    apt_install "$@" || status=$?
    if [ "$ours" = yes ]; then rm -f "$policy"; fi
    return "$status"
}

# The dashboard's scripts and styles in one file each, from npm's lock file. Done again only when a source changed.
web_assets() {
    local web=$ROOT/dash/web stamp
    stamp=$(cd "$web" && find . -path ./node_modules -prune -o -path ./dist -prune -o -type f -print0 | sort -z |
        xargs -0 sha256sum | sha256sum)
    if [ -e "$web/dist/.stamp" ] && [ "$(cat "$web/dist/.stamp")" = "$stamp" ]; then
        echo "unchanged"
        return 0
    fi
    (cd "$web" && npm ci --no-audit --no-fund && npm run build) || return
    printf '%s' "$stamp" >"$web/dist/.stamp"
}

SAMPLE_TARGET=x86_64-unknown-linux-gnu
[ "$(uname -m)" = aarch64 ] && SAMPLE_TARGET=aarch64-unknown-linux-gnu
SAMPLE=$ROOT/target/$SAMPLE_TARGET/release/dinp-sample

# The sample as a static binary: it then runs on no base at all.
build_sample() {
    (cd "$ROOT" && RUSTFLAGS="-C target-feature=+crt-static" cargo build --locked --release --target "$SAMPLE_TARGET" -p dinp-sample)
}
