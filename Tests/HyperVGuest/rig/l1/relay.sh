# shellcheck shell=dash
# The host's side of a run: L2's console is copied to L1's, and requests in it are carried out.
#
#   @host WORDS    `synthgate-vm ctl SOCKET WORDS`
#   @l1 WORDS      a command or function of L1's shell (group/l1.sh)
#
# The answer goes to L2's serial port: `> LINE` for each line of output, then `= CODE`.

control=/run/control.sock
carriage_return="$(printf '\r')"

# One command in L1 or at the running synthgate-vm, with its output and exit code as the answer.
answer() {
  "$@" >/run/answer 2>&1 </dev/null
  code=$?
  sed 's/^/> /' /run/answer
  echo "= $code"
}

relay() {
  # Requests are split into words.
  # shellcheck disable=SC2086
  while IFS= read -r line; do
    line="${line%"$carriage_return"}"
    case "$line" in
      "@host "*) answer timeout 30 synthgate-vm ctl "$control" ${line#@host } >&3 ;;
      "@l1 "*) answer eval "${line#@l1 }" >&3 ;;
      *) echo "$line" ;;
    esac
  done
}

# Runs L2 to its end. Its exit code has to be `expected_code` of the group.
run_group() {
  mkfifo /run/input
  # Open for both directions, so that neither end waits for the other.
  exec 3<>/run/input
  { /vm <&3 2>/run/errors; echo $? >/run/code; } | relay
  sed 's/^/synthgate-vm: /' /run/errors
  code="$(cat /run/code)"
  if [ "$code" = "${expected_code:-0}" ]; then
    echo "check exit-code ok"
  else
    echo "check exit-code FAIL synthgate-vm ended with $code"
  fi
  if type finish >/dev/null; then finish; fi
}
