import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encodeValue } from '../src/encoding/codec.ts'
import { decodeMessage, encodeMessage, LIMITS } from '../src/index.ts'
import { MESSAGE_TYPES, parseMessage } from '../src/wire/message-schema.ts'
import { anyMessage, messagesByType } from './support/arbitrary.ts'
import { refusal } from './support/refusal.ts'

describe('messages', () => {
  it.each(MESSAGE_TYPES)('%s round-trips', type => {
    fc.assert(fc.property(messagesByType[type], message => { expect(decodeMessage(encodeMessage(message))).toEqual(message) }))
  })

  it('are skipped if their type is unknown', () => {
    for (const type of ['', 'PING', 'hello', '__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
      expect(parseMessage({ type })).toBeUndefined()
    }
  })

  it('lose the fields that this version does not know', () => {
    expect(parseMessage({ type: 'STORED', files: 1, bytes: 2, future: 3 })).toEqual({ type: 'STORED', files: 1, bytes: 2 })
    expect(parseMessage({
      type: 'NEXT_SYNC', inMs: 1, result: 'OK', stored: { files: 0, bytes: 0, deleted: 0, renamed: 0, more: 1 }, problems: [],
      problemCount: 0,
    }))
      .toEqual({
        type: 'NEXT_SYNC', inMs: 1, result: 'OK', stored: { files: 0, bytes: 0, deleted: 0, renamed: 0 }, problems: [], problemCount: 0,
      })
  })

  it.each([
    [null], [undefined], [5], ['HELLO'], [[]], [[['type', 'HELLO']]], [{}], [{ type: 5 }], [{ type: null }],
  ])('need a type: %j', value => {
    expect(refusal(() => parseMessage(value))).toBe('MESSAGE_INVALID')
  })

  it('are rejected with any field missing, or of another type', () => {
    fc.assert(fc.property(anyMessage, fc.nat(), fc.constantFrom<unknown>(
      undefined, null, -1, 1.5, NaN, [], {}, 5n, Symbol.iterator, { toString: () => 'x' }
    ), (message, pick, wrong) => {
      const fields = Object.keys(message).filter(field => field !== 'type')
      const field = fields[pick % Math.max(1, fields.length)]
      fc.pre(field !== undefined && !['estimateMs', 'message', 'tokenId'].includes(field) && !(Array.isArray(wrong) && isList(field)))
      expect(refusal(() => parseMessage({ ...message, [field]: wrong }))).toBe('MESSAGE_INVALID')
    }))
  })

  it('are rejected if an optional field is present but undefined or null', () => {
    expect(refusal(() => parseMessage({ type: 'SERVER_STATUS', status: 'BUSY', position: 1, estimateMs: null }))).toBe('MESSAGE_INVALID')
  })

  it('accept only uint32 for references to entries', () => {
    const ask = (reference: unknown): string => refusal(() => parseMessage({ type: 'LISTINGS_WANTED', directories: [reference] }))
    expect(ask([0, 0xffff_ffff])).toBe('accepted')
    for (const wrong of [[0], [0, 1, 2], [-1, 0], [0, 2 ** 32], [0.5, 0], ['a', 0], [NaN, 0], 5, 'a/b', null]) {
      expect(ask(wrong)).toBe('MESSAGE_INVALID')
    }
  })

  it('accept tasks only in their defined forms', () => {
    const task = (value: unknown): string => refusal(() => parseMessage({ type: 'TASKS', first: 0, tasks: [value], last: true }))
    for (const right of [
      [0, 1], [0, 1, 'DIGEST'], [0, 1, 'RESUME', LIMITS.fileBytes], [0, 1, 'DELTA', 0xffff_ffff],
      [0, 1, 'SPARSE', LIMITS.fileBytes, Number.MAX_SAFE_INTEGER],
    ]) {
      expect(task(right)).toBe('accepted')
    }
    const wrongs = [
      [0], [0, 1, 2], [0, 1, 'WHOLE'], [0, 1, 'DIGEST', 0], [0, 1, 'RESUME'], [0, 1, 'RESUME', -1], [0, 1, 'RESUME', 1.5],
      [0, 1, 'RESUME', LIMITS.fileBytes + 1],
      [0, 1, 'SPARSE', 0], [0, 1, 'SPARSE', LIMITS.fileBytes + 1, 0], [0, 1, 'SPARSE', 0, -1], [0, 1, 'SPARSE', 0, 2 ** 53],
      [0, 1, 'DELTA', 2 ** 32], [0, 1, 'DELTA', NaN], [0, 1, 'DELTA', 1, 1], [-1, 1], [0, '1'], 'etc/passwd', { 0: 0, 1: 1, length: 2 },
      null, ['a', 'b'],
    ]
    for (const wrong of wrongs) expect(task(wrong), JSON.stringify(wrong)).toBe('MESSAGE_INVALID')
  })

  it.each([-1, 2 ** 53, 1.5, NaN, Infinity, -Infinity, '5', 5n, null, [5]])('reject %s for a size', sizeBytes => {
    expect(refusal(() => parseMessage({ type: 'FILE_HEADER', task: 0, sizeBytes, offset: 0, content: 'DATA' }))).toBe('MESSAGE_INVALID')
  })

  it('reject a header that starts after the end of its file', () => {
    expect(refusal(() => parseMessage({ type: 'FILE_HEADER', task: 0, sizeBytes: 5, offset: 6, content: 'DATA' }))).toBe('MESSAGE_INVALID')
  })

  it('reject lists that are longer than their limits', () => {
    const listings = new Array<number[]>(LIMITS.listingsPerRequest).fill([0, 0])
    const tasks = new Array<number[]>(LIMITS.tasksPerPage).fill([0, 0])
    expect(refusal(() => parseMessage({ type: 'LISTINGS_WANTED', directories: listings }))).toBe('accepted')
    expect(refusal(() => parseMessage({ type: 'LISTINGS_WANTED', directories: [...listings, [0, 0]] }))).toBe('MESSAGE_INVALID')
    expect(refusal(() => parseMessage({ type: 'TASKS', first: 0, last: false, tasks }))).toBe('accepted')
    expect(refusal(() => parseMessage({ type: 'TASKS', first: 0, last: false, tasks: [...tasks, [0, 0]] }))).toBe('MESSAGE_INVALID')
  })

  it('reject a million wrong elements as cheaply as one', () => {
    const payload = encodeValue({ type: 'LISTINGS_WANTED', directories: new Array(1_000_000).fill(0) })
    expect(payload.length).toBeLessThan(LIMITS.messageFrameBytes)
    const before = process.memoryUsage().heapUsed
    expect(refusal(() => decodeMessage(payload))).toBe('MESSAGE_INVALID')
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(64 << 20)
  })

  it('fit their frame at their maximum size', () => {
    const longestTask = [0xffff_ffff, 0xffff_ffff, 'RESUME', LIMITS.fileBytes] as const
    const tasks = encodeMessage({
      type: 'TASKS', first: 0xffff_ffff, last: false, tasks: new Array<typeof longestTask>(LIMITS.tasksPerPage).fill(longestTask),
    })
    expect(tasks.length).toBeLessThanOrEqual(LIMITS.messageFrameBytes)
    const listings = encodeMessage({
      type: 'LISTINGS_WANTED', directories: new Array<[number, number]>(LIMITS.listingsPerRequest).fill([0xffff_ffff, 0xffff_ffff]),
    })
    expect(listings.length).toBeLessThanOrEqual(LIMITS.messageFrameBytes)
  })

  it('decode bytes to plain arrays that share no memory', () => {
    const mac = new Uint8Array(32).fill(7)
    const message = decodeMessage(encodeMessage({ type: 'PAIR_OK', serverName: 's', area: 'a', mac }))
    if (message?.type !== 'PAIR_OK') throw new Error('not a PAIR_OK')
    expect(Object.getPrototypeOf(message.mac)).toBe(Uint8Array.prototype)
    expect([message.mac.byteOffset, message.mac.buffer.byteLength]).toEqual([0, 32])
  })
})

function isList (field: string): boolean {
  return ['versions', 'features', 'folders', 'away', 'removed', 'problems', 'directories', 'tasks', 'points', 'doubts'].includes(field)
}
