# shellcheck shell=bash
# Clean Debian roots, for scripts that source this file: scripts/fresh and scripts/clean-root.
# A root is Debian's minimal system, made by debootstrap and kept as an archive, and what a machine needs to reach Debian and npm from
# it: nothing else of this machine is in it.

CLEAN_ROOT_SUITE=bookworm

# Whether this machine can make one; else says what is missing and fails.
clean_root_possible() {
  local missing=
  [ "$(id -u)" = 0 ] || missing='root'
  command -v debootstrap >/dev/null || missing='debootstrap (apt-get install debootstrap)'
  CLEAN_ROOT_MIRROR=$(apt-get indextargets --format '$(CODENAME) $(COMPONENT) $(REPO_URI)' |
    awk -v s=$CLEAN_ROOT_SUITE '$1 == s && $2 == "main" { print $3; exit }')
  [ -n "$CLEAN_ROOT_MIRROR" ] || missing="an apt that knows $CLEAN_ROOT_SUITE main"
  [ -z "$missing" ] || { echo "clean root: needs $missing" >&2; return 1; }
}

# ROOT ARCHIVE: unpacks the archive, or makes the root and the archive for the next time.
clean_root_unpack() {
  rm -rf --one-file-system "$1"
  mkdir -p "$1"
  if [ -f "$2" ]; then
    tar -C "$1" -xf "$2"
    return
  fi
  debootstrap --variant=minbase $CLEAN_ROOT_SUITE "$1" "$CLEAN_ROOT_MIRROR" >"$2.log" 2>&1 || { tail -n 20 "$2.log" >&2; return 1; }
  tar -C "$1" -cf "$2.next" . && mv "$2.next" "$2"
}

# ROOT: how this machine reaches Debian and npm: sources, proxies, certificates.
clean_root_connect() {
  local root=$1 file keyring
  rm -f "$root/etc/apt/sources.list"
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
    if [ -f "$file" ] && grep -qE "$CLEAN_ROOT_SUITE" "$file"; then install -D -m 0644 "$file" "$root$file"; fi
  done
  for keyring in $(grep -hoE '/usr/share/keyrings/[^] ]+' "$root"/etc/apt/sources.list "$root"/etc/apt/sources.list.d/* 2>/dev/null | sort -u); do
    if [ -f "$keyring" ]; then install -D -m 0644 "$keyring" "$root$keyring"; fi
  done
  apt-config dump | grep -E '^Acquire::(http|https)::(Proxy|CaInfo)' >"$root/etc/apt/apt.conf.d/90machine" || true
  install -D -m 0644 /etc/resolv.conf "$root/etc/resolv.conf"
  install -D -m 0644 /etc/hosts "$root/etc/hosts"
  if [ -f /etc/ssl/certs/ca-certificates.crt ]; then
    install -D -m 0644 /etc/ssl/certs/ca-certificates.crt "$root/etc/machine-certificates.pem"
  fi
  for file in "${HOME:-/root}/.npmrc" "$(npm config get globalconfig 2>/dev/null)"; do
    if [ -f "$file" ]; then grep -v '^cafile' "$file" >>"$root/root/.npmrc" || true; fi
  done
}

# ROOT: sets `clean_root_environment`, all that commands in the root know of this machine.
clean_root_environment() {
  local name
  clean_root_environment=(PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8)
  [ ! -f "$1/etc/machine-certificates.pem" ] || clean_root_environment+=(NODE_EXTRA_CA_CERTS=/etc/machine-certificates.pem)
  for name in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY; do
    [ -z "${!name:-}" ] || clean_root_environment+=("$name=${!name}")
  done
}

# ROOT: the mounts of a running system. For a mount namespace of its own, so that nothing is left behind whatever happens.
clean_root_mount() {
  local root=$1 node
  mount -t proc proc "$root/proc"
  mount -t sysfs sys "$root/sys"
  mount -t tmpfs -o mode=755 tmpfs "$root/run"
  mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
  mount -t tmpfs -o mode=755 tmpfs "$root/dev"
  for node in null zero full random urandom tty; do touch "$root/dev/$node"; mount --bind "/dev/$node" "$root/dev/$node"; done
  mkdir -p "$root/dev/net" "$root/dev/shm" "$root/dev/pts"
  mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts"; ln -s pts/ptmx "$root/dev/ptmx"
  mknod -m 666 "$root/dev/net/tun" c 10 200
  mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
  ln -s /proc/self/fd "$root/dev/fd"; ln -s fd/0 "$root/dev/stdin"; ln -s fd/1 "$root/dev/stdout"; ln -s fd/2 "$root/dev/stderr"
}
