#!/bin/bash
# host-init.sh LIBRARY FOLDER LOWER [GUEST-MAILBOX [DEVICE...]]: PID 1 of the mounts and processes of a clean host (see clean-host.ts);
# what it mounts and starts ends with it. The host's root, FOLDER/root, is an overlay over LOWER. $HOST_NAME is its name,
# and $HOST_INIT what becomes of it: `systemd`, or nothing that starts anything.
set -eu
. "$1"
folder=$2 lower=$3
root=$folder/root
mount --make-rprivate /
mkdir -p "$folder"/{up,work,root}
mount -t overlay -o "lowerdir=$lower,upperdir=$folder/up,workdir=$folder/work" overlay "$root"
if [ $# -ge 4 ]; then
  # A guest mounts everything itself; it gets the modules of its kernel, and the folder that it shares with the test.
  for modules in /usr/lib/uml/modules/*; do
    mkdir -p "$root/lib/modules/${modules##*/}"
    mount --bind "$modules" "$root/lib/modules/${modules##*/}"
  done
  # At a place of its own: systemd empties /tmp, wherever the test may run.
  mkdir -p "$root/mailbox" "$root/etc/systemd/system/multi-user.target.wants"
  mount --bind "$4" "$root/mailbox"
  cat >"$root/etc/systemd/system/mailbox.service" <<UNIT
[Service]
Environment=NAME=$(cat "$4/name") DVIPA_GUEST=/mailbox
ExecStart=/bin/bash /mailbox/loop.sh
UNIT
  ln -sf ../mailbox.service "$root/etc/systemd/system/multi-user.target.wants/mailbox.service"
  exec linux.uml umid=guest "uml_dir=$folder/uml" mem=512M rootfstype=hostfs "rootflags=$root" rw init=/lib/systemd/systemd \
    con=null con0=null,fd:1 quiet cryptomgr.notests=1 "${@:5}"
fi
clean_root_mount "$root"
hostname "$HOST_NAME"
echo "$HOST_NAME" >"$root/etc/hostname"
if [ "$HOST_INIT" = systemd ]; then
  # What it sets is for its own network only: the rest of /proc/sys and all of /sys are this machine's.
  mount --bind "$root/proc/sys" "$root/proc/sys"
  mount --bind "$root/proc/sys/net" "$root/proc/sys/net"
  mount -o remount,bind,ro "$root/proc/sys"
  mount -o remount,ro "$root/sys"
  # A control group of its own, in the hierarchy that systemd wants (clean-host.ts removes it).
  mkdir "$folder/cgroup"
  mount -t cgroup2 cgroup2 "$folder/cgroup"
  mkdir "$folder/cgroup/${folder##*/}"
  echo 0 >"$folder/cgroup/${folder##*/}/cgroup.procs"
  echo ready
  exec unshare --cgroup bash -euc '
    mount -t cgroup2 cgroup2 "$1/sys/fs/cgroup"
    cd "$1"
    mkdir -p .old-root
    pivot_root . .old-root
    umount -l /.old-root
    rmdir /.old-root
    exec env -i container=other /lib/systemd/systemd' systemd "$root"
fi
echo ready
# Collects orphans, as a PID 1 must.
exec chroot "$root" bash -c 'sleep infinity & wait'
