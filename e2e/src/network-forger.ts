import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { networkInterfaces } from 'node:os'
import { createServer } from 'node:tls'
import { loadOrCreateIdentity } from '@filesync/identity/node'
import { ALPN_SYNC, decodeDiscover, DISCOVERY_GROUP_IPV4, DISCOVERY_PORT, encodeDiscover, encodeOffer, wait } from '@filesync/protocol'
import { systemClock } from '@filesync/protocol/node'

// An attacker on the wire, run as a program of its own on a machine of its own. Prints what it has seen as lines of JSON.
//
//   flood COUNT            sends DISCOVER from all of its addresses, and counts the answers
//   forge DIR ID OFFERS    answers each DISCOVER with OFFERs in the name of ID and of a stranger from all of its addresses, and
//                          counts who connects; it has the key in DIR, so it is another server than ID

const addresses = Object.values(networkInterfaces())
  .flatMap(found => found ?? [])
  .filter(({ family, internal }) => family === 'IPv4' && !internal)
  .map(({ address }) => address)
const print = (event: string, fields: object = {}): void => { process.stdout.write(`${JSON.stringify({ event, ...fields })}\n`) }

async function bound (address: string, port = 0): Promise<ReturnType<typeof createSocket>> {
  const socket = createSocket({ type: 'udp4', reuseAddr: port !== 0 }).bind(port, address)
  await once(socket, 'listening')
  return socket
}

async function flood (count: number): Promise<void> {
  let answers = 0
  const sockets = await Promise.all(addresses.map(async address => {
    const socket = await bound(address)
    socket.setMulticastInterface(address)
    return socket.on('message', () => { answers++ })
  }))
  const startMs = systemClock.monotonicMs()
  for (let index = 0; index < count; index++) {
    const question = encodeDiscover({ v: 2, nonce: String(index).padStart(16, '0'), want: 'sync' })
    await new Promise(resolve => sockets[index % sockets.length]?.send(question, DISCOVERY_PORT, DISCOVERY_GROUP_IPV4, resolve))
    if (index === 100) print('flooding')
  }
  // The server answers within this, or not at all.
  await wait(systemClock, 1_000)
  print('flooded', { answers, tookMs: Math.round(systemClock.monotonicMs() - startMs) })
  for (const socket of sockets) socket.close()
}

async function forge (directory: string, idPrefix: string, offers: number): Promise<void> {
  const { privateKey, certificate } = await loadOrCreateIdentity(directory)
  const ports = await Promise.all(Array.from({ length: offers }, async () => {
    const server = createServer({
      key: privateKey,
      cert: certificate,
      minVersion: 'TLSv1.3',
      requestCert: true,
      rejectUnauthorized: false,
      ALPNProtocols: [ALPN_SYNC],
    })
    server.on('connection', () => { print('dialled') })
    server.on('secureConnection', socket => { socket.on('error', () => { /* the client leaves as it likes */ }).resume() })
    server.listen(0)
    await once(server, 'listening')
    const address = server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  }))
  const mouths = await Promise.all(addresses.map(async address => await bound(address)))
  const ear = await bound(DISCOVERY_GROUP_IPV4, DISCOVERY_PORT)
  ear.addMembership(DISCOVERY_GROUP_IPV4, addresses[0])
  ear.on('message', (bytes, { address, port }) => {
    const question = decodeDiscover(bytes)
    if (question.v !== 2) return
    for (const id of [idPrefix, '0000000000000000']) {
      for (const mouth of mouths)
        for (const tlsPort of ports)
          mouth.send(encodeOffer({ v: 2, legacyPort: 0, tlsPort, idPrefix: id, nonce: question.nonce }), port, address)
    }
  })
  print('forging')
}

const [action, ...words] = process.argv.slice(2)
if (action === 'flood') await flood(Number(words[0]))
else await forge(words[0] ?? '', words[1] ?? '', Number(words[2]))
