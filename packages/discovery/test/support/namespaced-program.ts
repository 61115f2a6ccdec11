import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { randomBytes } from 'node:crypto'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { DISCOVERY_GROUP_IPV4, DISCOVERY_PORT, encodeDiscover, wait } from '@filesync/protocol'
import { systemClock } from '@filesync/protocol/node'
import { seededRandom } from '@filesync/protocol/testing'
import type { DatagramBus } from '../../src/datagram-bus.ts'
import { findServers as findOverBus } from '../../src/find-servers.ts'
import { announce, announceServer, diagnose, find, findServers } from '../../src/node/index.ts'
import { openMulticastBus } from '../../src/node/multicast-bus.ts'
import { DISCOVERY } from '../../src/node/groups.ts'

// Runs in a network namespace. Each line of input starts a task or stops it; what the tasks see is printed as lines of JSON.
// Ends when its input does.

type Task =
  | { readonly do: 'serve', readonly id: string, readonly dnsSd?: boolean, readonly interfaces?: string[] }
  | { readonly do: 'announce', readonly name: string, readonly type: string, readonly port: number, readonly txt: Record<string, string> }
  | { readonly do: 'follow', readonly type: string }
  | { readonly do: 'find', readonly dnsSd?: boolean }
  | { readonly do: 'find over a bad line', readonly seed: number }
  | { readonly do: 'diagnose', readonly expected?: { address: string, port: number } }
  | { readonly do: 'flood', readonly addresses: string[], readonly count: number }

const clock = systemClock

/** What a task prints with, and until when it runs. */
interface Run {
  readonly print: (event: string, fields?: object) => void
  readonly signal: AbortSignal
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

async function serve (task: Extract<Task, { do: 'serve' }>, { print, signal }: Run): Promise<void> {
  const announcer = await announceServer({
    tlsPort: 4433,
    idPrefix: task.id,
    isPairing: () => false,
    clock,
    signal,
    onProblem: ({ message }) => { print('problem', { message }) },
    dnsSd: task.dnsSd,
    interfaces: task.interfaces,
  })
  print('serving', { listening: announcer.listening, links: announcer.links })
  await new Promise(resolve => { signal.addEventListener('abort', resolve) })
  await announcer.close()
}

async function findAll (task: Extract<Task, { do: 'find' | 'find over a bad line' }>, { print, signal }: Run): Promise<void> {
  const startMs = clock.monotonicMs()
  const init = { want: 'sync', clock, signal } as const
  const servers =
    task.do === 'find'
      ? findServers({ ...init, dnsSd: task.dnsSd ?? false })
      : findOverBus({
        ...init,
        randomBytes,
        bus: lossy(await openMulticastBus({ group: DISCOVERY, role: 'ask', choice: {}, clock }), seededRandom(task.seed)),
      })
  print('looking')
  for await (const server of servers) print('found', { ...server, afterMs: Math.round(clock.monotonicMs() - startMs) })
}

/** Sends DISCOVER from many addresses as fast as it goes, and counts the answers until no more can come. */
async function flood ({ addresses, count }: Extract<Task, { do: 'flood' }>, { print }: Run): Promise<void> {
  let answers = 0
  const sockets = await Promise.all(addresses.map(async address => {
    const socket = createSocket('udp4').bind(0, address)
    await once(socket, 'listening')
    socket.setMulticastInterface(address)
    return socket.on('message', () => { answers++ })
  }))
  const startMs = clock.monotonicMs()
  const ask = async (index: number): Promise<void> => {
    const bytes = encodeDiscover({ v: 2, nonce: String(index).padStart(16, '0'), want: 'sync' })
    const socket = sockets[index % sockets.length]
    await new Promise(resolve => socket?.send(bytes, DISCOVERY_PORT, DISCOVERY_GROUP_IPV4, resolve))
  }
  for (let index = 0; index < count; index++) await ask(index)
  // On a busy machine the server may have heard none of them: the system drops what is not read in time.
  for (let index = count; answers === 0; index++) {
    await ask(index)
    await wait(clock, 100)
  }
  await wait(clock, 1_000)
  print('flooded', { answers, tookMs: Math.round(clock.monotonicMs() - startMs) })
  for (const socket of sockets) socket.close()
}

async function run (task: Task, how: Run): Promise<void> {
  switch (task.do) {
    case 'serve': return await serve(task, how)
    case 'find':
    case 'find over a bad line': return await findAll(task, how)
    case 'announce': {
      const announcement = await announce({ ...task, signal: how.signal })
      how.print('announced', { name: announcement.name })
      await new Promise(resolve => { how.signal.addEventListener('abort', resolve) })
      return await announcement.close()
    }
    case 'follow':
      how.print('looking')
      for await (const { kind, service: { txtBytes: _, ...service } } of find({ type: task.type, signal: how.signal })) {
        how.print(kind, service)
      }
      return
    case 'flood': return await flood(task, how)
    case 'diagnose':
      for await (const finding of diagnose({ role: 'client', clock, signal: how.signal, expected: task.expected }))
        how.print('finding', { ...finding })
  }
}

const stops = new Map<number, AbortController>()
createInterface({ input: process.stdin }).on('line', text => {
  const words = JSON.parse(text) as { task: number, stop: true } | (Task & { task: number })
  if ('stop' in words) {
    stops.get(words.task)?.abort()
    return
  }
  const stop = new AbortController()
  stops.set(words.task, stop)
  const print = (event: string, fields: object = {}): void => {
    process.stdout.write(`${JSON.stringify({ task: words.task, event, ...fields })}\n`)
  }
  void run(words, { print, signal: stop.signal })
    .catch((error: unknown) => {
      print('failed', { error: String(error) })
    })
    .then(() => {
      print('ended')
    })
})
