#!/bin/sh
# Hear what became of our messages: an event in JSON a line.
#   MQTT_USER=loja MQTT_PASSWORD_FILE=loja.password ./consume.sh
# -c and -i make a session that the broker keeps for a week (-x), with what comes while we are away. An event may come twice: see event_id.
set -eu
. "$(dirname "$0")/common.sh"
mosquitto_sub -V 5 -q 1 -c -i "$MQTT_USER-events" -x 604800 -t "sms/event/+/$MQTT_USER" &
trap 'kill $!; wait $!; exit 143' TERM INT
wait $!
