# shellcheck shell=dash disable=SC2034
# Network: the other end of L2's first NIC, the TAP vsw0 that synthgate-vm makes.

options="--config /group/host.yaml --memory 512 --cpus 2"

prepare() {
  mkdir /srv
  dd if=/dev/urandom of=/srv/file bs=1M count=12 2>/dev/null
}

# Brings the TAP up, which is there as soon as synthgate-vm runs, and starts the servers.
bring_up() {
  ip link set vsw0 up
  ip address add 10.77.0.1/24 dev vsw0
  ip address add fd77::1/64 dev vsw0 nodad
  httpd -p 10.77.0.1:80 -h /srv
  iperf3 --server --daemon
}

# Without an argument: the digest of the file that is served; with one: that of a file that came.
digest() { sha256sum </srv/"${1:-file}" | cut -d' ' -f1; }

# Fetches the same file from L2.
fetch() { wget -q -O /srv/received http://10.77.0.2/file; }

# One counter of the TAP: rx_packets, rx_bytes, tx_packets, tx_bytes. What L2 sends is received here.
counter() { cat "/sys/class/net/vsw0/statistics/$1"; }

vlan() {
  ip link add link vsw0 name vsw0.5 type vlan id 5
  ip address add 10.79.0.1/24 dev vsw0.5
  ip link set vsw0.5 up
}

mtu() { ip link set vsw0 mtu "$1"; }

# The TAP goes with the last NIC behind it, and comes with the next.
bring_up_again() {
  ip link set vsw0 up
  ip address replace 10.77.0.1/24 dev vsw0
}
