import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ListingIndex } from '../src/listing/listing-index.ts'
import { MsgpackReader } from '../src/encoding/msgpack-reader.ts'
import { MsgpackWriter } from '../src/encoding/msgpack-writer.ts'
import {
  countListing, decodeListing, digestOffsets, encodeListing, equalDigests, isName, isSymlinkTarget, LIMITS, ListingWriter, readListing,
} from '../src/index.ts'
import type { Digest, Entry, Name } from '../src/index.ts'
import { anyEntries } from './support/arbitrary.ts'
import { fromHex, join, refusal } from './support/refusal.ts'

const file = (name: string): Entry => ({ kind: 'file', name: name as Name, mtimeNs: 0n, mode: 0o644, sizeBytes: 0, fileId: 0n })

function writeOne (writer: ListingWriter, entry: Entry): void {
  if (entry.kind === 'directory') writer.directory(entry.name, entry.mode, entry.mtimeNs)
  else if (entry.kind === 'symlink') writer.symlink(entry.name, entry.mtimeNs, entry.target)
  else writer.file(
    entry.name,
    new Uint32Array(BigUint64Array.of(BigInt.asUintN(64, entry.mtimeNs), BigInt(entry.mode), BigInt(entry.sizeBytes), entry.fileId).buffer)
  )
}

describe('listings', () => {
  it('round-trip', () => {
    fc.assert(fc.property(anyEntries, entries => {
      const bytes = encodeListing(entries)
      expect(decodeListing(bytes)).toEqual(entries)
      expect([...readListing(bytes)]).toEqual(entries)
      expect(countListing(bytes)).toBe(entries.length)
    }), { numRuns: 300 })
  })

  it('have one encoding: whatever decodes encodes to the same bytes', () => {
    fc.assert(fc.property(anyEntries, fc.nat(), fc.nat({ max: 255 }), (entries, at, byte) => {
      const bytes = encodeListing(entries)
      bytes[at % bytes.length] = byte
      let decoded: Entry[]
      try {
        decoded = decodeListing(bytes)
      } catch {
        return
      }
      expect(encodeListing(decoded)).toEqual(bytes)
    }), { numRuns: 2000 })
  })

  it('are the same bytes if they are written one entry at a time', () => {
    const writer = new ListingWriter()
    fc.assert(fc.property(fc.array(anyEntries, { minLength: 1, maxLength: 4 }), fc.boolean(), (listings, isBroken) => {
      const written = listings.map(entries => {
        writer.begin()
        // A listing that was begun and not ended leaves no trace.
        if (isBroken) {
          writer.directory('given up' as Name, 0o755, 1n)
          writer.begin()
        }
        for (const entry of entries) writeOne(writer, entry)
        return writer.end()
      })
      const block = writer.flush()
      written.forEach(({ start, end, digestOffsets: offsets }, at) => {
        const expected = encodeListing(
          (listings[at] ?? []).map(entry => entry.kind === 'directory' ? { ...entry, digest: new Uint8Array(32) as Digest } : entry)
        )
        expect(block.slice(start, end)).toEqual(expected)
        expect(offsets).toEqual(digestOffsets(expected))
      })
    }), { numRuns: 300 })
  })

  it('are the same bytes at the boundaries of every length', () => {
    const borders = [0n, 7n, 8n, 16n, 32n].flatMap(bits => [2n ** bits - 1n, 2n ** bits, 2n ** bits + 1n])
    const times = [...borders, ...borders.map(value => -value), 2n ** 63n - 1n, -(2n ** 63n)]
    const sizes = [...borders.map(Number), Number.MAX_SAFE_INTEGER]
    const fileIds = [...borders, 2n ** 63n, 2n ** 64n - 1n]
    const writer = new ListingWriter()
    for (let length = 3; length <= 255; length++) {
      const names = ['a'.repeat(length), `${'b'.repeat(length - 2)}é`, `${'c'.repeat(length - 3)}水`]
      const entries = names.filter(name => isName(name)).map((name, at): Entry => {
        const turn = length * 3 + at
        const [mtimeNs = 0n, sizeBytes = 0, fileId = 0n] = [
          times[turn % times.length], sizes[turn % sizes.length], fileIds[turn % fileIds.length],
        ]
        return { kind: 'file', name, mtimeNs, mode: turn % 0o1000, sizeBytes, fileId }
      })
      writer.begin()
      for (const entry of entries) writeOne(writer, entry)
      const { start, end } = writer.end()
      expect(writer.flush().subarray(start, end)).toEqual(encodeListing(entries))
    }
  })

  it('are the same bytes wherever in an entry the buffer grows', () => {
    const largest: Entry = {
      kind: 'file', name: 'n' as Name, mtimeNs: -(2n ** 63n), mode: 0o777, sizeBytes: Number.MAX_SAFE_INTEGER, fileId: 2n ** 64n - 1n,
    }
    const expected = encodeListing([largest])
    for (let shift = 0; shift <= expected.length; shift++) {
      const writer = new ListingWriter()
      const written = Array.from({ length: 400 }, (_, at) => {
        writer.begin()
        writeOne(writer, at === 0 ? { ...largest, name: 'n'.repeat(1 + shift) as Name } : largest)
        return writer.end()
      })
      const block = writer.flush()
      expect(written.slice(1).filter(({ start, end }) => !equalDigests(block.subarray(start, end), expected))).toEqual([])
    }
  })

  it('are rejected wherever they are truncated', () => {
    const bytes = encodeListing([file('a'), { kind: 'symlink', name: 'b' as Name, mtimeNs: -1n, target: 'x'.repeat(300) }])
    for (let length = 0; length < bytes.length; length++) {
      expect(refusal(() => decodeListing(bytes.subarray(0, length)))).toBe('LISTING_INVALID')
    }
    expect(refusal(() => decodeListing(join([bytes, Uint8Array.of(0)])))).toBe('LISTING_INVALID')
  })

  it('are not encoded out of order or with a duplicate name', () => {
    expect(refusal(() => encodeListing([file('b'), file('a')]))).toBe('LISTING_INVALID')
    expect(refusal(() => encodeListing([file('a'), file('a')]))).toBe('LISTING_INVALID')
    expect(refusal(() => encodeListing([file('\uffee'), file('𐀀')]))).toBe('accepted')
    expect(refusal(() => encodeListing([file('𐀀'), file('\uffee')]))).toBe('LISTING_INVALID')
  })

  // A file with the name "a": its fields are name, kind, mtime, mode, size, file id.
  it.each([
    ['well formed', '91 96 a161 00 00 00 00 00', 'accepted'],
    ['a time of int64 at most', '91 96 a161 00 cf7fffffffffffffff 00 00 00', 'accepted'],
    ['a time of int64 at least', '91 96 a161 00 d38000000000000000 00 00 00', 'accepted'],
    ['the largest file id', '91 96 a161 00 00 00 00 cfffffffffffffffff', 'accepted'],
    ['the largest file', '91 96 a161 00 00 00 cf0004000000000000 00', 'accepted'],
    ['no array', '80', 'LISTING_INVALID'],
    ['2^32 - 1 entries', 'dd ffffffff', 'LISTING_INVALID'],
    ['more entries than there are bytes for', '92 96 a161 00 00 00 00 00', 'LISTING_INVALID'],
    ['a count of unusual length', 'dc 0001 96 a161 00 00 00 00 00', 'LISTING_INVALID'],
    ['a name of unusual length', '91 96 d90161 00 00 00 00 00', 'LISTING_INVALID'],
    ['a number of unusual length', '91 96 a161 00 cc00 00 00 00', 'LISTING_INVALID'],
    ['a wide number that is small', '91 96 a161 00 cf00000000ffffffff 00 00 00', 'LISTING_INVALID'],
    ['a negative number of unusual length', '91 96 a161 00 d0ff 00 00 00', 'LISTING_INVALID'],
    ['a negative number in a signed 64', '91 96 a161 00 d3ffffffff80000000 00 00 00', 'LISTING_INVALID'],
    ['a time beyond int64', '91 96 a161 00 cf8000000000000000 00 00 00', 'LISTING_INVALID'],
    ['a time that is a float', '91 96 a161 00 cb7ff8000000000000 00 00 00', 'LISTING_INVALID'],
    ['a mode with setuid', '91 96 a161 00 00 cd0800 00 00', 'LISTING_INVALID'],
    ['a negative mode', '91 96 a161 00 00 ff 00 00', 'LISTING_INVALID'],
    ['a negative size', '91 96 a161 00 00 00 ff 00', 'LISTING_INVALID'],
    ['a size beyond the limit', '91 96 a161 00 00 00 cf0004000000000001 00', 'LISTING_INVALID'],
    ['a size of 2^53', '91 96 a161 00 00 00 cf0020000000000000 00', 'LISTING_INVALID'],
    ['a size that is a float', '91 96 a161 00 00 00 cb3ff8000000000000 00', 'LISTING_INVALID'],
    ['a size that is text', '91 96 a161 00 00 00 a135 00', 'LISTING_INVALID'],
    ['a negative file id', '91 96 a161 00 00 00 00 ff', 'LISTING_INVALID'],
    ['a field too few', '91 95 a161 00 00 00 00', 'LISTING_INVALID'],
    ['a kind that is not known', '91 96 a161 03 00 00 00 00', 'LISTING_INVALID'],
    ['a digest that is short', '91 95 a161 01 00 00 c401 00', 'LISTING_INVALID'],
    ['a link to nowhere', '91 94 a161 02 00 a0', 'LISTING_INVALID'],
    ['a link with NUL', '91 94 a161 02 00 a100', 'LISTING_INVALID'],
    ['names out of order', '92 96 a162 00 00 00 00 00 96 a161 00 00 00 00 00', 'LISTING_INVALID'],
    ['a name twice', '92 96 a161 00 00 00 00 00 96 a161 00 00 00 00 00', 'LISTING_INVALID'],
    ['a name twice, once as a directory', `92 96 a161 00 00 00 00 00 95 a161 01 00 00 c420 ${'00'.repeat(32)}`, 'LISTING_INVALID'],
    ['a name that is not UTF-8', '91 96 a2c328 00 00 00 00 00', 'LISTING_INVALID'],
    ['a name that is an encoded surrogate', '91 96 a3eda080 00 00 00 00 00', 'LISTING_INVALID'],
    ['a name that is a number', '91 96 05 00 00 00 00 00', 'LISTING_INVALID'],
    ['an empty name', '91 96 a0 00 00 00 00 00', 'NAME_INVALID'],
    ['the name ..', '91 96 a22e2e 00 00 00 00 00', 'NAME_INVALID'],
    ['a path for a name', '91 96 a3612f62 00 00 00 00 00', 'NAME_INVALID'],
    ['a name with NUL', '91 96 a3610062 00 00 00 00 00', 'NAME_INVALID'],
    ['the reserved name', '91 96 a92e46696c6553796e63 00 00 00 00 00', 'NAME_INVALID'],
    ['a name of 256 bytes', `91 96 da0100 ${'61'.repeat(256)} 00 00 00 00 00`, 'NAME_INVALID'],
  ])('are judged: %s', (_, hex, code) => { expect(refusal(() => decodeListing(fromHex(hex)))).toBe(code) })

  it('take memory in proportion to the input, not to what they claim', () => {
    const before = process.memoryUsage().rss
    for (let i = 0; i < 1000; i++) refusal(() => decodeListing(fromHex('dd 001e8480 96 a161 00 00 00 00 00')))
    expect(process.memoryUsage().rss - before).toBeLessThan(64 << 20)
  })

  it('throw only FileSyncError, whatever the bytes', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 100 }), bytes => {
      expect(refusal(() => decodeListing(bytes))).toMatch(/^(accepted|LISTING_INVALID|NAME_INVALID)$/u)
      expect(refusal(() => new ListingIndex(bytes))).toMatch(/^(accepted|LISTING_INVALID)$/u)
    }), { numRuns: 2000 })
  })

  it('can contain names of every length and script', () => {
    const names = [...Array.from({ length: 255 }, (_, i) => 'x'.repeat(i + 1)), ...Array.from({ length: 127 }, (_, i) => 'é'.repeat(i + 1))]
    const entries = names.map(file)
    expect(decodeListing(encodeListing(entries))).toEqual(entries)
  })
})

describe('ListingIndex', () => {
  it('finds each entry by its index, in any order', () => {
    fc.assert(fc.property(anyEntries, fc.array(fc.nat({ max: 45 }), { maxLength: 60 }), (entries, places) => {
      const bytes = encodeListing(entries)
      const index = new ListingIndex(bytes)
      for (const place of places) expect(index.entry(bytes, place)).toEqual(entries[place])
    }))
  })

  it('finds entries of a long listing forwards, backwards and at random', () => {
    const entries = Array.from({ length: 1000 }, (_, i) => file(`f${String(i).padStart(4, '0')}`))
    const bytes = encodeListing(entries)
    const index = new ListingIndex(bytes)
    for (let i = 0; i < 1000; i++) expect(index.entry(bytes, i)?.name).toBe(entries[i]?.name)
    for (let i = 999; i >= 0; i--) expect(index.entry(bytes, i)?.name).toBe(entries[i]?.name)
    for (let i = 0; i < 1000; i++) expect(index.entry(bytes, i * 389 % 1000)?.name).toBe(entries[i * 389 % 1000]?.name)
    expect(index.entry(bytes, 1000)).toBeUndefined()
    expect(index.entry(bytes, 0xffff_ffff)).toBeUndefined()
  })
})

describe('digestOffsets', () => {
  it('finds the digests of the directories in their order', () => {
    fc.assert(fc.property(anyEntries, entries => {
      const bytes = encodeListing(entries)
      const digests = digestOffsets(bytes).map(at => bytes.slice(at, at + 32))
      expect(digests).toEqual(entries.flatMap(entry => entry.kind === 'directory' ? [entry.digest] : []))
    }))
  })
})

describe('isSymlinkTarget', () => {
  it('accepts what can be the target of a link', () => {
    for (const target of ['x', '../..', '/etc', 'a\nb', 'x'.repeat(LIMITS.symlinkTargetBytes)]) expect(isSymlinkTarget(target)).toBe(true)
    for (const target of ['', 'a\0', '\ud800', 'x'.repeat(LIMITS.symlinkTargetBytes + 1), 'é'.repeat(2048)]) {
      expect(isSymlinkTarget(target)).toBe(false)
    }
  })
})

describe('canonical integers', () => {
  it('round-trip up to 64 bits, and take the fewest bytes', () => {
    const edges = [
      0n, 0x7fn, 0x80n, 0xffn, 0x100n, 0xffffn, 0x10000n, 0xffff_ffffn, 0x1_0000_0000n, 2n ** 63n - 1n, -1n, -32n, -33n, -128n, -129n,
      -32768n, -32769n, -(2n ** 31n), -(2n ** 31n) - 1n, -(2n ** 63n),
    ]
    const sizes = [1, 1, 2, 2, 3, 3, 5, 5, 9, 9, 1, 1, 2, 2, 3, 3, 5, 5, 9, 9]
    for (const [i, value] of edges.entries()) {
      const writer = new MsgpackWriter()
      writer.int64(value)
      expect([writer.toBytes().length, new MsgpackReader(writer.toBytes()).int64()]).toEqual([sizes[i], value])
    }
    fc.assert(fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), value => {
      const writer = new MsgpackWriter()
      writer.int64(value)
      expect(new MsgpackReader(writer.toBytes()).int64()).toBe(value)
    }))
  })
})
