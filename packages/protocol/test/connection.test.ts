import { setImmediate as turn } from 'node:timers/promises'
import { encodeFrame, FileSyncError, LIMITS, openConnection } from '@filesync/protocol'
import type { ByteStream, Connection, Message } from '@filesync/protocol'
import { ManualClock, memoryStreamPair } from '@filesync/protocol/testing'
import type { MemoryStreamInit } from '@filesync/protocol/testing'
import { describe, expect, it } from 'vitest'
import { encodeMessage } from '../src/wire/message-schema.ts'
import { join, rejection } from './support/refusal.ts'

const STORED: Message = { type: 'STORED', files: 1, bytes: 2 }

interface Bench {
  readonly clock: ManualClock
  readonly left: Connection
  readonly right: Connection
}

function connectBoth (init: MemoryStreamInit = {}): Bench {
  const clock = new ManualClock()
  const [near, far] = memoryStreamPair(init)
  return { clock, left: openConnection({ stream: near, clock }), right: openConnection({ stream: far, clock }) }
}

/** A connection whose other end the test controls. */
function connectOne (signal?: AbortSignal): { clock: ManualClock, connection: Connection, peer: ByteStream } {
  const clock = new ManualClock()
  const [near, peer] = memoryStreamPair()
  return { clock, connection: openConnection({ stream: near, clock, ...(signal !== undefined && { signal }) }), peer }
}

/** Lets everything run that waits for nothing but its turn. */
async function settle (): Promise<void> {
  for (let i = 0; i < 5; i++) await turn()
}

const reasonOf = (connection: Connection): string | undefined => (connection.signal.reason as FileSyncError | undefined)?.code
const frameOf = (message: Message): Uint8Array => encodeFrame('MESSAGE', [encodeMessage(message)])

/** The frames that were sent to the peer, identified by the start of their content. */
async function readText (peer: ByteStream): Promise<string> {
  const chunks = await peer.read().catch(() => undefined)
  return chunks === undefined ? '' : new TextDecoder().decode(join(chunks))
}

describe('a connection', () => {
  it.each([{}, { chunkBytes: 1 }, { chunkBytes: 7 }])('carries messages and raw frames in order, cut as %j', async init => {
    const { left, right } = connectBoth(init)
    await left.send(STORED)
    await left.sendRaw('DATA', [Uint8Array.of(1), Uint8Array.of(2)], 1)
    await left.send({ type: 'PAIR_DONE' })
    expect(await right.receive(['STORED'])).toEqual(STORED)
    expect(await right.next()).toEqual({ kind: 'raw', type: 'DATA', flags: 1, payload: Uint8Array.of(1, 2) })
    expect(await right.next()).toEqual({ kind: 'message', message: { type: 'PAIR_DONE' } })
    expect(right.bytesReceived).toBe(left.bytesSent)
  })

  it('skips messages that this version does not know', async () => {
    const { connection, peer } = connectOne()
    const future = encodeFrame('MESSAGE', [Uint8Array.of(0x81, 0xa4, 0x74, 0x79, 0x70, 0x65, 0xa3, 0x4e, 0x45, 0x57)])
    await peer.write(join([future, frameOf(STORED)]))
    expect(await connection.receive(['STORED'])).toEqual(STORED)
  })

  it('serves all waiting receivers', async () => {
    const { left, right } = connectBoth()
    const both = [right.next(), right.next()]
    await left.send(STORED)
    await left.send(STORED)
    expect(await Promise.all(both)).toHaveLength(2)
    const failing = [rejection(right.next()), rejection(right.next())]
    left.destroy(new FileSyncError('ABORTED', 'x'))
    expect(await Promise.all(failing)).toEqual(['PEER_GONE', 'PEER_GONE'])
  })
})

describe('the end of a connection', () => {
  it('returns what arrived before a CLOSE, then the reason', async () => {
    const { left, right } = connectBoth()
    await left.send(STORED)
    await left.close(new FileSyncError('ARCHIVE_FULL', 'No room.'))
    await settle()
    expect(reasonOf(right)).toBe('ARCHIVE_FULL')
    expect(await right.receive(['STORED'])).toEqual(STORED)
    expect(await rejection(right.next())).toBe('ARCHIVE_FULL')
    expect(await rejection(right.send(STORED))).toBe('ARCHIVE_FULL')
    expect(await rejection(left.next())).toBe('ARCHIVE_FULL')
  })

  it('sends DONE if there was no error', async () => {
    const { left, right } = connectBoth()
    const waiting = rejection(right.next())
    await left.close()
    expect(await waiting).toBe('PEER_GONE')
    expect([reasonOf(left), reasonOf(right)]).toEqual(['PEER_GONE', 'PEER_GONE'])
  })

  it('ends if both ends close at once', async () => {
    const { left, right, clock } = connectBoth()
    await Promise.all([left.close(), right.close(new FileSyncError('SERVER_STOPPING', 'Stopping.')), left.close(), right.close()])
    await left.close()
    expect(clock.scheduled).toBe(0)
  })

  it('does not disclose local errors, nor the message of internal ones', async () => {
    const say = async (error: unknown): Promise<FileSyncError> => {
      const { left, right } = connectBoth()
      await left.close(error)
      await settle()
      return right.signal.reason as FileSyncError
    }
    expect(await say(new FileSyncError('ABORTED', 'by ^C'))).toMatchObject({ code: 'PEER_GONE', message: 'The other end stopped.' })
    const trouble = await say(new FileSyncError('KEY_EXPOSED', '/home/me/key.pem'))
    expect(trouble.code).toBe('PEER_GONE')
    expect(trouble.message).toMatch(/^The other end stopped because of a problem on its own machine\. /u)
    expect(trouble.message).not.toContain('/home')
    const fault = await say(new Error('ENOENT /secret'))
    expect(fault.code).toBe('INTERNAL')
    expect(fault.message).not.toContain('secret')
    expect((await say(new FileSyncError('HALTED', '😀'.repeat(3000)))).message.isWellFormed()).toBe(true)
  })

  it('answers the CLOSE of its peer with its own, and then ends too', async () => {
    const { connection, peer, clock } = connectOne()
    await peer.write(join([frameOf(STORED), frameOf({ type: 'CLOSE', code: 'DONE', message: '' })]))
    await settle()
    await peer.end()
    expect(join(await peer.read() ?? [])).toEqual(frameOf({ type: 'CLOSE', code: 'DONE', message: '' }))
    expect(await peer.read()).toBeUndefined()
    expect(await connection.receive(['STORED'])).toEqual(STORED)
    await connection.close()
    expect(clock.scheduled).toBe(0)
  })

  it('answers a peer that ends without CLOSE, and drops one that sends CLOSE and does not end', async () => {
    const silent = connectOne()
    await silent.peer.end()
    expect(join(await silent.peer.read() ?? [])).toEqual(frameOf({ type: 'CLOSE', code: 'DONE', message: '' }))
    expect(await silent.peer.read()).toBeUndefined()
    expect(reasonOf(silent.connection)).toBe('PEER_GONE')
    const lazy = connectOne()
    await lazy.peer.write(frameOf({ type: 'CLOSE', code: 'DONE', message: '' }))
    await settle()
    lazy.clock.advance(2_000)
    await expect(lazy.peer.write(frameOf(STORED))).rejects.toMatchObject({ code: 'PEER_GONE' })
  })

  it.each(['IDENTITY_CHANGED', 'KEY_EXPOSED', 'WHATEVER', '__proto__'])('takes a CLOSE with %s for a peer that is gone', async code => {
    const { connection, peer } = connectOne()
    await peer.write(frameOf({ type: 'CLOSE', code, message: 'x' }))
    expect(await rejection(connection.next())).toBe('PEER_GONE')
  })

  it('waits for the peer to end too, so that a reset cannot lose the CLOSE', async () => {
    const { connection, peer, clock } = connectOne()
    let closed = false
    const closing = connection.close(new FileSyncError('ARCHIVE_FULL', 'No room.')).then(() => { closed = true })
    await settle()
    expect(await readText(peer)).toContain('ARCHIVE_FULL')
    await peer.write(new Uint8Array(100_000))
    await settle()
    expect(closed).toBe(false)
    await peer.end()
    await closing
    expect(clock.scheduled).toBe(0)
  })

  it('waits at most two seconds for the peer to end', async () => {
    const { connection, clock } = connectOne()
    const closing = connection.close()
    await settle()
    clock.advance(2_000)
    await closing
    expect(clock.scheduled).toBe(0)
  })

  it('reaches waiting receivers before CLOSE has been sent', async () => {
    const { connection } = connectOne()
    const waiting = rejection(connection.next())
    void connection.close(new FileSyncError('HALTED', 'x'))
    expect(await waiting).toBe('HALTED')
    expect(await rejection(connection.send(STORED))).toBe('HALTED')
  })

  it('is detected if the peer ends without CLOSE, or the stream breaks within a frame', async () => {
    const { connection, peer } = connectOne()
    await peer.write(frameOf(STORED).subarray(0, 11))
    await peer.end()
    expect(await rejection(connection.next())).toBe('PEER_GONE')
  })

  it('sends nothing if it is destroyed', async () => {
    const { connection, peer } = connectOne()
    connection.destroy(new FileSyncError('ABORTED', 'x'))
    expect(await readText(peer)).toBe('')
    expect(await rejection(connection.next())).toBe('ABORTED')
    await connection.close()
  })

  it('stops closing if it is destroyed', async () => {
    const { connection, clock } = connectOne()
    const closing = connection.close()
    await settle()
    connection.destroy(new FileSyncError('ABORTED', 'x'))
    await closing
    expect(clock.scheduled).toBe(0)
  })

  it('ends when its signal is aborted, and sends CLOSE', async () => {
    const outer = new AbortController()
    const { connection, peer } = connectOne(outer.signal)
    const waiting = rejection(connection.next())
    outer.abort(new FileSyncError('SERVER_STOPPING', 'The server is stopping.'))
    expect(await waiting).toBe('SERVER_STOPPING')
    await settle()
    expect(await readText(peer)).toContain('SERVER_STOPPING')
  })

  it('ends at once when its signal is aborted and the peer accepts no data', async () => {
    const outer = new AbortController()
    const { connection, clock } = connectOne(outer.signal)
    const sending = rejection(connection.sendRaw('DATA', [new Uint8Array(1 << 20)]))
    await settle()
    outer.abort()
    expect(await sending).toBe('ABORTED')
    expect(clock.scheduled).toBe(0)
  })

  it('is immediate if the signal was already aborted', async () => {
    const { connection } = connectOne(AbortSignal.abort())
    expect(await rejection(connection.next())).toBe('ABORTED')
  })
})

describe('a peer that breaks the rules', () => {
  const raw = (hex: readonly number[]): Uint8Array => encodeFrame('MESSAGE', [Uint8Array.from(hex)])

  it.each([
    ['a frame that is too large', Uint8Array.of(0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0), 'FRAME_TOO_LARGE'],
    ['an unknown frame', Uint8Array.of(0, 0, 0, 1, 99, 0, 0, 0), 'FRAME_MALFORMED'],
    ['plain HTTP', new TextEncoder().encode('GET / HTTP/1.1\r\n\r\n'), 'FRAME_MALFORMED'],
    ['the original protocol', new TextEncoder().encode('{"type":"CLIENT_FILES_INFO"}'), 'FRAME_MALFORMED'],
    ['bytes that are no message', raw([0xc1]), 'ENCODING_FORBIDDEN'],
    ['a message without a type', raw([0x80]), 'MESSAGE_INVALID'],
    ['a message that is nested too deep', raw(new Array<number>(20).fill(0x91)), 'ENCODING_TOO_DEEP'],
  ])('receives the error: %s', async (_, bytes, code) => {
    const { connection, peer, clock } = connectOne()
    const waiting = rejection(connection.next())
    await peer.write(bytes)
    expect(await waiting).toBe(code)
    await settle()
    expect(await readText(peer)).toContain(code)
    clock.advance(2_000)
    await connection.close()
    expect(clock.scheduled).toBe(0)
  })

  it('receives the error if it sends an unexpected message', async () => {
    const { connection, peer } = connectOne()
    await peer.write(frameOf(STORED))
    expect(await rejection(connection.receive(['TASKS', 'NEXT_SYNC']))).toBe('MESSAGE_UNEXPECTED')
    await settle()
    expect(await readText(peer)).toContain('MESSAGE_UNEXPECTED')
  })

  it('receives the error if it sends a raw frame instead of a message', async () => {
    const { connection, peer } = connectOne()
    await peer.write(encodeFrame('DATA', [Uint8Array.of(1)]))
    expect(await rejection(connection.receive(['HELLO']))).toBe('MESSAGE_UNEXPECTED')
  })
})

describe('time', () => {
  it('ends a silent peer', async () => {
    const { connection, clock } = connectOne()
    const waiting = rejection(connection.next())
    await settle()
    clock.advance(LIMITS.idleTimeoutMs - 1)
    expect(connection.signal.aborted).toBe(false)
    clock.advance(1)
    expect(await waiting).toBe('PEER_TIMEOUT')
    await settle()
    expect(clock.scheduled).toBe(0)
  })

  it('keeps two idle ends connected for an hour', async () => {
    const { left, right, clock } = connectBoth()
    for (let second = 0; second < 3600; second++) {
      clock.advance(1000)
      await Promise.resolve()
      if (second % 4 === 0) await settle()
    }
    expect([left.signal.aborted, right.signal.aborted]).toEqual([false, false])
    expect(left.bytesSent).toBeGreaterThanOrEqual(8 * 3600_000 / LIMITS.heartbeatMs - 8)
    expect(left.bytesSent).toBeLessThanOrEqual(8 * 3600_000 / LIMITS.heartbeatMs)
  })

  it('sends no heartbeats while there is other traffic', async () => {
    const { left, right, clock } = connectBoth()
    for (let i = 0; i < 20; i++) {
      clock.advance(LIMITS.heartbeatMs / 2)
      await left.send(STORED)
      await right.receive(['STORED'])
    }
    expect(left.bytesSent).toBe(20 * frameOf(STORED).length)
  })

  it('ends a peer that accepts no data, without waking up repeatedly', async () => {
    const { connection, clock, peer } = connectOne()
    const sending = rejection(connection.sendRaw('DATA', [new Uint8Array(1 << 20)]))
    let wakeUps = 0
    const schedule = clock.schedule.bind(clock)
    clock.schedule = (delayMs, callback) => {
      wakeUps++
      return schedule(delayMs, callback)
    }
    for (let passedMs = 0; passedMs < LIMITS.stallTimeoutMs; passedMs += 2_000) {
      expect(connection.signal.aborted).toBe(false)
      await peer.write(encodeFrame('HEARTBEAT', []))
      await settle()
      clock.advance(2_000)
    }
    expect(await sending).toBe('PEER_TIMEOUT')
    expect(wakeUps).toBeLessThan(100)
  })

  it('ends a peer that sends one byte a second', async () => {
    const { connection, clock, peer } = connectOne()
    const waiting = rejection(connection.next())
    const frame = encodeFrame('MESSAGE', [new Uint8Array(100_000)])
    for (let at = 0; at < 65 && !connection.signal.aborted; at++) {
      await peer.write(frame.subarray(at, at + 1))
      await settle()
      clock.advance(1000)
    }
    expect(await waiting).toBe('PEER_TOO_SLOW')
  })

  it('limits how long a message may take to arrive', async () => {
    const { connection, clock, peer } = connectOne()
    const greeting = rejection(connection.receive(['HELLO'], LIMITS.helloTimeoutMs))
    // Heartbeats keep a connection, not a promise to say something.
    await peer.write(encodeFrame('HEARTBEAT', []))
    await settle()
    clock.advance(LIMITS.helloTimeoutMs)
    expect(await greeting).toBe('PEER_TIMEOUT')
    await settle()
    expect(await readText(peer)).toContain('PEER_TIMEOUT')
  })

  it('leaves no timer', async () => {
    const { connection, clock, peer } = connectOne()
    await peer.write(frameOf(STORED))
    await connection.receive(['STORED'], 1000)
    await connection.send(STORED)
    connection.destroy(new FileSyncError('ABORTED', 'x'))
    await settle()
    expect(clock.scheduled).toBe(0)
  })
})

describe('back-pressure', () => {
  it.each([
    ['large frames', 1 << 20, 64],
    ['tiny frames', 1, 200_000],
  ])('holds a sender of %s that nobody reads', async (_, payloadBytes, frames) => {
    const { connection, peer } = connectOne()
    const frame = encodeFrame('DATA', [new Uint8Array(payloadBytes)])
    const batch = join(new Array<Uint8Array>(Math.max(1, Math.floor((1 << 16) / frame.length))).fill(frame))
    let sent = 0
    const sending = (async () => {
      for (; sent < frames; sent += batch.length / frame.length) await peer.write(batch)
    })()
    let seen = -1
    while (seen !== sent) {
      seen = sent
      await settle()
    }
    expect(sent).toBeLessThan(frames)
    expect(sent * payloadBytes).toBeLessThan(LIMITS.inboxBytes + (4 << 20))
    // What was held is still all there.
    for (let taken = 0, held = sent; taken < held; taken++) await connection.next()
    connection.destroy(new FileSyncError('ABORTED', 'x'))
    await rejection(sending.catch(() => { throw new FileSyncError('PEER_GONE', 'as it should be') }))
  })

  it('counts messages by their bytes and keeps them undecoded', async () => {
    const { connection, peer } = connectOne()
    const page = frameOf({ type: 'TASKS', first: 0, last: false, tasks: new Array<readonly [number, number]>(8192).fill([0, 0]) })
    const before = process.memoryUsage().heapUsed
    let sent = 0
    const sending = (async () => { for (; sent < 1000; sent++) await peer.write(page) })()
    let seen = -1
    while (seen !== sent) {
      seen = sent
      await settle()
    }
    expect(sent).toBeLessThan(400)
    // Decoded, so many pages would take more than 200 MiB.
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(64 << 20)
    connection.destroy(new FileSyncError('ABORTED', 'x'))
    await sending.catch(() => { /* the stream is gone, as it should be */ })
  })

  it('makes a sender wait for a peer that does not read', async () => {
    const { left, right } = connectBoth()
    let sent = 0
    const sending = (async () => { for (; sent < 100; sent++) await left.sendRaw('DATA', [new Uint8Array(1 << 20)]) })()
    let seen = -1
    while (seen !== sent) {
      seen = sent
      await settle()
    }
    expect(sent).toBeLessThan(16)
    for (let taken = 0; taken < 100; taken++) await right.next()
    await sending
    expect(sent).toBe(100)
  })
})
