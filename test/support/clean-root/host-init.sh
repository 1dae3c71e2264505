#!/bin/bash
# host-init.sh LIBRARY FOLDER LOWER [GUEST-MAILBOX]: PID 1 of the mounts and processes of a clean host (see clean-host.ts); what it
# mounts and starts ends with it. The host's root, FOLDER/root, is an overlay over LOWER.
set -eu
. "$1"
folder=$2 lower=$3
root=$folder/root
mount --make-rprivate /
mkdir -p "$folder"/{up,work,root}
mount -t overlay -o "lowerdir=$lower,upperdir=$folder/up,workdir=$folder/work" overlay "$root"
if [ $# = 4 ]; then
  # A guest mounts everything itself; it gets the modules of its kernel, and the folder that it shares with the test.
  for modules in /usr/lib/uml/modules/*; do
    mkdir -p "$root/lib/modules/${modules##*/}"
    mount --bind "$modules" "$root/lib/modules/${modules##*/}"
  done
  mkdir -p "$root$4" "$root/etc/systemd/system/multi-user.target.wants"
  mount --bind "$4" "$root$4"
  cat >"$root/etc/systemd/system/mailbox.service" <<UNIT
[Service]
Environment=NAME=guest DVIPA_GUEST=$4
ExecStart=/bin/bash $4/loop.sh
UNIT
  ln -sf ../mailbox.service "$root/etc/systemd/system/multi-user.target.wants/mailbox.service"
  exec linux.uml umid=guest "uml_dir=$folder/uml" mem=512M rootfstype=hostfs "rootflags=$root" rw init=/lib/systemd/systemd \
    con=null con0=null,fd:1 quiet cryptomgr.notests=1
fi
clean_root_mount "$root"
echo ready
# Collects orphans, as a PID 1 must.
exec chroot "$root" bash -c 'sleep infinity & wait'
