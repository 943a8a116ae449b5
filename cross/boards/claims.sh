# What on-pi3 and on-virt share; sourced on the board by busybox sh.
#
# `check` says one claim and whether a command bore it out; the other functions are such commands.
# They print nothing themselves. The host counts the lines.

check() {
    claim=$1
    shift
    if "$@"; then echo "ok      $claim"; else echo "FAILED  $claim"; fi
}

# Tries a command until it succeeds, for so many seconds of the board's own time.
within() {
    until=$(($(uptime_s) + $1))
    shift
    until "$@"; do
        [ "$(uptime_s)" -lt "$until" ] || return 1
        sleep 0.5
    done
}

uptime_s() { cut -d. -f1 /proc/uptime; }

# The answer to a request of the agent, in /tmp/answer.
ask() { wget -q -T 10 -O /tmp/answer "http://127.0.0.1:9090$1" 2>/dev/null; }

# The first value of an instant query's answer, or nothing.
value() {
    query=$(echo "$1" | sed 's/ /%20/g; s/\[/%5B/g; s/\]/%5D/g; s/>/%3E/g; s/{/%7B/g; s/}/%7D/g; s/"/%22/g')
    ask "/api/v1/query?query=$query" && sed -n 's/.*"value":\[[^,]*,"\([^"]*\)".*/\1/p' /tmp/answer
}

at_least() { [ "$(value "$1" | cut -d. -f1)" -ge "$2" ] 2>/dev/null; }

start_agent() {
    mkdir -p /data/narthex
    narthex --config.file=/board/board.yml --storage.path=/data/narthex \
        --web.listen-address=127.0.0.1:9090 >>/tmp/log 2>&1 &
    agent=$!
}
