#!/usr/bin/env bash
# Set up what the make targets need: a virtual environment from the lock, and Debian's test tools. Says in one sentence what it cannot do.
#   scripts/setup.sh venv DIR LOCK    scripts/setup.sh tools COMMAND...   (for a command whose Debian package has another name: package_of)
#   scripts/setup.sh promtool DIR     (taken out of Debian's package prometheus: installing that would start a service on our port)
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { echo "setup: $*" >&2; exit 1; }

apt_install() {
  command -v apt-get >/dev/null || fail "$* missing, and this is no Debian: install it by hand"
  [ "$(id -u)" = 0 ] || fail "$* missing: run 'apt-get install $*' as root, then make again"
  echo "setup: installing $* with apt-get"
  { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@"; } >/tmp/mensageiro-apt.log 2>&1 ||
    fail "apt-get could not install $*: see /tmp/mensageiro-apt.log"
}

python_command() {
  for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11; do
    [ -n "$candidate" ] && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$candidate"; return; }
  done
  fail "Python 3.11 or newer is needed, and none is on the PATH (set PYTHON=/path/to/python3)"
}

venv() {
  local directory=$1 lock=$2 python stamp
  stamp="$directory/.installed-$(sha256sum "$lock" pyproject.toml | sha256sum | cut -c1-16)"
  [ -e "$stamp" ] && return
  python=$(python_command)
  "$python" -c 'import ensurepip' 2>/dev/null || apt_install python3-venv
  echo "setup: making $directory from $lock"
  "$python" -m venv "$directory"
  "$directory/bin/pip" --disable-pip-version-check -q install --require-hashes -r "$lock" 2>/tmp/mensageiro-pip.log ||
    { tail -n 5 /tmp/mensageiro-pip.log >&2; fail "pip could not install $lock"; }
  "$directory/bin/pip" --disable-pip-version-check -q install --no-deps --no-build-isolation -e . 2>>/tmp/mensageiro-pip.log ||
    { tail -n 5 /tmp/mensageiro-pip.log >&2; fail "pip could not install this project"; }
  rm -f "$directory"/.installed-*
  touch "$stamp"
}

package_of() {
  case "$1" in
    mosquitto_pub) echo mosquitto-clients ;;
    systemd-analyze) echo systemd ;; # in a container nothing of it starts
    *) echo "$1" ;;
  esac
}

tools() {
  local missing=()
  for tool in "$@"; do
    command -v "$tool" >/dev/null || [ -x "/usr/sbin/$tool" ] || missing+=("$(package_of "$tool")")
  done
  [ ${#missing[@]} = 0 ] || apt_install "${missing[@]}"
}

promtool() {
  local directory work
  directory=$(realpath "$1")
  { [ -x "$directory/promtool" ] || type -P promtool >/dev/null; } && return
  command -v apt-get >/dev/null || { echo "setup: promtool missing, and this is no Debian: tests of the alert rules are skipped" >&2; return; }
  work=$(mktemp -d)
  if (cd "$work" && { apt-get -qq download prometheus || { apt-get -qq update && apt-get -qq download prometheus; }; } &&
    dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x ./usr/bin/promtool) >/tmp/mensageiro-apt.log 2>&1; then
    mv "$work/usr/bin/promtool" "$directory/promtool"
  else
    echo "setup: apt-get could not download prometheus (see /tmp/mensageiro-apt.log): tests of the alert rules are skipped" >&2
  fi
  rm -rf "$work"
}

"$@"
