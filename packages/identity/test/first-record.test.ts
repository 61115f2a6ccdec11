import { expect, test } from 'vitest'
import { FirstRecord } from '../src/first-record.ts'

/** A record with 300 bytes of content. */
const RECORD = new Uint8Array(5 + 300)
RECORD.set([22, 3, 1, 1, 44])

test('a record is enough once its last byte is there, however it is cut', () => {
  for (let at = 1; at < RECORD.length; at++) {
    const record = new FirstRecord()
    expect(record.add(RECORD.subarray(0, at)), String(at)).toBe(false)
    expect(record.add(RECORD.subarray(at))).toBe(true)
    expect(record.lengthBytes).toBe(RECORD.length)
  }
  const slow = new FirstRecord()
  expect([...RECORD].findIndex(byte => slow.add(Uint8Array.of(byte)))).toBe(RECORD.length - 1)
  expect(slow.chunks.flatMap(chunk => [...chunk])).toEqual([...RECORD])
})

test('what is no TLS record, or a longer one than TLS allows, is left to the handshake at once', () => {
  expect(new FirstRecord().add(Buffer.from('G'))).toBe(true)
  expect(new FirstRecord().add(Uint8Array.of(22, 3, 1, 64, 0))).toBe(false)
  expect(new FirstRecord().add(Uint8Array.of(22, 3, 1, 64, 1))).toBe(true)
})
