/** `pnpm run vectors`: writes the vector files that do not exist yet. See README.md. */
import { existsSync, writeFileSync } from 'node:fs'
import fc from 'fast-check'
import { MESSAGE_TYPES } from '../../src/wire/message-schema.ts'
import { LIMITS } from '../../src/limits.ts'
import type { Entry, Message, Name } from '../../src/index.ts'
import { anyDigest, anyEntries, anyPages, messagesByType } from '../support/arbitrary.ts'
import { FORMATS } from './formats.ts'
import { REFUSED } from './refused.ts'
import { toJson } from './value.ts'

const SEED = 20_261_122
const sample = <T>(arbitrary: fc.Arbitrary<T>, count: number): T[] => fc.sample(arbitrary, { seed: SEED, numRuns: count })
const bytes = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => i)
const [digest = bytes(32)] = sample(anyDigest, 1)
const entries: Entry[][] = [
  [],
  [{ kind: 'file', name: 'a' as Name, mtimeNs: 0n, mode: 0, sizeBytes: 0, fileId: 0n }],
  [
    { kind: 'directory', name: 'photos' as Name, mtimeNs: 1_700_000_000_123_456_789n, mode: 0o755, digest: digest as never },
    { kind: 'symlink', name: 'zuletzt' as Name, mtimeNs: -1n, target: 'photos/Größe.jpg' },
    { kind: 'file', name: '\uffee' as Name, mtimeNs: -(2n ** 63n), mode: 0o777, sizeBytes: 2 ** 50, fileId: 2n ** 64n - 1n },
    { kind: 'file', name: '𐀀' as Name, mtimeNs: 2n ** 63n - 1n, mode: 0o644, sizeBytes: 4_294_967_296, fileId: 4_294_967_295n },
  ],
  ...sample(anyEntries, 20),
]
const maxUint32 = 0xffff_ffff
/** Optional fields and rare forms, which the samples miss or may miss. */
const rareMessages: Message[] = [
  {
    type: 'SERVER_STATUS',
    status: 'READY',
    session: 's1',
    serverName: 'attic',
    area: 'laptop',
    policy: { mode: 'archive', maxFileBytes: LIMITS.fileBytes },
    archiveId: '0123456789abcdef0123456789abcdef',
  },
  { type: 'TASKS', first: 0, tasks: [[0, 1, 'SPARSE', 0, 0], [maxUint32, maxUint32, 'SPARSE', LIMITS.fileBytes, 2 ** 53 - 1]], last: true },
  { type: 'FILE_HOLE', task: 0, bytes: 1 },
  { type: 'HISTORY_QUESTION', path: '', what: 'POINTS' },
  { type: 'HISTORY_QUESTION', path: 'photos/a.jpg', what: 'VERSIONS', skip: 512 },
  { type: 'RESTORE_QUESTION', path: '' },
  { type: 'RESTORE_QUESTION', path: 'photos', point: 'p17' },
  { type: 'FILE_HOLE', task: maxUint32, bytes: LIMITS.holeBytes },
]
const nonce = 'abcdefghijklmn-_'
const offer = { v: 2, legacyPort: 0, tlsPort: 40_123, idPrefix: '0123456789ABCDEF', nonce }

const VALID: Readonly<Record<string, readonly unknown[]>> = {
  frames: [
    [{ type: 'HEARTBEAT', flags: 0, payload: bytes(0) }],
    [
      { type: 'MESSAGE', flags: 0, payload: bytes(1) },
      { type: 'DATA', flags: 1, payload: bytes(3) },
      { type: 'HEARTBEAT', flags: 0, payload: bytes(0) },
    ],
    ...['LISTINGS', 'PACK', 'DELTA', 'SIGNATURE', 'DIGESTS'].map(type => [{ type, flags: 0, payload: bytes(2) }]),
  ],
  digests: [[{ task: 0, digest: bytes(32) }], [{ task: 0xffff_ffff, digest }, { task: 1, digest: bytes(32) }]],
  messages: [...MESSAGE_TYPES.flatMap(type => sample(messagesByType[type], 6)), ...rareMessages],
  listings: entries,
  tables: [[{ firstName: 'a' as Name, entries: 1, digest: bytes(32) as never }], ...sample(anyPages, 10)],
  discovers: [{ v: 1 }, { v: 2, nonce, want: 'sync' }, { v: 2, nonce, want: 'pair' }],
  offers: [{ v: 1, legacyPort: 5000 }, { ...offer, pairing: false }, { ...offer, legacyPort: 65_535, pairing: true }],
  parts: [
    [],
    [{ number: 0, bytes: bytes(1) }],
    [{ number: 7, bytes: bytes(0) }, { number: maxUint32, bytes: bytes(200) }, { number: 8, bytes: bytes(30) }],
  ],
  packs: [
    [],
    [{ task: 0, digest: bytes(32), content: bytes(0) }],
    [{ task: maxUint32, digest: bytes(32), content: bytes(5) }, { task: 1, digest, content: bytes(1) }],
  ],
}

for (const [name, format] of Object.entries(FORMATS)) {
  const file = new URL(`${name}.json`, import.meta.url)
  if (existsSync(file)) continue
  const valid = (VALID[name] ?? []).map(value => ({ hex: Buffer.from(format.encode(value)).toString('hex'), value: toJson(value) }))
  writeFileSync(file, lines([...valid, ...(REFUSED[name] ?? [])]))
}

function lines (vectors: readonly unknown[]): string {
  return `[\n${vectors.map(vector => `  ${JSON.stringify(vector)}`).join(',\n')}\n]\n`
}
