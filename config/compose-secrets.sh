#!/bin/sh
# Make the passwords of config/compose.yml, once: random ones, in config/secrets. Those that are there stay.
set -eu
cd "$(dirname "$0")"
mkdir -p secrets
chmod 0711 secrets # who knows a name may open it, if the file lets him; nobody else can list them
for name in broker loja smpp grafana; do
  file="secrets/$name.password"
  [ -s "$file" ] && continue
  length=24
  [ "$name" = smpp ] && length=8 # the most that SMPP 3.4 admits
  umask 077
  LC_ALL=C tr -dc 'A-Za-z0-9' </dev/urandom | head -c "$length" >"$file"
  # Compose mounts the file as it is, so the container's user must be able to read it: 10001 is ours, 472 Grafana's, and root the broker's.
  if [ "$(id -u)" = 0 ]; then
    case "$name" in grafana) chown 472 "$file" ;; loja) ;; *) chown 10001 "$file" ;; esac
  else
    chmod 0644 "$file"
    echo "compose-secrets: $file can be read by everybody on this machine: run this as root to change that" >&2
  fi
done
