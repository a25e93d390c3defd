# shellcheck shell=dash
# Ours: our drivers on the stock kernel's uio_hv_generic, beside and in place of hv_storvsc and hv_netvsc.

first=5a5a0001-0000-4000-8000-000000000001
second=5a5a0002-0000-4000-8000-000000000002
nic=5a5a0003-0000-4000-8000-000000000003
devices=/sys/bus/vmbus/devices

driver() { basename "$(readlink "$devices/$1/driver")"; }

has_driver() { [ "$(driver "$1")" = "$2" ]; }

# The kernel's block device of a controller.
disk() { basename "$devices/$1"/host*/target*/*/block/*; }

has_disk() { [ -b "/dev/$(disk "$1")" ]; }

# Fails unless a command ends with CODE.
code() {
  wanted="$1"
  shift
  set +e
  "$@"
  got=$?
  set -e
  test "$got" -eq "$wanted"
}

drivers() {
  modprobe hv_vmbus
  modprobe sd_mod
  modprobe hv_storvsc
  modprobe hv_netvsc
  modprobe loop
  modprobe fuse || true
  modprobe tun
  within 60 has_disk $first
  within 20 has_disk $second
  within 20 test -e /sys/class/net/eth0
  cat /proc/sys/vm/nr_overcommit_hugepages >/run/huge-limit
}

devices_are_listed() {
  synthgate devices >/run/devices
  cat /run/devices
  grep "scsi-5a5a0001.*hv_storvsc" /run/devices
  grep "scsi-5a5a0002.*hv_storvsc" /run/devices
  grep "nic-5a5a0003.*hv_netvsc" /run/devices
}

# A file tree that the kernel's driver writes.
kernel_writes() {
  mkfs.ext4 -q "/dev/$(disk $first)"
  mount -t ext4 "/dev/$(disk $first)" /mnt
  mkdir /mnt/tree
  cp -r /lib/modules /bin/busybox /bin/fio /group /mnt/tree
  (cd /mnt/tree && find . -type f | sort | xargs sha256sum) >/run/tree.sum
}

refusals() {
  # It is mounted, and its NIC is not there; nothing is attached that could be mounted or detached.
  code 5 synthgate attach $first
  has_driver $first hv_storvsc
  umount /mnt
  code 3 synthgate attach scsi-99999999
  code 3 synthgate detach $first
  code 3 synthgate mount disk0 /mnt
  code 3 synthgate link up syn0
}

attach() {
  synthgate attach scsi-5a5a0001
  has_driver $first uio_hv_generic
  # Nobody else is touched.
  has_driver $second hv_storvsc
  has_driver $nic hv_netvsc
}

mount_and_compare() {
  synthgate mount disk0 /mnt
  (cd /mnt/tree && sha256sum -c /run/tree.sum >/dev/null)
  # By us, then read by the kernel's driver.
  dd if=/dev/urandom of=/mnt/ours bs=1M count=8 conv=fsync
  sha256sum </mnt/ours >/run/ours.sum
  synthgate disks
}

# A process owns a controller: the next one is told.
one_owner() {
  mkdir -p /run/other
  code 5 synthgate mount disk0 /run/other
}

verified_load() {
  fio --name=verify --directory=/mnt --size=6M --numjobs=3 --thread --rw=randrw --bsrange=4k-128k --blockalign=4k \
    --ioengine=libaio --iodepth=8 --direct=1 --verify=crc32c --verify_fatal=1 --do_verify=1 --verify_state_save=0 \
    --randseed=11 --group_reporting
  rm /mnt/verify.*
}

unmount() {
  synthgate umount /mnt
  not pidof synthgate
  has_driver $first uio_hv_generic
}

# Nothing that was acknowledged is lost when the process is killed in the middle of its work; the next mount repairs.
killed() {
  synthgate mount disk0 /mnt
  dd if=/dev/urandom of=/mnt/kept bs=1M count=4 conv=fsync
  sha256sum </mnt/kept >/run/kept.sum
  fio --name=load --directory=/mnt --size=8M --thread --rw=randwrite --bs=16k --ioengine=libaio --iodepth=8 --direct=1 \
    --time_based --runtime=30 &
  sleep 1
  # shellcheck disable=SC2046
  kill -9 $(pidof synthgate)
  not wait $!
  # What is left of the mount is cleared by the next command.
  synthgate umount /mnt || true
  synthgate mount disk0 /mnt
  test "$(sha256sum </mnt/kept)" = "$(cat /run/kept.sum)"
  test "$(sha256sum </mnt/ours)" = "$(cat /run/ours.sum)"
  rm -f /mnt/load*
  synthgate umount /mnt
}

# The host takes the controller away in the middle of the work, and gives it back: a pause, and nothing else.
rescinded() {
  synthgate attach $second
  synthgate mount serial=SG-SECOND /mnt --filesystem none
  fio --name=load --filename=/mnt/whole --size=24M --thread --rw=randwrite --bsrange=4k-64k --blockalign=4k \
    --ioengine=libaio --iodepth=8 --direct=1 --time_based --runtime=8 --verify=crc32c --verify_fatal=1 --do_verify=1 \
    --verify_state_save=0 --randseed=5 &
  load=$!
  sleep 2
  host controller remove 1
  within 10 test ! -e "$devices/$second"
  # With its disk at once: that hv_storvsc, which has it first for a moment, gets no announcement meanwhile, for it would
  # crash; and that the disk is there when ours looks.
  host controller add $second 0:3 /disks/second.img
  wait $load
  has_driver $second uio_hv_generic
  synthgate umount /mnt
  not pidof synthgate
}

link() {
  l1 bring_up
  synthgate attach nic-5a5a0003
  synthgate link up syn0 --address 10.77.0.2/24
  test "$(cat /sys/class/net/syn0/address)" = 00:15:5d:00:00:01
  test "$(cat /sys/class/net/syn0/carrier)" -eq 1
  ping -q -c 20 -i 0.05 10.77.0.1 >/run/ping
  cat /run/ping
  grep ' 0% packet loss' /run/ping
}

transfer() {
  mkdir -p /srv
  wget -q -O /srv/file http://10.77.0.1/file
  test "$(sha256sum </srv/file | cut -d' ' -f1)" = "$(l1 digest)"
  httpd -p 10.77.0.2:8080 -h /srv
  l1 fetch
  test "$(l1 digest received)" = "$(l1 digest)"
}

link_down() {
  synthgate link down syn0
  test ! -e /sys/class/net/syn0
  not pidof synthgate
}

# Everything is as it was before.
detach() {
  synthgate detach --all
  within 10 has_driver $first hv_storvsc
  within 10 has_driver $second hv_storvsc
  within 10 has_driver $nic hv_netvsc
  within 60 has_disk $first
  test "$(cat "$devices/$first/driver_override")" = "(null)"
  cmp /proc/sys/vm/nr_overcommit_hugepages /run/huge-limit
  test "$(cat /proc/sys/vm/nr_hugepages)" -eq 0
  find /run/synthgate -type f
  test "$(find /run/synthgate -type f -name '*.json' | wc -l)" -eq 0
}

kernel_reads() {
  e2fsck -fn "/dev/$(disk $first)"
  mount -t ext4 "/dev/$(disk $first)" /mnt
  (cd /mnt/tree && sha256sum -c /run/tree.sum >/dev/null)
  test "$(sha256sum </mnt/ours)" = "$(cat /run/ours.sum)"
  umount /mnt
  within 20 test -e /sys/class/net/eth0
  ip link set eth0 up
  ip address replace 10.77.0.2/24 dev eth0
  ping -q -c 5 -i 0.05 10.77.0.1
}

check drivers drivers
check devices devices_are_listed
check kernel-writes kernel_writes
check refusals refusals
check attach attach
check mount mount_and_compare
check one-owner one_owner
check load verified_load
check unmount unmount
check killed killed
check rescinded rescinded
check link link
check transfer transfer
check link-down link_down
check detach detach
check kernel-reads kernel_reads
