# shellcheck shell=dash disable=SC2154
# Network: the cable is pulled and put back, NICs go and come.

cable() {
  host nic carrier 0 down
  within 10 has_attribute "$eth" carrier 0
  host nic carrier 0 up
  within 10 has_attribute "$eth" carrier 1
  within 10 ping -n -q -c 1 -W 1 "$outside"
}

is_gone() { not link "$1"; }

removal_under_load() {
  iperf3 --client "$outside" --time 20 >/run/removal.log 2>&1 &
  sleep 1
  host nic remove 0
  within 15 is_gone "$nic"
  # The other NIC works on.
  ping -n -q -c 2 -i 0.05 10.78.0.1
  kill $!
}

return_of_the_nic() {
  host nic add tap:vsw0 00:15:5d:00:00:01
  within 15 any_link_with 00:15:5d:00:00:01
  l1 bring_up_again
  back="$(basename "$(dirname "$(grep -l 00:15:5d:00:00:01 /sys/class/net/*/address)")")"
  ip link set "$back" up
  ip address add 10.77.0.2/24 dev "$back"
  within 10 ping -n -q -c 1 -W 1 "$outside"
}

any_link_with() { grep -l "$1" /sys/class/net/*/address; }

check cable cable
check removal-under-load removal_under_load
check return return_of_the_nic
