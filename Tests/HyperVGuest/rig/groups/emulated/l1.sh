# shellcheck shell=dash
# Emulated: the disk and the NIC of `compare`, as an IDE disk and an e1000 that QEMU emulates on the same KVM.

# shellcheck source=/dev/null
. /group/compare-l1.sh

# In place of synthgate-vm.
machine() {
  ip tuntap add dev vsw0 mode tap
  qemu-system-x86_64 -accel kvm -cpu host -m 768 -nodefaults -no-user-config -display none -no-reboot \
    -L /usr/share/seabios -L /usr/share/qemu -serial stdio -kernel /l2/vmlinuz -initrd /l2/initrd \
    -append "console=ttyS0 panic=-1 quiet loglevel=1 mitigations=off group=emulated $*" \
    -drive file=/disks/data.img,format=raw,if=ide,cache=writeback \
    -netdev tap,id=net,ifname=vsw0,script=no,downscript=no -device e1000,netdev=net,romfile=
}
