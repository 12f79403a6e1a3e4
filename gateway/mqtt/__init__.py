"""A small MQTT 5 client, sans-I/O: QoS 0 and 1, acknowledgements when the application says so, nothing else. OASIS MQTT 5.0.

Layers, each importing only what stands before it: `constants`, `errors` | `primitives` (data types and properties) | `codec` (packets),
`framing` (stream to packets), `timers` (keep alive) | `session` (one connection: states, quota, acknowledgements) | `stream` (its asyncio
shell). Nothing but `stream` knows a clock, a socket or an event loop. Why it exists: docs/decisions/0002-mqtt-client.md.
"""
