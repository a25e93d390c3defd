# shellcheck shell=dash
# Compare: the same load through the kernel's drivers and through ours, in one guest.

# shellcheck disable=SC1091
. /group/load.sh
rounds="${rounds:-1}"

kernel_drivers() {
  modprobe hv_vmbus
  modprobe sd_mod
  modprobe hv_storvsc
  modprobe hv_netvsc
  within 20 test -b /dev/sda
  within 20 test -e /sys/class/net/eth0
  modprobe uio_hv_generic
  modprobe loop
  modprobe fuse || true
  modprobe tun
}

kernel_disk() {
  within 20 test -b /dev/sda
  disk_load kernel /dev/sda
}

our_disk() {
  synthgate attach scsi-53470000
  synthgate mount disk0 /mnt --filesystem none
  test "$(sha256sum </mnt/whole | cut -d' ' -f1)" = "$(l1 digest)"
  disk_load ours /mnt/whole
  synthgate umount /mnt
  synthgate detach scsi-53470000
}

kernel_link() {
  within 20 test -e /sys/class/net/eth0
  ip link set eth0 up
  ip address replace 10.77.0.2/24 dev eth0
  link_load kernel
  ip link set eth0 down
}

our_link() {
  synthgate attach nic-53470000
  synthgate link up syn0 --address 10.77.0.2/24
  link_load ours
  synthgate link down syn0
  synthgate detach nic-53470000
}

# At depth 32 a program that looks by itself needs fewer interrupts than a kernel that is called for each.
our_exits_are_fewer() {
  awk -v ours="$(median ours-randread-4k-32-exits)" -v kernels="$(median kernel-randread-4k-32-exits)" \
    'BEGIN { print ours, kernels; exit !(ours <= kernels) }'
}

# The aim is the kernel's rate; half of it is what a busy machine may take away.
our_rate_is_near() {
  awk -v ours="$(median ours-randread-4k-32)" -v kernels="$(median kernel-randread-4k-32)" \
    'BEGIN { print ours, kernels; exit !(ours >= kernels / 2) }'
}

check drivers kernel_drivers
l1 bring_up
round=0
while [ "$round" -lt "$rounds" ]; do
  round=$((round + 1))
  check "kernel-disk-$round" kernel_disk
  check "our-disk-$round" our_disk
  check "kernel-link-$round" kernel_link
  check "our-link-$round" our_link
done
check our-exits our_exits_are_fewer
check our-rate our_rate_is_near
