// Hear what became of our messages: prints `ID TYPE STATE`, and `final` behind what ends a message.
//   MQTT_USER=loja MQTT_PASSWORD_FILE=loja.password node consume.mjs
// The broker keeps events for us while we are away, and sends again what we did not acknowledge: `handleMessage` does so when the work is done.
// So an event may come twice; event_id tells.
import { connect, source } from './common.mjs';

const week = 7 * 86400;
const seen = new Set(); // in earnest: a unique key in the table that you write the event to
const client = connect({ clientId: `${source}-events`, clean: false, properties: { sessionExpiryInterval: week } });

client.handleMessage = (packet, acknowledge) => {
  const event = JSON.parse(packet.payload.toString());
  if (!seen.has(event.event_id)) {
    seen.add(event.event_id);
    console.log([event.id, event.type, event.state ?? event.reason ?? '-', ...(event.final ? ['final'] : [])].join(' '));
  }
  acknowledge();
};
client.on('connect', async () => {
  await client.subscribeAsync(`sms/event/+/${source}`, { qos: 1 });
  console.error('listening');
});
