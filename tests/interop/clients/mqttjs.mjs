// Drives MQTT.js: a request in JSON on each line of stdin, an answer or a message on each line of stdout.
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import mqtt from 'mqtt'

const clients = new Map()
const write = (o) => process.stdout.write(JSON.stringify(o) + '\n')

const operations = {
  connect: (r) => new Promise((resolve, reject) => {
    const options = {
      clientId: r.clientID,
      username: r.username,
      password: r.password,
      protocolVersion: r.version,
      protocolId: r.version === 3 ? 'MQIsdp' : 'MQTT',
      reconnectPeriod: 0,
      connectTimeout: 60_000,
    }
    if (r.ca) options.ca = readFileSync(r.ca)
    if (r.will) options.will = r.will
    const client = mqtt.connect(r.url, options)
    clients.set(r.client, client)
    client.on('connect', (connack) => {
      client.receiveMaximum = connack.properties?.receiveMaximum ?? 65535
      resolve()
    })
    client.on('message', (topic, payload, packet) => write({
      client: r.client,
      message: { topic, payload: payload.toString(), qos: packet.qos, retain: packet.retain },
    }))
    client.on('error', reject)
    client.on('close', () => reject(new Error('connection closed')))
  }),

  subscribe: async (r) => {
    const granted = await clients.get(r.client).subscribeAsync(r.filter, { qos: r.qos })
    if (granted[0].qos !== r.qos) throw new Error(`granted ${granted[0].qos}`)
  },

  // MQTT.js leaves the receive maximum of the broker to its users.
  publish: async (r) => {
    const client = clients.get(r.client)
    for (let at = 0; at < r.messages.length; at += client.receiveMaximum) {
      await Promise.all(r.messages.slice(at, at + client.receiveMaximum).map(
        (m) => client.publishAsync(m.topic, m.payload, { qos: m.qos, retain: m.retain })))
    }
  },

  drop: async (r) => { clients.get(r.client).stream.destroy() },

  close: async (r) => { await clients.get(r.client).endAsync() },
}

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line)
  operations[request.op](request).then(
    () => write({ id: request.id }),
    (e) => write({ id: request.id, error: String(e.message || e.code || e) }))
}
process.exit(0)
