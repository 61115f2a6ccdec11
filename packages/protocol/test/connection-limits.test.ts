import { encodeFrame, FileSyncError, LIMITS } from '@filesync/protocol'
import { describe, expect, it } from 'vitest'
import { connectBoth, connectOne, frameOf, readText, settle, STORED } from './support/connected.ts'
import { join, rejection } from './support/refusal.ts'

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
