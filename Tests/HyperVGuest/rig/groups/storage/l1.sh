# shellcheck shell=dash disable=SC2034
# Storage: the images behind the disks of host.yaml.

options="--config /group/host.yaml --memory 768 --cpus 2"

prepare() {
  truncate -s 256M /disks/data.img
  truncate -s 64M /disks/large-sectors.img
  truncate -s 48M /disks/second.img
  truncate -s 32M /disks/far.img
  truncate -s 24M /disks/hot.img
  dd if=/dev/urandom of=/disks/fixed.img bs=1M count=8 2>/dev/null
}

# How many KiB of an image are allocated.
allocated() { du -k "/disks/$1.img" | cut -f1; }

# A digest of the first MIBS of an image.
digest() { dd if="/disks/$1.img" bs=1M count="$2" 2>/dev/null | sha256sum | cut -d' ' -f1; }

# The name and size of a file, in bytes.
size() { stat -c %s "/disks/$1.img"; }
