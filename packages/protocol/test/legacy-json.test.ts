import { describe, expect, it } from 'vitest'
import { JsonReader } from '../src/legacy/legacy-json.ts'
import type { JsonBounds } from '../src/legacy/index.ts'

const bounds: JsonBounds = { maxBytes: 4096, maxDepth: 3, maxContainers: 12 }
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

/** Reads one object in pieces of a length, and returns it and the rest. */
function readIn (pieceBytes: number, stream: Uint8Array): { readonly value: unknown, readonly rest: string } | undefined {
  const reader = new JsonReader(bounds)
  for (let at = 0; at < stream.length; at += pieceBytes) {
    const whole = reader.push(stream.subarray(at, at + pieceBytes))
    if (whole !== undefined) return { value: whole.value, rest: new TextDecoder().decode(stream.subarray(at + whole.used)) }
  }
  return undefined
}

describe('reading JSON that has no length', () => {
  const text = '{"a":"x}\\"]{\\\\","b":[{"ü":1},{"c":null}],"d":"日本"}'

  it.each([1, 2, 3, 7, 64, 4096])('finds the end in pieces of %i bytes, and leaves the rest', pieceBytes => {
    const found = readIn(pieceBytes, bytes(` \r\n${text}\nrest}`))
    expect(found).toEqual({ value: JSON.parse(text) as unknown, rest: '\nrest}' })
  })

  it('waits until the object is complete', () => {
    for (let cut = 0; cut < text.length; cut++) expect(readIn(5, bytes(text).subarray(0, cut)), String(cut)).toBeUndefined()
  })

  it.each([
    ['another kind of value', '[1]', 'MESSAGE_INVALID'],
    ['a word', 'GET / HTTP/1.1', 'MESSAGE_INVALID'],
    ['TLS', '\u0016\u0003\u0001', 'MESSAGE_INVALID'],
    ['brackets that do not match', '{"a":]', 'MESSAGE_INVALID'],
    ['no JSON inside', '{"a":nothing}', 'MESSAGE_INVALID'],
    ['nesting', '{"a":[[[', 'LIMIT_EXCEEDED'],
    ['many containers', `{"a":[${'{},'.repeat(11)}`, 'LIMIT_EXCEEDED'],
    ['no end', `{"a":"${'x'.repeat(5000)}`, 'LIMIT_EXCEEDED'],
    ['white space without end', ' '.repeat(5000), 'LIMIT_EXCEEDED'],
  ])('refuses %s', (_, text, code) => {
    for (const pieceBytes of [1, 100, 5000]) expect(() => readIn(pieceBytes, bytes(text))).toThrow(expect.objectContaining({ code }))
  })

  it('rejects bytes that are not UTF-8', () => {
    expect(() => readIn(
      1, Uint8Array.from([...bytes('{"a":"'), 0xff, ...bytes('"}')])
    )).toThrow(expect.objectContaining({ code: 'MESSAGE_INVALID' }))
  })

  it('allocates memory by the size of the input, not by the number of pieces', () => {
    const reader = new JsonReader({ ...bounds, maxBytes: 2_000_000 })
    const before = process.memoryUsage().arrayBuffers
    reader.push(bytes('{"a":"'))
    const one = bytes('x')
    for (let i = 0; i < 1_000_000; i++) reader.push(one)
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8_000_000)
  })
})
