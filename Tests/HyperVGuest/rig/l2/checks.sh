# shellcheck shell=dash
# What the checks of all groups use. A check is a function that fails at its first command that fails.

# The serial port, for answers of L1.
stty -F /dev/console -echo
exec 5</dev/console

# Shows what the check does, and what everybody waits for, when it lasts longer than any check does.
watch_check() {
  sleep 120
  {
    echo "check $1 still runs: $(grep '^+' /run/check.log | tail -n 1)"
    for process in /proc/[0-9]*; do
      [ -e "$process/exe" ] || continue
      for task in "$process"/task/*; do
        echo "$(basename "$task") $(cat "$task/comm"): $(sed 's/^\[<0>\] //' "$task/stack" | head -n 8 | tr '\n' ' ')"
      done
    done
  } 2>&1 | sed 's/^/| /' >/dev/console
}

# Runs a check and reports it; what it did and printed is shown when it failed.
check() {
  check_name="$1"
  shift
  watch_check "$check_name" &
  check_watch=$!
  (
    set -ex
    "$@"
  ) >/run/check.log 2>&1
  check_code=$?
  kill "$check_watch"
  if [ "$check_code" -eq 0 ]; then
    echo "check $check_name ok"
  else
    tail -n 25 /run/check.log | sed 's/^/| /'
    echo "check $check_name FAIL code $check_code after: $(grep '^+' /run/check.log | tail -n 1)"
  fi
}

# Reports a measurement, also from within a check.
value() { echo "value $1 $2" >/dev/console; }

# Asks L1 (see its relay.sh), prints the answer, and ends with its code.
ask() {
  echo "@$*" >/dev/console
  while IFS= read -r reply <&5; do
    case "$reply" in
      "= "*) return "${reply#= }" ;;
      *) echo "${reply#> }" ;;
    esac
  done
  return 1
}

# A command to the running synthgate-vm.
host() { ask host "$@"; }

# A command or function of L1's shell.
l1() { ask l1 "$@"; }

# Waits until a command succeeds, at most SECONDS.
within() {
  until_second=$(($(cut -d. -f1 /proc/uptime) + $1))
  shift
  until "$@"; do
    [ "$(cut -d. -f1 /proc/uptime)" -lt "$until_second" ] || return 1
    sleep 0.1
  done
}

not() { ! "$@"; }

# Seconds since boot, with two digits behind the point.
now() { cut -d' ' -f1 /proc/uptime; }

# Reports AMOUNT per second since START (of `now`).
rate() {
  value "$1" "$(awk -v amount="$2" -v start="$3" -v end="$(now)" 'BEGIN { printf "%.1f", amount / (end - start + 0.001) }')"
}

# No warning or error in the kernel log but those that the guest would print on a real Hyper-V, too.
quiet_kernel() {
  cat /expected-log /group/expected-log 2>/dev/null | sed '/^#/d; /^$/d' >/run/expected
  dmesg -r | grep '^<[0-4]>' | grep -v -E -f /run/expected >/run/unexpected || return 0
  head -n 20 /run/unexpected
  return 1
}
