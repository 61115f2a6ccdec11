import { encodeFrame, FileSyncError } from '@filesync/protocol'
import { describe, expect, it } from 'vitest'
import { connectBoth, connectOne, frameOf, readText, reasonOf, settle, STORED } from './support/connected.ts'
import { join, rejection } from './support/refusal.ts'

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
