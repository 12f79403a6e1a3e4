# How to reach the broker: MQTT_HOST, MQTT_PORT, MQTT_USER (which is the source, too) and MQTT_PASSWORD_FILE.
# mosquitto's clients read it from a file of ours, since what stands on a command line can be read by everybody on the machine.
: "${MQTT_USER:?}" "${MQTT_PASSWORD_FILE:?}" "${RETRY:=5}"
umask 077
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 143' TERM
trap 'exit 130' INT
for client in mosquitto_pub mosquitto_sub; do
  printf -- '-h %s\n-p %s\n-u %s\n-P %s\n' "${MQTT_HOST:-127.0.0.1}" "${MQTT_PORT:-1883}" "$MQTT_USER" "$(cat "$MQTT_PASSWORD_FILE")" >"$work/$client"
done
export XDG_CONFIG_HOME="$work"
