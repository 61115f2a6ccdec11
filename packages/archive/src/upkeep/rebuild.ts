import { checkJoin, compareNames, encodeListing, equalDigests, joinPath, readListing, ROOT_PATH } from '@filesync/protocol'
import type { Clock, Digest, Entry, HashBytes, Name, RelativePath } from '@filesync/protocol'
import type { ArchiveIndex } from '../store/archive-index.ts'
import { isNamed } from '../store/content-store.ts'
import type { ContentStore, NamedEntry } from '../store/content-store.ts'
import { openDamageAt } from '../store/damage.ts'
import type { Damage } from '../store/damage.ts'
import { FACT_BYTES, writeFact } from '../store/facts.ts'
import { EMPTY_DIRECTORY } from '../store/fold.ts'
import { findHistory } from '../history/find-history.ts'
import { unknownFile } from '../store/unknown-entry.ts'

export interface Rebuild {
  readonly area: string
  readonly index: ArchiveIndex
  readonly store: ContentStore
  readonly hash: HashBytes
  readonly clock: Clock
  readonly signal: AbortSignal
}

/** Files read per request, so that others can use the store in between. */
const FILES_AT_ONCE = 64

interface Rebuilt {
  readonly digest: Digest
  readonly files: number
  readonly bytes: number
}

/** Rebuilds the index of an area by reading all of its content. File ids are lost, so the next sync recognizes no moved files. */
export async function rebuildIndex (rebuild: Rebuild): Promise<{ readonly files: number, readonly bytes: number }> {
  const { area, index } = rebuild
  const record = index.area(area)
  const history = record?.history === undefined ? await findHistory(rebuild) : {}
  await index.write([
    { drop: { area, directory: ROOT_PATH }, recursive: false },
    ...[...index.directories(area)].map(({ directory }) => ({ drop: { area, directory }, recursive: true })),
  ])
  const { files, bytes } = await readDirectory(rebuild, ROOT_PATH)
  // Last: an area without a record is rebuilt, so an interrupted rebuild starts over.
  await index.write([{ area, record: { lastStampMs: 0, ...record, ...history, open: false } }])
  return { files, bytes }
}

/**
 * Reads a folder that others put into the mirror of an area into the index, whose other entries stay as they are. If it is interrupted,
 * the index does not have the folder. Does nothing if there is no such directory.
 */
export async function indexFolder (rebuild: Rebuild, folder: Name): Promise<{ readonly files: number, readonly bytes: number }> {
  const { area, index, store } = rebuild
  const directory = joinPath(ROOT_PATH, folder)
  const found = (await store.list(area, ROOT_PATH)).find(({ kind, name }) => kind === 'directory' && name === folder)
  if (found === undefined) return { files: 0, bytes: 0 }
  await index.write([{ drop: { area, directory }, recursive: true }])
  const { digest, files, bytes } = await readDirectory(rebuild, directory)
  const { listing, facts } = index.directory({ area, directory: ROOT_PATH }) ?? EMPTY_DIRECTORY
  const { mtimeNs, mode } = found
  const entries = [...readListing(listing)].filter(({ name }) => name !== folder)
  entries.push({ kind: 'directory', name: folder, mtimeNs, mode, digest })
  entries.sort((a, b) => compareNames(a.name, b.name))
  await index.write([{ put: { area, directory: ROOT_PATH }, stored: { listing: encodeListing(entries), facts } }])
  return { files, bytes }
}

async function readDirectory (rebuild: Rebuild, directory: RelativePath): Promise<Rebuilt> {
  const { area, index, store, hash, clock } = rebuild
  rebuild.signal.throwIfAborted()
  const found = (await store.list(area, directory)).filter(isNamed)
    .filter(({ name }) => checkJoin(directory, name) === undefined)
    .sort((a, b) => compareNames(a.name, b.name))
  const files = found.filter(entry => entry.kind === 'file')
  const digestOf = new Map<string, Digest | undefined>()
  for (let at = 0; at < files.length; at += FILES_AT_ONCE) {
    rebuild.signal.throwIfAborted()
    const names = files.slice(at, at + FILES_AT_ONCE).map(file => file.name)
    const digests = await store.digests(area, directory, names)
    names.forEach((name, i) => { digestOf.set(name, digests[i]) })
  }
  const entries: Entry[] = []
  const known: { readonly digest: Digest, readonly storedAtMs: number }[] = []
  const totals = { files: 0, bytes: 0 }
  const nowMs = clock.nowMs()
  for (const entry of found) {
    if (entry.kind === 'directory') {
      const below = await readDirectory(rebuild, joinPath(directory, entry.name))
      totals.files += below.files
      totals.bytes += below.bytes
      entries.push({ kind: 'directory', name: entry.name, mtimeNs: entry.mtimeNs, mode: entry.mode, digest: below.digest })
      continue
    }
    const digest = digestOf.get(entry.name)
    const path = joinPath(directory, entry.name)
    const described = isStillDamaged(openDamageAt(index, area, path), digest)
      ? unknownFile({ kind: 'file', name: entry.name, sizeBytes: entry.sizeBytes })
      : describe(entry, digest)
    if (described === undefined) continue
    entries.push(described)
    if (described.kind !== 'file' || digest === undefined) continue
    known.push({ digest, storedAtMs: entry.birthtimeMs === 0 ? nowMs : Math.min(entry.birthtimeMs, nowMs) })
    totals.files++
    totals.bytes += described.sizeBytes
  }
  const facts = new Uint8Array(known.length * FACT_BYTES)
  known.forEach((fact, i) => { writeFact(facts, i * FACT_BYTES, { ...fact, verifiedAtMs: nowMs, storedCount: 0 }) })
  const listing = encodeListing(entries)
  await index.write([{ put: { area, directory }, stored: { listing, facts } }])
  return { digest: hash(listing), ...totals }
}

/** Whether a file still has the known damage; it must not be recorded as what was stored. */
function isStillDamaged (damage: Damage | undefined, digest: Digest | undefined): boolean {
  return damage?.fact !== undefined && digest !== undefined && !equalDigests(damage.fact.digest, digest)
}

function describe (entry: NamedEntry, digest: Digest | undefined): Entry | undefined {
  const { name, kind, sizeBytes, mtimeNs, mode, target } = entry
  if (kind === 'symlink') return { kind, name, mtimeNs, target }
  if (kind !== 'file' || digest === undefined) return undefined
  return { kind, name, sizeBytes, mtimeNs, mode, fileId: 0n }
}
