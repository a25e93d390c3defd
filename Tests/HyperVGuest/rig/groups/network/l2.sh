# shellcheck shell=dash disable=SC2154
# Network: stock hv_netvsc with the NICs of host.yaml.

nic=53470000-6e69-6300-8000-000000000000
responder=53470001-6e69-6300-8000-000000000000
outside=10.77.0.1

# The link of a NIC: link INSTANCE.
link() {
  for found in "/sys/bus/vmbus/devices/$1"/net/*; do
    [ -e "$found" ] && basename "$found" && return
  done
  return 1
}

attribute() { cat "/sys/class/net/$1/$2"; }

has_attribute() { [ "$(attribute "$1" "$2")" = "$3" ]; }

statistic() { attribute "$1" "statistics/$2"; }

links_are_there() {
  modprobe hv_vmbus
  modprobe hv_netvsc
  within 20 link $nic >/dev/null
  within 20 link $responder >/dev/null
  echo "eth=$(link $nic) other=$(link $responder)" >/run/links
}

mac_is_as_configured() {
  test "$(attribute "$eth" address)" = 00:15:5d:00:00:01
  test "$(attribute "$other" address)" = 00:15:5d:00:00:02
}

carrier_is_up() {
  ip link set "$eth" up
  ip link set "$other" up
  within 10 has_attribute "$eth" carrier 1
  within 10 has_attribute "$other" carrier 1
  ethtool "$eth"
}

bring_up() {
  l1 bring_up
  ip address add 10.77.0.2/24 dev "$eth"
  mkdir /srv
  httpd -p 10.77.0.2:80 -h /srv
  ip address add fd77::2/64 dev "$eth" nodad
}

dhcp() {
  cat >/run/bound <<'END'
#!/bin/dash
if [ "$1" = bound ]; then
  ip address add "$ip/$mask" dev "$interface"
  echo "$ip" >/run/leased
fi
END
  chmod +x /run/bound
  udhcpc -i "$other" -n -q -t 5 -T 1 -s /run/bound
  case "$(cat /run/leased)" in 10.78.0.*) ;; *) return 1 ;; esac
  ping -n -q -c 3 -i 0.1 10.78.0.1
}

ping_both_ways() {
  ping -n -q -c 10 -i 0.05 $outside >/run/ping
  cat /run/ping
  grep ' 0% packet loss' /run/ping
  value ping-milliseconds "$(sed -n 's|^rtt.* = [^/]*/\([^/]*\)/.*|\1|p' /run/ping)"
  # Sizes around the limits of padding and of one and of several fragments.
  for size in 0 1 17 18 19 63 64 1471 1472 1473 9000 40000; do ping -n -q -c 1 -W 5 -s "$size" $outside; done
  ping -n -q -c 3 -i 0.05 -6 fd77::1
  l1 ping -c 3 10.77.0.2
  l1 ping -c 1 -s 9000 10.77.0.2
}

receive_file() {
  start="$(now)"
  wget -q -O /srv/file "http://$outside/file"
  rate receive-mib-per-second 12 "$start"
  test "$(sha256sum </srv/file | cut -d' ' -f1)" = "$(l1 digest)"
}

send_file() {
  start="$(now)"
  l1 fetch
  rate send-mib-per-second 12 "$start"
  test "$(sha256sum </srv/file | cut -d' ' -f1)" = "$(l1 digest received)"
}

# The offloads that the host offers are on, and frames larger than the MTU cross in both directions.
large_segments() {
  ethtool -k "$eth" >/run/features
  for feature in rx-checksumming tx-checksumming scatter-gather tcp-segmentation-offload tx-tcp6-segmentation \
    generic-receive-offload; do
    grep "$feature: on" /run/features
  done
  packets="$(l1 counter rx_packets)" bytes="$(l1 counter rx_bytes)"
  send_file
  average=$((($(l1 counter rx_bytes) - bytes) / ($(l1 counter rx_packets) - packets)))
  value sent-bytes-per-frame "$average"
  test "$average" -gt 3000
  packets="$(l1 counter tx_packets)" bytes="$(l1 counter tx_bytes)"
  receive_file
  average=$((($(l1 counter tx_bytes) - bytes) / ($(l1 counter tx_packets) - packets)))
  value received-bytes-per-frame "$average"
  test "$average" -gt 3000
}

# The same stream with every checksum made by the guest, and no frame longer than the MTU.
without_offloads() {
  ethtool -K "$eth" tso off gso off gro off lro off tx off
  send_file
  receive_file
  ethtool -K "$eth" tso on gso on gro on lro on tx on
}

jumbo_frames() {
  l1 mtu 9000
  ip link set "$eth" mtu 9000
  within 10 has_attribute "$eth" carrier 1
  ping -n -q -c 3 -i 0.05 -W 5 -M "do" -s 8972 $outside
  not ping -n -q -c 1 -W 1 -M "do" -s 8973 $outside
  send_file
  receive_file
  ip link set "$eth" mtu 1500
  l1 mtu 1500
  ping -n -q -c 3 -i 0.05 -W 5 -M "do" -s 1472 $outside
}

# Neighbours of IPv6 are found by multicast; a group more, and all of them.
multicast() {
  ip -6 neighbour flush dev "$eth"
  ping -n -q -c 3 -i 0.05 -W 5 -6 fd77::1
  l1 ping -6 -c 2 ff02::1%vsw0
  before="$(statistic "$eth" multicast)"
  ip maddress add 01:00:5e:01:02:03 dev "$eth"
  ip link set "$eth" allmulticast on
  ip link set "$eth" promisc on
  ping -n -q -c 3 -i 0.05 -W 5 $outside
  ip link set "$eth" promisc off
  ip link set "$eth" allmulticast off
  ip maddress del 01:00:5e:01:02:03 dev "$eth"
  ping -n -q -c 3 -i 0.05 -W 5 $outside
  echo "multicast frames: $before"
}

vlan() {
  l1 vlan
  ip link add link "$eth" name vlan5 type vlan id 5
  ip address add 10.79.0.2/24 dev vlan5
  ip link set vlan5 up
  within 10 ping -n -q -c 1 -W 1 10.79.0.1
  ping -n -q -c 5 -i 0.05 -s 1472 10.79.0.1
  iperf3 --client 10.79.0.1 --time 1 --json >/run/vlan.json
  test "$(bits_per_second /run/vlan.json)" -gt 1000000
  ip link delete vlan5
}

bits_per_second() {
  sed -n '/"sum_received"/,/}/s/.*"bits_per_second":[^0-9]*\([0-9]*\).*/\1/p' "$1" | head -n 1
}

# iperf NAME WORD...
iperf() {
  name="$1"
  shift
  iperf3 --client $outside --time 2 --json "$@" >/run/iperf.json
  value "$name" $(($(bits_per_second /run/iperf.json) / 1000000))
}

throughput() {
  iperf send-megabits
  iperf receive-megabits --reverse
  iperf send-megabits-4-streams --parallel 4
  iperf receive-megabits-4-streams --parallel 4 --reverse
}

# Two processors: a sub-channel, an indirection table over both queues, and frames in both of them.
queues() {
  ethtool -l "$eth"
  test "$(find "/sys/bus/vmbus/devices/$nic/channels" -mindepth 1 -maxdepth 1 -type d | wc -l)" -eq 2
  ethtool -x "$eth"
  ethtool -S "$eth" >/run/statistics
  for queue in 0 1; do
    test "$(sed -n "s/^ *rx_queue_${queue}_packets: //p" /run/statistics)" -gt 0
    test "$(sed -n "s/^ *tx_queue_${queue}_packets: //p" /run/statistics)" -gt 0
  done
  grep -E 'wake|stop|full|busy|errors|no_memory|scatter' /run/statistics
}

udp() {
  iperf3 --client $outside --udp --bitrate 20M --length 1400 --time 1 --json >/run/udp.json
  iperf3 --client $outside --udp --bitrate 5M --length 8000 --time 1 --reverse --json >/run/udp-reverse.json
  # Fragments of 8000 bytes survive on a quiet wire.
  test "$(bits_per_second /run/udp-reverse.json)" -gt 1000000
}

check links links_are_there
# shellcheck disable=SC1091
. /run/links
check mac mac_is_as_configured
check carrier carrier_is_up
check addresses bring_up
check dhcp dhcp
check ping ping_both_ways
check receive receive_file
check send send_file
check large-segments large_segments
check without-offloads without_offloads
check jumbo-frames jumbo_frames
check multicast multicast
check vlan vlan
check throughput throughput
check udp udp
check queues queues
# shellcheck disable=SC1091
. /group/hot-plug.sh
