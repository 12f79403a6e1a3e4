// Send messages: a line `ID NUMBER TEXT` each on stdin. Prints each id once the broker has it.
//   printf 'order-1 11987654321 Seu pedido saiu\n' | MQTT_USER=loja MQTT_PASSWORD_FILE=loja.password node send.mjs
// mqtt.js publishes again, after a reconnect, what the broker has not acknowledged. The gateway sends one message for an id, so that is safe.
import { createInterface } from 'node:readline';
import { connect, source } from './common.mjs';

const client = connect();
const published = [];
for await (const line of createInterface({ input: process.stdin })) {
  const [, id, to, text] = line.match(/^(\S+) (\S+) (.*)$/);
  const payload = JSON.stringify({ id, to, text });
  published.push(client.publishAsync(`sms/submit/${source}`, payload, { qos: 1 }).then(() => console.log(id)));
}
await Promise.all(published); // rejects where the broker refuses one: see its access lists
await client.endAsync();
