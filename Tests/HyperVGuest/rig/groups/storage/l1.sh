# shellcheck shell=dash disable=SC2034
# Storage: the images behind the disks of host.yaml.

options="--config /group/host.yaml --memory 768 --cpus 2"

prepare() {
  synthgate image create /disks/data.vhdx --size 256M --block-size 1M
  synthgate image create /disks/large-sectors.vhdx --size 64M --block-size 1M --sector-size 4096
  truncate -s 48M /disks/second.img
  truncate -s 32M /disks/far.img
  truncate -s 24M /disks/hot.img
  dd if=/dev/urandom of=/disks/fixed.img bs=1M count=8 2>/dev/null
}

# After the end of L2: what the checks have left of the images is whole.
finish() {
  for image in data large-sectors; do
    if synthgate image check "/disks/$image.vhdx" >/run/image.log 2>&1; then
      echo "check $image-image ok"
    else
      cat /run/image.log
      echo "check $image-image FAIL it is damaged"
    fi
  done
}

# How many KiB a file takes on disk.
allocated() { du -k "/disks/$1" | cut -f1; }

# A digest of the first MIBS of an image.
digest() { dd if="/disks/$1.img" bs=1M count="$2" 2>/dev/null | sha256sum | cut -d' ' -f1; }

# The size of an image, in bytes.
size() { stat -c %s "/disks/$1.img"; }
