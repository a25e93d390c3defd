# shellcheck shell=dash
# Storage: stock hv_storvsc and sd with the disks of host.yaml.

first=53470000-7363-7369-8000-000000000000
second=01234567-89ab-cdef-0123-456789abcdef
mebibyte=1048576

# The block device of a controller's disk: disk CONTROLLER TARGET LUN.
disk() {
  for found in "/sys/bus/vmbus/devices/$1"/host*/target*/*:*:"$2:$3"/block/*; do
    [ -e "$found" ] && basename "$found" && return
  done
  return 1
}

# Waits for it, and prints it.
disk_when_there() {
  within 10 disk "$@" >/dev/null
  disk "$@"
}

disk_count() { find /sys/block -maxdepth 1 -name 'sd*' | wc -l; }

has_disk_count() { [ "$(disk_count)" -eq "$1" ]; }

queue() { cat "/sys/block/$1/queue/$2"; }

# The serial number of a disk, out of VPD page 80h.
serial() { tail -c +5 "/sys/block/$1/device/vpd_pg80"; }

bytes() { blockdev --getsize64 "/dev/$1"; }

# terms DISK BYTES SECTOR READ-ONLY SERIAL
terms() {
  test "$(bytes "$1")" -eq "$2"
  test "$(queue "$1" logical_block_size)" -eq "$3"
  test "$(cat "/sys/block/$1/ro")" -eq "$4"
  test "$(serial "$1")" = "$5"
  test "$(tr -d ' ' <"/sys/block/$1/device/vendor")" = Msft
  test "$(cat "/sys/block/$1/device/model")" = "Virtual Disk    "
  test "$(cat "/sys/block/$1/device/type")" -eq 0
}

bus_is_there() {
  modprobe hv_vmbus
  within 10 test -e "/sys/bus/vmbus/devices/$first"
  modprobe sd_mod
  # A sub-channel for each further processor, not one for four of them.
  modprobe hv_storvsc storvsc_vcpus_per_sub_channel=1
}

all_disks_are_there() {
  within 20 has_disk_count 5
  data="$(disk_when_there $first 0 0)"
  large="$(disk_when_there $first 0 1)"
  fixed="$(disk_when_there $first 0 5)"
  other="$(disk_when_there $second 0 0)"
  far="$(disk_when_there $second 1 63)"
  echo "data=$data large=$large fixed=$fixed other=$other far=$far" >/run/disks
  lsblk -o NAME,HCTL,SIZE,LOG-SEC,RO,VENDOR,MODEL
}

# The driver tries every path, target and LUN: a wrong answer makes ghosts, also late ones.
no_ghosts() {
  sleep 1
  has_disk_count 5
}

terms_are_as_configured() {
  terms "$data" $((256 * mebibyte)) 512 0 SG-DATA
  terms "$large" $((64 * mebibyte)) 4096 0 SG-LARGE
  terms "$fixed" $((8 * mebibyte)) 512 1 SG-FIXED
  terms "$other" $((48 * mebibyte)) 512 0 SG-SECOND
  terms "$far" $((32 * mebibyte)) 512 0 SG-FAR
  test "$(queue "$data" write_cache)" = "write back"
  test "$(queue "$data" discard_max_bytes)" -gt 0
}

sub_channels_are_open() {
  test "$(find "/sys/bus/vmbus/devices/$first/channels" -mindepth 1 -maxdepth 1 -type d | wc -l)" -eq 2
}

content_is_that_of_the_image() {
  test "$(sha256sum <"/dev/$fixed" | cut -d' ' -f1)" = "$(l1 digest fixed 8)"
}

read_only_refuses_writes() {
  not dd if=/dev/zero of="/dev/$fixed" bs=4096 count=1 conv=fsync
  content_is_that_of_the_image
}

filesystem() {
  mkfs.ext4 -q "/dev/$data"
  mount -t ext4 "/dev/$data" /mnt
  mkdir /mnt/tree
  cp -r /bin /lib/modules /mnt/tree
  (cd /mnt/tree && find . -type f | sort | xargs sha256sum) >/run/tree.sum
  umount /mnt
  e2fsck -fn "/dev/$data"
  mount -t ext4 "/dev/$data" /mnt
  (cd /mnt/tree && sha256sum -c /run/tree.sum >/dev/null)
}

# What fsync has acknowledged is in the image.
fsync_reaches_the_image() {
  dd if=/dev/urandom of="/dev/$other" bs=1M count=4 conv=fsync
  test "$(dd if="/dev/$other" bs=1M count=4 iflag=direct | sha256sum | cut -d' ' -f1)" = "$(l1 digest second 4)"
}

fstrim_shrinks_the_image() {
  rm -r /mnt/tree
  dd if=/dev/urandom of=/mnt/big bs=1M count=24 conv=fsync
  before="$(l1 allocated data.vhdx)"
  rm /mnt/big
  sync
  fstrim /mnt
  # Blocks of a VHDX are given back with the next flush.
  echo trimmed >/mnt/note
  sync
  after="$(l1 allocated data.vhdx)"
  value fstrim-freed-kib $((before - after))
  test $((before - after)) -ge $((24 * 1024))
}

# Random sizes with a checksum in each block, at a depth that fills the rings, from several jobs.
verified_load() {
  fio --name=verify --filename="/dev/$large" --size=8M --offset_increment=16M --numjobs=4 --thread \
    --rw=randwrite --bsrange=4k-256k --blockalign=4k --ioengine=libaio --iodepth=32 --direct=1 --group_reporting \
    --verify=crc32c --verify_fatal=1 --do_verify=1 --verify_state_save=0 --randseed=42
}

verified_load_on_files() {
  fio --name=files --directory=/mnt --size=4M --numjobs=2 --thread --rw=randrw --bsrange=1k-64k --bs_unaligned \
    --ioengine=psync --fsync=64 --verify=crc32c --verify_fatal=1 --do_verify=1 --verify_state_save=0 --randseed=7
  rm /mnt/files.*
}

speed() {
  start="$(now)"
  dd if="/dev/$data" of=/dev/null bs=1M count=64 iflag=direct
  rate read-mib-per-second 64 "$start"
  start="$(now)"
  dd if="/dev/$data" of=/dev/null bs=4k count=500 iflag=direct
  rate reads-of-4k-per-second 500 "$start"
}

# A range without data reads as zeros and takes no room.
discard() {
  dd if=/dev/urandom of="/dev/$far" bs=1M count=8 conv=fsync
  before="$(l1 allocated far.img)"
  blkdiscard -o $mebibyte -l $((4 * mebibyte)) "/dev/$far"
  after="$(l1 allocated far.img)"
  test $((before - after)) -ge $((4 * 1024))
  dd if="/dev/$far" bs=1M skip=1 count=4 iflag=direct | cmp -n $((4 * mebibyte)) - /dev/zero
}

check bus bus_is_there
check disks all_disks_are_there
# shellcheck disable=SC1091
. /run/disks
check no-ghosts no_ghosts
check terms terms_are_as_configured
check sub-channels sub_channels_are_open
check content content_is_that_of_the_image
check read-only read_only_refuses_writes
check filesystem filesystem
check fsync fsync_reaches_the_image
check fstrim fstrim_shrinks_the_image
check load verified_load
check load-on-files verified_load_on_files
check speed speed
check discard discard
umount /mnt
check e2fsck e2fsck -fn "/dev/$data"
# shellcheck disable=SC1091
. /group/hot-plug.sh
