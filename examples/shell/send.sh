#!/bin/sh
# Send messages: a payload in JSON on each line of stdin.
#   echo '{"id": "order-1", "to": "11987654321", "text": "Seu pedido saiu"}' | MQTT_USER=loja MQTT_PASSWORD_FILE=loja.password ./send.sh
# All of it is published again until the broker has all of it: the gateway sends one message for an id, however often it comes.
set -eu
. "$(dirname "$0")/common.sh"
cat >"$work/payloads"
until mosquitto_pub -V 5 -q 1 -t "sms/submit/$MQTT_USER" -l <"$work/payloads" 2>"$work/errors" && ! grep -q 'failed' "$work/errors"; do
  echo "again in $RETRY s: $(head -n 1 "$work/errors")" >&2
  sleep "$RETRY"
done
