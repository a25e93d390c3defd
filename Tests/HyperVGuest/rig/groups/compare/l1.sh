# shellcheck shell=dash disable=SC2034
# Compare: one disk and one NIC with a TAP, for the kernel's drivers and then for ours.

# Kernels before 6.10 let a program ring only by the monitor page: so everybody does, as an Azure guest with such a kernel.
# shellcheck disable=SC2154
case "$kernel" in
  6.1) monitor=all ;;
  *) monitor=none ;;
esac
options="--config /group/host.yaml --memory 768 --monitor $monitor"

prepare() {
  mount -t debugfs debugfs /sys/kernel/debug
  dd if=/dev/urandom of=/disks/data.img bs=1M count=96 2>/dev/null
}

# How often the guest has left the processor so far.
exits() { cat /sys/kernel/debug/kvm/exits; }

bring_up() {
  ip link set vsw0 up
  ip address replace 10.77.0.1/24 dev vsw0
  iperf3 --server --daemon
}

digest() { sha256sum </disks/data.img | cut -d' ' -f1; }
