# shellcheck shell=dash disable=SC2154
# Storage: disks and controllers that come, change and go.

hot_add() {
  host disk add 0 1:3 /disks/hot.img
  hot="$(disk_when_there "$first" 1 3)"
  test "$(bytes "$hot")" -eq $((24 * mebibyte))
  dd if=/dev/urandom of="/dev/$hot" bs=1M count=2 conv=fsync
}

has_size() { [ "$(cat "/sys/block/$1/size")" -eq $(($2 / 512)) ]; }

# The host reports the new capacity at the next command.
resize() {
  hot="$(disk "$first" 1 3)"
  host disk resize 0 1:3 $((40 * mebibyte))
  # sd looks at its own pace: any read makes it notice.
  dd if="/dev/$hot" of=/dev/null bs=4k count=1 iflag=direct
  within 10 has_size "$hot" $((40 * mebibyte))
  dd if=/dev/urandom of="/dev/$hot" bs=1M seek=32 count=4 conv=fsync
  test "$(l1 size hot)" -eq $((40 * mebibyte))
}

is_gone() { not disk "$@"; }

hot_remove() {
  hot="$(disk "$first" 1 3)"
  host disk remove 0 1:3
  within 10 is_gone "$first" 1 3
  has_disk_count 5
}

remove_under_load() {
  fio --name=load --filename="/dev/$far" --size=32M --thread --rw=randread --bs=4k --ioengine=libaio --iodepth=16 \
    --direct=1 --time_based --runtime=60 &
  sleep 1
  host disk remove 1 1:63
  within 15 is_gone "$second" 1 63
  # It ends with an error, early.
  not wait $!
  # The neighbour on the same controller is untouched.
  dd if="/dev/$other" of=/dev/null bs=1M count=4 iflag=direct
}

check hot-add hot_add
check resize resize
check hot-remove hot_remove
check remove-under-load remove_under_load
