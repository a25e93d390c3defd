# shellcheck shell=dash
# Services: stock hv_utils and hv_kvp_daemon with the integration services of the host.

link=eth0

seconds_off() {
  off=$(($(l1 date +%s) - $(date +%s)))
  echo "${off#-}"
}

# The kernel has no clock but that of the host: the right time comes with the time synchronization.
time_is_that_of_the_host() {
  modprobe hv_vmbus
  date -s @1000000000
  modprobe hv_utils
  within 10 time_is_right
  value clock-seconds-off "$(seconds_off)"
}

time_is_right() { [ "$(seconds_off)" -le 2 ]; }

services_have_drivers() {
  test "$(find /sys/bus/vmbus/drivers/hv_utils -name '*-*-*' | wc -l)" -eq 4
  test "$(cat /sys/class/ptp/ptp0/clock_name)" = hyperv
  test -c /dev/vmbus/hv_kvp
}

heartbeat() {
  within 10 host heartbeat
  sleep 3
  host heartbeat
}

bring_up() {
  modprobe hv_netvsc
  within 10 test -e "/sys/class/net/$link"
  ip link set "$link" up
  ip address add 10.78.0.7/24 dev "$link"
  mkdir -p /var/lib/hyperv
  hostname guest-of-synthgate
  echo "10.78.0.7 guest-of-synthgate" >/etc/hosts
  hv_kvp_daemon --no-daemon >/run/daemon.log 2>&1 &
}

tells_addresses() { host kvp addresses | grep -F 10.78.0.7; }

key_value_pairs() {
  bring_up
  within 20 tells_addresses
  host kvp list
  host kvp get FullyQualifiedDomainName | grep guest-of-synthgate
  host kvp get OSVersion | grep -F "$(uname -r | cut -d- -f1)"
  host kvp get NetworkAddressIPv4 | grep -F 10.78.0.7
  not host kvp get NoSuchKey
}

# The kernel runs /sbin/poweroff, which tells the first process, and that is this shell.
trap ': >/run/asked' USR2
check time time_is_that_of_the_host
check drivers services_have_drivers
check heartbeat heartbeat
check key-value-pairs key_value_pairs
check shutdown host shutdown
within 15 test -e /run/asked
check power-off test -e /run/asked
