#!/bin/sh
# PID 1 of a guest: prepares the root, then becomes guest-loop.sh. Started by the guest's kernel (see guest.ts).
# The kernel's first root is the machine's own / (hostfs, read-only). A tmpfs lies over it, so that the guest may write
# everywhere and nothing lasts. From the kernel's command line come DVIPA_LAB, the lab's folder, and DVIPA_GUEST, the
# folder shared with the program that runs the lab. What is said here goes to the guest's console log.
set -u
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
. "$DVIPA_GUEST/settings"

mount -t proc proc /proc
mount -t tmpfs -o mode=755 tmpfs /mnt
release=$(uname -r)
mkdir -p /mnt/modules/lib/modules /mnt/low /mnt/up /mnt/work /mnt/root
ln -s "/usr/lib/uml/modules/$release" "/mnt/modules/lib/modules/$release"
# All that IPsec may need is loaded here. The kernel itself would look for more in its first root, where there is none, and
# that takes a while each time.
xargs modprobe -q -a -d /mnt/modules <<MODULES
overlay ipv6 tun nf_tables
esp4 esp6 xfrm_user xfrm4_tunnel xfrm6_tunnel
authenc authencesn echainiv seqiv drbg jitterentropy_rng
gcm ghash-generic ccm ctr cbc hmac xcbc cmac sha512_generic
chacha20poly1305 chacha_generic poly1305_generic
MODULES
echo >/proc/sys/kernel/modprobe

mount -t hostfs -o / none /mnt/low
mount -t overlay -o lowerdir=/mnt/low,upperdir=/mnt/up,workdir=/mnt/work none /mnt/root
cd /mnt/root || exit 1
mkdir -p proc sys dev run tmp
mount -t proc proc proc
mount -t sysfs sys sys
mount -t devtmpfs dev dev || mount --bind /dev dev
mkdir -p dev/pts dev/shm dev/net
mount -t devpts devpts dev/pts
for folder in run tmp dev/shm; do mount -t tmpfs tmpfs "$folder"; done
[ -e dev/net/tun ] || mknod dev/net/tun c 10 200
rm -rf "lib/modules/$release"
mkdir -p lib/modules
ln -s "/usr/lib/uml/modules/$release" "lib/modules/$release"

# Both may lie under /tmp, which is the guest's own.
for folder in "$PROJECT" "$DVIPA_LAB"; do
  mkdir -p ".$folder"
  mount -t hostfs -o "$folder" none ".$folder"
done
while read -r what where; do mount --bind ".$what" ".$where"; done <"$DVIPA_GUEST/mounts"

# The old root is a read-only hostfs, which pivot_root does not take.
exec chroot . /bin/bash "$LOOP"
