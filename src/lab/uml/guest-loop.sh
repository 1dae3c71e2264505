#!/bin/bash
# What a guest does: brings its network up and runs the commands that appear in its mailbox (see mailbox.ts).
#   ID.cmd appears -> `sh ID.cmd` with ID.in as input, if there is one -> ID.out, ID.err, then ID.rc with its status
ulimit -c 0
shopt -s nullglob
hostname "$NAME"
ip link set lo up
while read -r device name; do
  [ -e "/sys/class/net/$device" ] || continue
  ip link set "$device" down
  ip link set "$device" name "$name"
done <<NAMES
vec0 outside0
vec1 cluster0
NAMES
said=$({ { [ ! -s "$DVIPA_GUEST/sysctls" ] || sysctl -q -p "$DVIPA_GUEST/sysctls"; } && ip -batch "$DVIPA_GUEST/network"; } 2>&1)
# To read from a fifo that nobody writes to is to sleep without a fork: they are dear here.
mkfifo /run/tick
exec 9<>/run/tick

# ID: runs it to its end. Its status and the newline come last, so a reader knows when they are whole.
run() {
  exec 9>&-
  local input=/dev/null
  [ ! -e "$1.in" ] || input=$1.in
  sh "$1.cmd" <"$input" >"$1.out" 2>"$1.err"
  echo $? >"$1.rc"
}

declare -A taken
cd "$DVIPA_GUEST/commands" || exit 1
echo "${said:-up}" >"$DVIPA_GUEST/ready"
while :; do
  for command in *.cmd; do
    id=${command%.cmd}
    [ -z "${taken[$id]:-}" ] || continue
    taken[$id]=1
    run "$id" &
  done
  read -rt 0.03 -u 9
done
