import type { SeededRandom } from '@filesync/protocol/testing'

/** Bytes that mean something to MessagePack, to lengths, or to JSON. */
const TELLING = [
  0, 1, 0x7f, 0x80, 0x8f, 0x90, 0x91, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc4, 0xc6, 0xc7, 0xcb, 0xcf, 0xd3, 0xd4, 0xd9, 0xdb, 0xdc, 0xdd, 0xde,
  0xdf, 0xe0, 0xff, 0x22, 0x2e, 0x2f, 0x5b, 0x7b,
]

/** A copy with one to four changes: bytes replaced, dropped, repeated, inserted, cut, or spliced from another input. */
export function mutate (input: Uint8Array, other: Uint8Array, random: SeededRandom): Uint8Array<ArrayBuffer> {
  let bytes = input.slice()
  for (let changes = 1 + random.below(4); changes > 0; changes--) bytes = change(bytes, other, random)
  return bytes
}

function change (bytes: Uint8Array<ArrayBuffer>, other: Uint8Array, random: SeededRandom): Uint8Array<ArrayBuffer> {
  if (bytes.length === 0) return Uint8Array.of(random.pick(TELLING))
  const at = random.below(bytes.length)
  const length = 1 + random.below(Math.min(16, bytes.length - at))
  switch (random.below(8)) {
    case 0: return put(bytes, at, random.below(256))
    case 1: return put(bytes, at, random.pick(TELLING))
    case 2: return put(bytes, at, (bytes[at] ?? 0) ^ (1 << random.below(8)))
    case 3: return splice(bytes, at, length, new Uint8Array(0))
    case 4: return splice(bytes, at, 0, bytes.subarray(at, at + length))
    case 5: return splice(
      bytes, at, random.below(2) * 4, Uint8Array.of(random.pick(TELLING), 0xff, 0xff, 0xff).subarray(0, 1 + random.below(4))
    )
    case 6: return bytes.slice(0, at)
    default: return splice(bytes, at, length, other.subarray(random.below(other.length + 1)).subarray(0, 64))
  }
}

function put (bytes: Uint8Array<ArrayBuffer>, at: number, value: number): Uint8Array<ArrayBuffer> {
  bytes[at] = value
  return bytes
}

function splice (bytes: Uint8Array, at: number, removed: number, added: Uint8Array): Uint8Array<ArrayBuffer> {
  const rest = bytes.subarray(at + removed)
  const spliced = new Uint8Array(at + added.length + rest.length)
  spliced.set(bytes.subarray(0, at))
  spliced.set(added, at)
  spliced.set(rest, at + added.length)
  return spliced
}
