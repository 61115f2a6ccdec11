import { connect } from 'node:net'
import { systemClock } from '@filesync/protocol/node'
import { ManualClock } from '@filesync/protocol/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { listenLegacy } from '../src/legacy/listen.ts'
import { SharedLimit } from '../src/schedule/shared-limit.ts'
import { OLD } from './support/legacy-client.ts'
import type { Wire } from './support/legacy-client.ts'
import { LegacyServer } from './support/legacy-server.ts'

const RATE = 1_000_000
const BURST = RATE / 4
const PIECE_BYTES = 50_000
const FILE_BYTES = 40 * PIECE_BYTES
const HEADER = `{"type":"FILE_HEADER","name":"a","path":"a","size":${FILE_BYTES},"last_mod":"${OLD}"}\n`

let server: LegacyServer
beforeAll(async () => { server = await LegacyServer.open() })
beforeEach(() => { server.nextClient() })
afterAll(async () => { await server.close() })

/** Runs a session up to the point where the server waits for the content of the only file. */
async function announce (wire: Wire): Promise<void> {
  await wire.until('}')
  await wire.send(server.info({ a: { content: '' } }))
  await wire.until('\n')
  await wire.send(HEADER)
}

describe('the rate limit', () => {
  test('applies to legacy clients, and slows them down through TCP', async () => {
    const flow = new SharedLimit(RATE, systemClock).open()
    const stop = new AbortController()
    const pace = async (bytes: number): Promise<void> => { await flow.take(bytes, stop.signal) }
    const { wire, session } = server.connect({ capacityBytes: PIECE_BYTES }, server.deps, pace)
    await announce(wire)
    const startedMs = performance.now()
    let mostAhead = 0
    for (let sent = PIECE_BYTES; sent <= FILE_BYTES; sent += PIECE_BYTES) {
      await wire.send(new Uint8Array(PIECE_BYTES))
      mostAhead = Math.max(mostAhead, sent - BURST - (performance.now() - startedMs) * RATE / 1000)
    }
    expect(await wire.rest()).toContain('NEXT_SYNC')
    const tookMs = performance.now() - startedMs
    expect(tookMs).toBeGreaterThan(1000 * (FILE_BYTES - BURST) / RATE - 50)
    expect(tookMs).toBeLessThan(15_000)
    // The bytes in transit, those that are being received, and one piece that is being written.
    expect(mostAhead).toBeLessThan(4 * PIECE_BYTES)
    expect(await session).toMatchObject({ result: 'OK', stored: { files: 1, bytes: FILE_BYTES } })
  })

  test('counts each byte once: lists, headers and content', async () => {
    let counted = 0
    const { wire, session } = server.connect({ chunkBytes: 777 }, server.deps, async bytes => { counted += bytes })
    await announce(wire)
    await wire.send(new Uint8Array(FILE_BYTES))
    await wire.rest()
    await session
    expect(counted).toBe(server.info({ a: { content: '' } }).length + HEADER.length + FILE_BYTES)
  })

  test('does not time out a client that it holds back', async () => {
    const clock = new ManualClock()
    const { wire, session } = server.connect({ chunkBytes: 1_000 }, server.dependencies(clock), async () => { clock.advance(600_000) })
    await announce(wire)
    await wire.send(new Uint8Array(FILE_BYTES))
    expect(await wire.rest()).toContain('NEXT_SYNC')
    expect(await session).toMatchObject({ result: 'OK', stored: { files: 1 } })
  })

  test('does not delay closing the server', async () => {
    const failed: string[] = []
    const listener = await listenLegacy({
      ...server.deps, port: 0, bind: '127.0.0.1', limit: new SharedLimit(1_000, systemClock),
      onSession: () => { /* no session completes */ }, onFailure: (_, { code }) => { failed.push(code) },
    })
    const socket = connect(listener.port, '127.0.0.1')
    socket.on('error', () => { /* the server disconnects it */ })
    await new Promise(resolve => { socket.once('data', resolve) })
    socket.write(server.info({ a: { content: '' } }))
    await new Promise(resolve => { socket.once('data', resolve) })
    socket.write(HEADER)
    socket.write(new Uint8Array(FILE_BYTES))
    await new Promise(resolve => { setTimeout(resolve, 300) })
    const startedMs = performance.now()
    await listener.close()
    expect(performance.now() - startedMs).toBeLessThan(2_000)
    expect(failed).toEqual(['PEER_GONE'])
  })
})
