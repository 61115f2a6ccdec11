import { once } from 'node:events'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { connect as connectTcp, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { connect } from 'node:tls'
import { ALPN_SYNC } from '@filesync/protocol'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Stage } from '../src/programs.ts'
import type { RunningServer } from '../src/programs.ts'

/** A push takes a second or two; twice as long as a handshake may take, beside that. */
const PUSH_WITHIN_MS = 25_000
/** 256 handshakes and 1024 waiting sockets take some 25 MB. */
const GROWTH_BYTES = 100 << 20
const CONNECTS = 3_000
/** From where they come, by the number of the connection. */
const FLOODS: [string, (n: number) => string][] = [
  ['one address', () => '127.0.0.66'],
  ['thousands of addresses', n => `127.${1 + (n >> 16) % 200}.${(n >> 8) & 255}.${n & 255}`],
]

// On Linux the whole of 127.0.0.0/8 is this machine; elsewhere a flood and the client would have one address.
describe.skipIf(process.platform !== 'linux')('a stranger that floods the real server with handshakes', () => {
  let stage: Stage
  let server: RunningServer
  let hello: Buffer
  const sockets = new Set<Socket>()

  beforeAll(async () => {
    stage = await Stage.open()
    server = await stage.startServer()
    await stage.pair(server, 'honest')
    await mkdir(stage.path('source'))
    hello = await clientHello()
  })
  afterAll(async () => {
    for (const socket of sockets) socket.destroy()
    await stage.dispose()
  })

  /** Connects again whenever the server ends a connection, as long as the flood goes on. */
  function flood (addressOf: (n: number) => string): { readonly counts: { opened: number }, end: () => void } {
    let isOver = false
    const counts = { opened: 0 }
    const open = (n: number): void => {
      if (isOver) return
      const socket = connectTcp({ port: server.listening.port, host: '127.0.0.1', localAddress: addressOf(n) })
      sockets.add(socket)
      socket.on('error', () => { /* 'close' follows */ })
      socket.once('connect', () => {
        counts.opened++
        socket.resume().write(hello)
      })
      socket.once('close', () => {
        sockets.delete(socket)
        // Not at once: a flood from this process must leave it time for the test.
        setTimeout(() => { open(n + CONNECTS) }, 200)
      })
    }
    for (let n = 0; n < CONNECTS; n++) open(n)
    return {
      counts,
      end: () => {
        isOver = true
        for (const socket of sockets) socket.destroy()
      },
    }
  }

  const options = { timeout: 60_000 }
  test.each(FLOODS)('from %s delays a paired client by a bounded time, in bounded memory', options, async (way, addressOf) => {
    await writeFile(stage.path('source', 'file.txt'), way)
    const before = await rssBytes(server)
    const { counts, end } = flood(addressOf)
    try {
      while (counts.opened < CONNECTS / 2) await new Promise(resolve => { setImmediate(resolve) })
      const startMs = performance.now()
      expect(await stage.push('honest', stage.path('source'))).toMatchObject({ code: 0, result: { result: 'ok' } })
      expect(performance.now() - startMs).toBeLessThan(PUSH_WITHIN_MS)
      expect(await readFile(`${server.archive}/honest/source/file.txt`, 'utf8')).toBe(way)
      expect(await rssBytes(server) - before).toBeLessThan(GROWTH_BYTES)
    } finally {
      end()
    }
  })
})

/** The ClientHello of a TLS client. Sent alone, it makes a server work, and wait for an answer that never comes. */
async function clientHello (): Promise<Buffer> {
  const listener = createServer().listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const { port } = listener.address() as AddressInfo
  const client = connect({ host: '127.0.0.1', port, ALPNProtocols: [ALPN_SYNC], minVersion: 'TLSv1.3' })
  client.on('error', () => { /* it gets no answer */ })
  const [socket] = await once(listener, 'connection') as [Socket]
  const [bytes] = await once(socket, 'data') as [Buffer]
  client.destroy()
  socket.destroy()
  listener.close()
  return bytes
}

async function rssBytes ({ child }: RunningServer): Promise<number> {
  return Number(/VmRSS:\s+(\d+)/u.exec(await readFile(`/proc/${String(child.pid)}/status`, 'utf8'))?.[1] ?? 0) * 1024
}
