import fc from 'fast-check'
import { compareNames, isName, isRelativePath, LIMITS, PROBLEMS, toDigest } from '../../src/index.ts'
import { MESSAGE_TYPES } from '../../src/wire/message-schema.ts'
import type { Digest, Entry, Message, Name, Page, ProblemCode } from '../../src/index.ts'

/** Names with everything that file systems allow and peers send: accents, astral letters, dots, blanks. */
export const anyName: fc.Arbitrary<Name> = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }).filter(isName)

const INT64 = { min: -(2n ** 63n), max: 2n ** 63n - 1n }
const mtimeNs = fc.oneof(fc.bigInt(INT64), fc.bigInt({ min: -70_000n, max: 5_000_000_000n }))
const mode = fc.integer({ min: 0, max: 0o777 })
const sizeBytes = fc.oneof(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 0, max: LIMITS.fileBytes }))

function bytes (length: number): fc.Arbitrary<Uint8Array> {
  return fc.uint8Array({ minLength: length, maxLength: length })
}

export const anyDigest: fc.Arbitrary<Digest> = bytes(32).map(value => toDigest(value) as Digest)

const anyEntry: fc.Arbitrary<Entry> = fc.oneof(
  fc.record({
    kind: fc.constant('file' as const), name: anyName, mtimeNs, mode, sizeBytes, fileId: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  }),
  fc.record({ kind: fc.constant('directory' as const), name: anyName, mtimeNs, mode, digest: anyDigest }),
  fc.record({
    kind: fc.constant('symlink' as const), name: anyName, mtimeNs,
    target: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 60 }).filter(target => !target.includes('\0') && target.isWellFormed()),
  }),
)

/** The entries of one directory: sorted, each name once. */
export const anyEntries: fc.Arbitrary<Entry[]> = fc.uniqueArray(anyEntry, { maxLength: 40, selector: entry => entry.name })
  .map(entries => entries.sort((left, right) => compareNames(left.name, right.name)))

/** The items of a page table. */
export const anyPages: fc.Arbitrary<Page[]> = fc.uniqueArray(
  fc.record({ firstName: anyName, entries: fc.integer({ min: 1, max: 5000 }), digest: anyDigest }),
  { minLength: 1, maxLength: 20, selector: page => page.firstName },
).map(pages => pages.sort((left, right) => compareNames(left.firstName, right.firstName)))

const uint32 = fc.nat({ max: 0xffff_ffff })
const count = fc.oneof(fc.nat(), fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }))
const text = fc.string({ unit: 'grapheme', maxLength: 80 })
const label = fc.string({ minLength: 1, maxLength: 64 })
const problemCode = fc.constantFrom(...Object.keys(PROBLEMS) as ProblemCode[])
const problems = fc.array(fc.record({ path: text, code: problemCode, message: text }), { maxLength: 5 })
const amount = fc.record({ files: count, bytes: count })
const reference = fc.tuple(uint32, uint32)
const task = fc.oneof(
  reference,
  fc.tuple(uint32, uint32, fc.constant('RESUME' as const), fc.integer({ min: 0, max: LIMITS.fileBytes })),
  fc.tuple(uint32, uint32, fc.constant('DELTA' as const), uint32),
  fc.tuple(uint32, uint32, fc.constant('DIGEST' as const)),
  fc.tuple(uint32, uint32, fc.constant('SPARSE' as const), fc.integer({ min: 0, max: LIMITS.fileBytes }), count),
)

const anyPath = fc.array(anyName, { maxLength: 4 }).map(names => names.join('/'))

const typed = <T extends Message['type'], R> (type: T, fields: { [K in keyof R]: fc.Arbitrary<R[K]> }): fc.Arbitrary<{ type: T } & R> =>
  fc.record({ type: fc.constant(type), ...fields }) as unknown as fc.Arbitrary<{ type: T } & R>

/** One arbitrary for each message, by its type. */
export const messagesByType: { readonly [T in Message['type']]: fc.Arbitrary<Message> } = {
  HELLO: typed(
    'HELLO',
    {
      versions: fc.array(fc.nat({ max: 0xffff }), { minLength: 1, maxLength: 16 }), features: fc.array(label, { maxLength: 8 }),
      software: text,
    }
  ),
  SERVER_STATUS: fc.oneof(
    fc.record(
      {
        type: fc.constant('SERVER_STATUS' as const), status: fc.constant('BUSY' as const), position: fc.integer({ min: 1, max: 99 }),
        estimateMs: count,
      },
      { requiredKeys: ['type', 'status', 'position'] }
    ),
    fc.record({
      type: fc.constant('SERVER_STATUS' as const), status: fc.constant('READY' as const), session: label, serverName: text, area: text,
      policy: fc.record({ mode: fc.constantFrom('mirror' as const, 'archive' as const), maxFileBytes: sizeBytes }), archiveId: label,
      cloned: fc.boolean(),
    }, { requiredKeys: ['type', 'status', 'session', 'serverName', 'area', 'policy'] }),
  ),
  CLIENT_FILES_INFO: typed('CLIENT_FILES_INFO', {
    rootDigest: anyDigest, files: fc.nat({ max: LIMITS.treeEntries }), directories: fc.nat({ max: LIMITS.treeEntries }), bytes: count,
    folders: fc.array(fc.record({ name: anyName, complete: fc.boolean(), files: fc.nat({ max: LIMITS.treeEntries }) }), { maxLength: 4 }),
    away: fc.array(anyPath.filter(path => isRelativePath(path)), { maxLength: 4 }), removed: fc.array(anyName, { maxLength: 4 }),
    problems, problemCount: count,
  }),
  LISTINGS_WANTED: typed('LISTINGS_WANTED', { directories: fc.array(reference, { maxLength: 20 }) }),
  TASKS: typed('TASKS', { first: uint32, tasks: fc.array(task, { maxLength: 20 }), last: fc.boolean() }),
  FILE_HEADER: fc.record({
    type: fc.constant('FILE_HEADER' as const), task: uint32, sizeBytes, offset: sizeBytes,
    content: fc.constantFrom('DATA' as const, 'DELTA' as const, 'NONE' as const),
  })
    .filter(header => header.offset <= header.sizeBytes),
  FILE_HOLE: typed('FILE_HOLE', { task: uint32, bytes: fc.integer({ min: 1, max: LIMITS.holeBytes }) }),
  FILE_END: typed('FILE_END', { task: uint32, digest: anyDigest }),
  FILE_PROBLEM: typed('FILE_PROBLEM', { task: uint32, code: problemCode, message: text }),
  STORED: fc.oneof(
    typed('STORED', { files: count, bytes: count }), typed('STORED', { files: count, bytes: count, renamed: count, deleted: count })
  ),
  NEXT_SYNC: typed('NEXT_SYNC', {
    inMs: count, result: fc.constantFrom('OK' as const, 'PROBLEMS' as const, 'HALTED' as const),
    stored: fc.record({ files: count, bytes: count, deleted: count, renamed: count }), problems, problemCount: count, message: text,
  }),
  PLAN: typed('PLAN', { added: amount, changed: amount, deleted: amount, renamed: count, problems, problemCount: count, obstacle: text }),
  SAFE_QUESTION: typed('SAFE_QUESTION', {
    fresh: fc.boolean(),
    files: fc.array(
      fc.record({
        path: fc.array(anyName, { minLength: 1, maxLength: 4 }).map(names => names.join('/')),
        kind: fc.constantFrom('FILE' as const, 'SYMLINK' as const), digest: anyDigest,
      }),
      { minLength: 1, maxLength: 5 }
    ),
  }),
  SAFE_ANSWER: typed('SAFE_ANSWER', {
    files: fc.array(fc.record({
      verdict: fc.constantFrom('SAFE' as const, 'ABSENT' as const, 'DIFFERENT' as const, 'ALTERED' as const, 'DAMAGED' as const),
      storedAtMs: count, verifiedAtMs: count, read: fc.constantFrom('DISK' as const, 'CACHE' as const),
    }, { requiredKeys: ['verdict'] }), { minLength: 1, maxLength: 5 }),
  }),
  SAFE_PAGES_QUESTION: typed('SAFE_PAGES_QUESTION', {
    fresh: fc.boolean(),
    pages: fc.array(
      fc.record({
        path: anyPath, first: anyName, last: anyName, files: fc.integer({ min: 1, max: LIMITS.pageEntries }), digest: anyDigest,
      }),
      { minLength: 1, maxLength: 5 }
    ),
  }),
  SAFE_PAGES_ANSWER: typed('SAFE_PAGES_ANSWER', {
    pages: fc.array(fc.record({
      runs: fc.array(fc.tuple(fc.integer({ min: 1, max: LIMITS.pageEntries }), count, count), { maxLength: 5 }),
      read: fc.constantFrom('DISK' as const, 'CACHE' as const),
    }, { requiredKeys: ['runs'] }), { minLength: 1, maxLength: 5 }),
  }),
  HISTORY_QUESTION: fc.record({
    type: fc.constant('HISTORY_QUESTION' as const), path: anyPath, what: fc.constantFrom('POINTS' as const, 'VERSIONS' as const),
    before: label, skip: count,
  }, { requiredKeys: ['type', 'path', 'what'] }),
  HISTORY_ANSWER: typed('HISTORY_ANSWER', {
    points: fc.array(fc.record({ id: label, atMs: count, added: count, replaced: count, removed: count, bytes: count }), { maxLength: 5 }),
    versions: fc.array(fc.record({
      path: anyPath, kind: fc.constantFrom('FILE' as const, 'DIRECTORY' as const, 'SYMLINK' as const), sizeBytes, untilMs: count,
      point: label,
    }, { requiredKeys: ['path', 'kind', 'sizeBytes', 'untilMs'] }), { maxLength: 5 }),
    hasMore: fc.boolean(),
  }),
  RESTORE_QUESTION: fc.oneof(
    typed('RESTORE_QUESTION', { path: anyPath }),
    typed('RESTORE_QUESTION', { path: anyPath, point: label }),
    typed('RESTORE_QUESTION', { path: anyPath, atMs: count }),
  ),
  RESTORE_ANSWER: fc.record({
    type: fc.constant('RESTORE_ANSWER' as const), point: label, atMs: count, files: fc.nat({ max: LIMITS.treeEntries }),
    directories: fc.nat({ max: LIMITS.treeEntries }), bytes: count,
    doubts: fc.array(fc.record({ path: text, message: text }), { maxLength: 3 }), doubtCount: count,
  }, { requiredKeys: ['type', 'atMs', 'files', 'directories', 'bytes', 'doubts', 'doubtCount'] }),
  CLOSE: fc.record(
    { type: fc.constant('CLOSE' as const), code: label, message: text, inMs: count }, { requiredKeys: ['type', 'code', 'message'] }
  ),
  PAIR_PROOF: fc.record(
    { type: fc.constant('PAIR_PROOF' as const), name: text, tokenId: bytes(8), mac: bytes(32) }, { requiredKeys: ['type', 'name', 'mac'] }
  ),
  PAIR_OK: typed('PAIR_OK', { serverName: text, area: text, mac: bytes(32) }),
  PAIR_DONE: fc.constant({ type: 'PAIR_DONE' }),
}

export const anyMessage: fc.Arbitrary<Message> = fc.oneof(...MESSAGE_TYPES.map(type => messagesByType[type]))

/** The same bytes in pieces, cut anywhere. */
export function pieces (whole: Uint8Array): fc.Arbitrary<Uint8Array[]> {
  return fc.array(fc.integer({ min: 1, max: Math.max(1, whole.length) }), { maxLength: 30 }).map(lengths => {
    const cut: Uint8Array[] = []
    let at = 0
    for (const length of lengths) {
      if (at >= whole.length) break
      cut.push(whole.subarray(at, at + length))
      at += length
    }
    if (at < whole.length) cut.push(whole.subarray(at))
    return cut
  })
}
