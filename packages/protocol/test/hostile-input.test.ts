import { describe, expect, it } from 'vitest'
import { encodeValue } from '../src/encoding/codec.ts'
import {
  checkRelativePath, checkWindowsName, decodeListing, decodeMessage, encodeFrame, encodeListing, encodeParts, foldKey, FrameDecoder, LIMITS,
  ListingRequester, PartsDecoder, readPack,
} from '../src/index.ts'
import { parseMessage } from '../src/wire/message-schema.ts'
import type { Entry, Name } from '../src/index.ts'
import { hashBytes } from '../src/node/index.ts'
import { fromHex, refusal } from './support/refusal.ts'

// What a hostile or broken peer sends, in one place: every row names the code that ends the session, or the reason for
// which a path is refused. What only a session, a transfer or an archive can judge is tested there.

const path = (given: unknown): string => checkRelativePath(given) ?? 'accepted'
const windows = (given: string): string => given.split('/').map(name => checkWindowsName(name as Name))
  .find(fault => fault !== undefined) ?? 'accepted'
const listing = (hex: string): string => refusal(() => decodeListing(fromHex(hex)))
const message = (hex: string): string => refusal(() => decodeMessage(fromHex(hex)))
const stream = (hex: string): string => refusal(() => new FrameDecoder().push(fromHex(hex)))
const header = (field: object): string => refusal(() => parseMessage({
  type: 'FILE_HEADER', task: 0, sizeBytes: 1, offset: 0, content: 'DATA', ...field,
}))
const stored = (value: unknown): string => refusal(() => decodeMessage(encodeValue({ type: 'STORED', files: value, bytes: 0 })))

describe('paths', () => {
  it.each([
    ['', 'NAME_EMPTY'], ['/etc/passwd', 'NAME_EMPTY'], ['..', 'NAME_DOTS'], ['../x', 'NAME_DOTS'], ['a/../../x', 'NAME_DOTS'],
    ['a/..', 'NAME_DOTS'],
    ['./a', 'NAME_DOTS'], ['a//b', 'NAME_EMPTY'], ['a/', 'NAME_EMPTY'], ['a\0b', 'NAME_CONTROL'], ['a\nb', 'NAME_CONTROL'],
    ['\u001b]0;x\u0007', 'NAME_CONTROL'],
    ['a\u202etxt.exe', 'NAME_CONTROL'], ['a\ud800', 'NAME_NOT_UNICODE'], ['x'.repeat(256), 'NAME_TOO_LONG'],
    ['é'.repeat(128), 'NAME_TOO_LONG'],
    ['x/'.repeat(512) + 'y', 'PATH_TOO_LONG'], ['a/'.repeat(64) + 'a', 'PATH_TOO_DEEP'],
    ['.filesync/staging/x', 'NAME_RESERVED'], ['.FileSync', 'NAME_RESERVED'], ['.ﬁlesync', 'NAME_RESERVED'],
    [42, 'NAME_NOT_TEXT'], [null, 'NAME_NOT_TEXT'], [['a'], 'NAME_NOT_TEXT'], [Buffer.from('a'), 'NAME_NOT_TEXT'],
    [{ toString: () => 'a' }, 'NAME_NOT_TEXT'],
  ])('1-19, case %#', (given, fault) => { expect(path(given)).toBe(fault) })

  it('15: bytes that are not UTF-8 end the session where a listing has them', () => {
    expect(listing('91 96 a2c328 00 00 00 00 00')).toBe('LISTING_INVALID')
  })

  it.each([
    'a\\b', '..\\..\\x', 'C:\\x', 'C:x', '\\\\srv\\share', '\\\\?\\C:\\x', 'CON', 'nul.tar.gz', 'COM¹.log', 'aux .txt', 'CONIN$', 'x.',
    'x ', 'f:stream', 'f::$DATA', 'PROGRA~1',
  ])('20-22: %s where the archive is on Windows', given => { expect(windows(given)).toBe('NAME_WINDOWS') })

  it.each([
    ['A', 'a'], ['é'.normalize('NFC'), 'é'.normalize('NFD')], ['straße', 'STRASSE'], ['ﬁle', 'file'], ['\u212a', 'k'],
  ])('23: %s and %s are one name where the file system folds', (left, right) => {
    expect(foldKey(left)).toBe(foldKey(right))
  })

  it('23: a name twice, or as a file and as a directory, ends the session', () => {
    expect(listing('92 96 a161 00 00 00 00 00 96 a161 00 00 00 00 00')).toBe('LISTING_INVALID')
    expect(listing(`92 96 a161 00 00 00 00 00 95 a161 01 00 00 c420 ${'00'.repeat(32)}`)).toBe('LISTING_INVALID')
  })

  it.each(['..a', 'a..', '-rf', '$(id)', '%2e%2e/x', '__proto__/x', 'constructor', '.git/config', 'a\\b', 'CON'])(
    '24: %s is accepted', given => { expect(path(given)).toBe('accepted') }
  )
})

describe('frames and encoding', () => {
  it.each([
    ['37: a length of 2^32 - 1', stream, 'ffffffff 01 00 0000', 'FRAME_TOO_LARGE'],
    ['37: a length of 0', stream, '00000000 01 00 0000', 'FRAME_MALFORMED'],
    ['38: an array of 2^32 - 1', message, 'dd ffffffff', 'ENCODING_MALFORMED'],
    ['38: bytes of 2^32 - 1', message, 'c6 ffffffff', 'ENCODING_MALFORMED'],
    ['38: 20 arrays in each other', message, '91'.repeat(20), 'ENCODING_TOO_DEEP'],
    ['38: a record', message, 'd4 72 40', 'ENCODING_FORBIDDEN'],
    ['38: a set', message, 'd4 73 00', 'ENCODING_FORBIDDEN'],
    ['38: an error', message, 'd4 65 00', 'ENCODING_FORBIDDEN'],
    ['38: a reference', message, 'd6 69 00000000', 'ENCODING_FORBIDDEN'],
    ['38: a big integer', message, 'd4 42 01', 'ENCODING_FORBIDDEN'],
    ['38: 0xc1', message, 'c1', 'ENCODING_FORBIDDEN'],
    ['38: a byte after the value', message, '80 00', 'ENCODING_MALFORMED'],
    ['38: a map with __proto__', message, '81 a9 5f5f70726f746f5f5f 80', 'ENCODING_FORBIDDEN'],
    ['38: a key twice', message, '82 a16100 a16100', 'ENCODING_FORBIDDEN'],
  ] as const)('%s', (_, judge, hex, code) => { expect(judge(hex)).toBe(code) })

  it('38: five megabytes of arrays in each other do not fit a frame, and do no harm without one', () => {
    expect(refusal(() => encodeFrame('MESSAGE', [new Uint8Array(5_000_000)]))).toBe('FRAME_TOO_LARGE')
    expect(refusal(() => decodeMessage(new Uint8Array(5_000_000).fill(0x91)))).toBe('ENCODING_TOO_DEEP')
  })

  it.each([-1, 2 ** 53, 1.5, NaN, Infinity, '5', 2n ** 60n])('39: a size of %s', value => {
    expect(header({ sizeBytes: value })).toBe('MESSAGE_INVALID')
    expect(stored(value)).toBe('MESSAGE_INVALID')
  })

  it('39: a size of -1, 2^53 or 1.5 in a listing', () => {
    for (const hex of ['ff', 'cf0020000000000000', 'cb3ff8000000000000']) {
      expect(listing(`91 96 a161 00 00 00 ${hex} 00`)).toBe('LISTING_INVALID')
    }
  })

  it('40: times before 1970 are times; no number, or one beyond 64 bits such as the year 9999, is refused', () => {
    const at = (hex: string): string => listing(`91 96 a161 00 ${hex} 00 00 00`)
    expect([at('00'), at('ff'), at('d38000000000000000')]).toEqual(['accepted', 'accepted', 'accepted'])
    expect([
      at('cb7ff8000000000000'), at('cf8000000000000000'), at('cb4ddc9ef8fdbf8b00'),
    ]).toEqual(['LISTING_INVALID', 'LISTING_INVALID', 'LISTING_INVALID'])
  })
})

describe('what a session sends', () => {
  it('41: a packed file of more bytes than are there, or more than may be packed', () => {
    expect(refusal(() => readPack(fromHex(`00000000 00000002 ${'00'.repeat(32)} 01`)))).toBe('FRAME_MALFORMED')
    expect(refusal(() => readPack(fromHex(`00000000 00040001 ${'00'.repeat(32)} 01`)))).toBe('FRAME_MALFORMED')
  })

  it('43: a type that is not known is skipped, so that newer peers can talk to this one', () => {
    expect(parseMessage({ type: 'COMMIT' })).toBeUndefined()
  })

  it('44: a listing with one entry more than allowed', () => {
    const count = LIMITS.listingEntries + 1
    const claimed = new Uint8Array(5 + count * 6)
    claimed.set([0xdd, count >>> 24, count >>> 16 & 255, count >>> 8 & 255, count & 255])
    expect(refusal(() => decodeListing(claimed))).toBe('LISTING_INVALID')
  })

  it('44: a listing longer than allowed', () => {
    const [payload = new Uint8Array(0)] = encodeParts([{ number: 0, bytes: new Uint8Array(100) }], 1000)
    new DataView(payload.buffer).setUint32(4, LIMITS.listingBytes + 1)
    expect(refusal(() => new PartsDecoder(LIMITS.listingBytes).push(payload))).toBe('LIMIT_EXCEEDED')
  })

  it('44: listings that nobody asked for, however many', () => {
    const empty = encodeListing([])
    const questions = new ListingRequester(hashBytes(empty), hashBytes)
    questions.nextRequest()
    expect(refusal(() => questions.accept({ number: 0, bytes: empty }))).toBe('accepted')
    expect(refusal(() => questions.accept({ number: 1, bytes: empty }))).toBe('MESSAGE_UNEXPECTED')
  })

  it('44: more tasks in a page, or more questions, than allowed', () => {
    const wanted = (count: number): string => refusal(() => parseMessage({
      type: 'LISTINGS_WANTED', directories: new Array<number[]>(count).fill([0, 0]),
    }))
    expect([wanted(LIMITS.listingsPerRequest), wanted(LIMITS.listingsPerRequest + 1)]).toEqual(['accepted', 'MESSAGE_INVALID'])
  })

  it('44: more files than a tree may have', () => {
    const info = {
      type: 'CLIENT_FILES_INFO', rootDigest: new Uint8Array(32), files: 0, directories: 0, bytes: 0, folders: [], away: [], removed: [],
      problems: [], problemCount: 0,
    }
    expect(refusal(() => parseMessage(info))).toBe('accepted')
    const folder = { name: 'a', complete: true, files: 0 }
    const changes = [
      { files: LIMITS.treeEntries + 1 }, { directories: LIMITS.treeEntries + 1 }, { rootDigest: new Uint8Array(31) },
      { folders: [{ ...folder, name: 'a/b' }] }, { folders: [{ ...folder, name: '..' }] }, { folders: [{ name: 'a', files: 0 }] },
      { folders: new Array<typeof folder>(LIMITS.foldersPerClient + 1).fill(folder) },
      { away: [''] }, { away: ['a/../b'] }, { away: new Array<string>(LIMITS.awayDirectories + 1).fill('a') },
      { removed: ['.filesync'] }, { removed: new Array<string>(LIMITS.foldersPerClient + 1).fill('a') },
    ]
    for (const change of changes) {
      expect(refusal(() => parseMessage({ ...info, ...change }))).toBe('MESSAGE_INVALID')
    }
  })

  it('a mode with set-user-ID or a file type in it', () => {
    const entry = (mode: number): Uint8Array => encodeListing([{
      kind: 'file', name: 'a' as Name, mtimeNs: 0n, mode, sizeBytes: 0, fileId: 0n,
    } satisfies Entry])
    expect(refusal(() => decodeListing(entry(0o777)))).toBe('accepted')
    for (const mode of [0o4755, 0o7777, 0o100644]) expect(refusal(() => decodeListing(entry(mode)))).toBe('LISTING_INVALID')
  })
})
