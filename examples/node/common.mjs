// How to reach the broker: MQTT_HOST, MQTT_PORT, MQTT_USER (which is the source, too) and MQTT_PASSWORD_FILE.
import { readFileSync } from 'node:fs';
import mqtt from 'mqtt';

const { MQTT_HOST = '127.0.0.1', MQTT_PORT = '1883', MQTT_USER, MQTT_PASSWORD_FILE, RETRY = '5' } = process.env;

export const source = MQTT_USER;

export function connect(options = {}) {
  const client = mqtt.connect(`mqtt://${MQTT_HOST}:${MQTT_PORT}`, {
    protocolVersion: 5,
    username: source,
    password: readFileSync(MQTT_PASSWORD_FILE, 'utf8').trim(),
    reconnectPeriod: 1000 * Number(RETRY),
    ...options,
  });
  client.on('error', error => console.error(`again in ${RETRY} s: ${error.message}`));
  client.on('packetreceive', packet => {
    // The broker is content, but it dropped the message: it knows of no gateway that subscribes. MQTT 5 s3.4.2.1
    if (packet.cmd === 'puback' && packet.reasonCode === 0x10) console.error('nobody subscribes: has the gateway ever been at this broker?');
  });
  return client;
}
