import { encodeListing, joinPath, ROOT_PATH } from '@filesync/protocol'
import type { Name, RelativePath } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import { stateAt } from '../../src/history/past-state.ts'
import type { PastStateSource } from '../../src/history/past-walk.ts'
import { FACT_BYTES, writeFact } from '../../src/store/facts.ts'
import type { FoundEntry } from '../../src/store/content-store.ts'
import { MemoryIndex } from '../../src/testing/memory-index.ts'

/** Derives a past state of an area with many files, in a process whose memory is limited, and prints how many there are. */
const [directories, files] = process.argv.slice(2).map(Number)
const MTIME_NS = 1_700_000_000_000_000_001n
const digest = hashBytes(new Uint8Array(1))
const named = (what: string, count = 0): Name[] => (
  Array.from({ length: count }, (_, i) => `${what}-with-a-usual-name-${String(i).padStart(6, '0')}` as Name)
)
const [folders, names] = [named('folder', directories), named('file', files)]
const facts = new Uint8Array(names.length * FACT_BYTES)
names.forEach((_, i) => { writeFact(facts, i * FACT_BYTES, { digest, storedAtMs: 1000, verifiedAtMs: 0, storedCount: 1 }) })
const listing = encodeListing(names.map(name => (
  { kind: 'file', name, mtimeNs: MTIME_NS, mode: 0o644, sizeBytes: 5000, fileId: 12_345_678_901n }
)))
const root = encodeListing(folders.map(name => ({ kind: 'directory', name, mtimeNs: MTIME_NS, mode: 0o755, digest })))
const index = new MemoryIndex()
await index.write([
  { put: { area: 'laptop', directory: ROOT_PATH }, stored: { listing: root, facts: new Uint8Array(0) } },
  ...folders.map(name => ({ put: { area: 'laptop', directory: joinPath(ROOT_PATH, name) }, stored: { listing, facts } })),
])
const found = (name: string, kind: FoundEntry['kind']): FoundEntry => (
  { name, kind, sizeBytes: 5000, mtimeNs: MTIME_NS, mode: 0o644, target: '', birthtimeMs: 1 }
)
const store: PastStateSource['store'] = {
  traits: { foldsNames: false, windowsNames: false },
  versions: () => Promise.resolve([]),
  history: () => Promise.resolve([]),
  areaBirthtimeMs: () => Promise.resolve(1),
  list: (_: string, directory: RelativePath) => Promise.resolve(
    directory === ROOT_PATH ? folders.map(name => found(name, 'directory')) : names.map(name => found(name, 'file')),
  ),
  find: () => Promise.resolve([]),
}
const state = await stateAt({ area: 'laptop', index, store, hash: hashBytes }, ROOT_PATH, { count: 1, ms: 5000 })
process.stdout.write(`${String(state.files.count)} files in ${String(state.directories.size)} directories`)
