# shellcheck shell=dash
# Emulated: what the devices cost that a guest without synthetic drivers has.

# shellcheck disable=SC1091
. /group/load.sh

drivers() {
  modprobe sd_mod
  modprobe ata_piix
  modprobe e1000
  within 20 test -b /dev/sda
  within 20 test -e /sys/class/net/eth0
}

link() {
  ip link set eth0 up
  ip address replace 10.77.0.2/24 dev eth0
  within 10 grep -q 1 /sys/class/net/eth0/carrier
  link_load emulated
  ip link set eth0 down
}

check drivers drivers
l1 bring_up
round=0
while [ "$round" -lt "${rounds:-1}" ]; do
  round=$((round + 1))
  check "disk-$round" disk_load emulated /dev/sda
  check "link-$round" link
done
