# shellcheck shell=dash disable=SC2034
# Ours: Synthgate in the guest, with two controllers and a NIC.

# Kernels before 6.10 let a program ring only by the monitor page; later ones also by a system call, which is tested there.
# shellcheck disable=SC2154
case "$kernel" in
  6.1) monitor=all ;;
  *) monitor=none ;;
esac
options="--config /group/host.yaml --memory 768 --cpus 2 --monitor $monitor"

prepare() {
  truncate -s 128M /disks/data.img
  truncate -s 64M /disks/second.img
  mkdir /srv
  dd if=/dev/urandom of=/srv/file bs=1M count=8 2>/dev/null
}

bring_up() {
  ip link set vsw0 up
  ip address replace 10.77.0.1/24 dev vsw0
  httpd -p 10.77.0.1:80 -h /srv
}

digest() { sha256sum </srv/"${1:-file}" | cut -d' ' -f1; }

fetch() { wget -q -O /srv/received http://10.77.0.2:8080/file; }
