import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { randomBytes } from 'node:crypto'
import process from 'node:process'
import { DISCOVERY_GROUP_IPV4, DISCOVERY_PORT, encodeDiscover } from '@filesync/protocol'
import { systemClock } from '@filesync/protocol/node'
import type { DatagramBus } from '../src/datagram-bus.ts'
import { findServers as findOverBus } from '../src/find-servers.ts'
import { announceServer, diagnose, findServers, openMulticastBus } from '../src/node/index.ts'
import { DISCOVERY } from '../src/node/groups.ts'
import { seeded } from './memory-hosts.ts'

// Runs in a network namespace, does what its argument says, prints JSON lines, and ends when its input does.

type Task =
  | { readonly do: 'serve', readonly id: string, readonly dnsSd?: boolean, readonly interfaces?: string[] }
  | { readonly do: 'find', readonly dnsSd?: boolean }
  | { readonly do: 'find over a bad line', readonly seed: number }
  | { readonly do: 'diagnose', readonly expected?: { address: string, port: number } }
  | { readonly do: 'flood', readonly addresses: string[], readonly count: number }

const stop = new AbortController()
const clock = systemClock
const { signal } = stop

function print (event: string, fields: object = {}): void {
  process.stdout.write(`${JSON.stringify({ event, ...fields })}\n`)
}

function onProblem (error: Error): void {
  print('problem', { message: error.message })
}

/** Loses three datagrams of ten, each way. */
function lossy (bus: DatagramBus, random: () => number): DatagramBus {
  return {
    get links () { return bus.links },
    close: () => bus.close(),
    async next () {
      for (;;) {
        const event = await bus.next()
        if (event?.kind !== 'datagram' || random() >= 0.3) return event
      }
    },
    async send (bytes, link, to) {
      if (random() >= 0.3) await bus.send(bytes, link, to)
    },
  }
}

async function serve (task: Extract<Task, { do: 'serve' }>): Promise<void> {
  const announcer = await announceServer({ tlsPort: 4433, idPrefix: task.id, isPairing: () => false, clock, signal, onProblem, dnsSd: task.dnsSd, interfaces: task.interfaces })
  print('serving', { listening: announcer.listening, links: announcer.links })
  await once(signal, 'abort')
  await announcer.close()
}

async function find (task: Extract<Task, { do: 'find' | 'find over a bad line' }>): Promise<void> {
  const startMs = clock.monotonicMs()
  const init = { want: 'sync', clock, signal, onProblem } as const
  const servers = task.do === 'find'
    ? findServers({ ...init, dnsSd: task.dnsSd ?? false })
    : findOverBus({ ...init, randomBytes, bus: lossy(await openMulticastBus({ group: DISCOVERY, role: 'ask', choice: {}, clock }), seeded(task.seed)) })
  print('looking')
  for await (const server of servers) print('found', { ...server, afterMs: Math.round(clock.monotonicMs() - startMs) })
}

/** Sends DISCOVER from many addresses as fast as it goes, and counts the answers for three seconds more. */
async function flood ({ addresses, count }: Extract<Task, { do: 'flood' }>): Promise<void> {
  let answers = 0
  const sockets = await Promise.all(addresses.map(async address => {
    const socket = createSocket('udp4').bind(0, address)
    await once(socket, 'listening')
    socket.setMulticastInterface(address)
    return socket.on('message', () => { answers++ })
  }))
  const startMs = clock.monotonicMs()
  for (let index = 0; index < count; index++) {
    const bytes = encodeDiscover({ v: 2, nonce: String(index).padStart(16, '0'), want: 'sync' })
    const socket = sockets[index % sockets.length]
    await new Promise(resolve => socket?.send(bytes, DISCOVERY_PORT, DISCOVERY_GROUP_IPV4, resolve))
  }
  const tookMs = clock.monotonicMs() - startMs
  await new Promise<void>(resolve => { clock.schedule(1_500, resolve) })
  print('flooded', { answers, tookMs: Math.round(tookMs) })
  for (const socket of sockets) socket.close()
}

async function run (task: Task): Promise<void> {
  switch (task.do) {
    case 'serve': return await serve(task)
    case 'find':
    case 'find over a bad line': return await find(task)
    case 'flood': return await flood(task)
    case 'diagnose':
      for await (const finding of diagnose({ role: 'client', clock, signal, expected: task.expected })) print('finding', { ...finding })
  }
}

process.stdin.resume().on('end', () => { stop.abort() })
await run(JSON.parse(process.argv[2] ?? '{}') as Task)
process.stdin.destroy()
