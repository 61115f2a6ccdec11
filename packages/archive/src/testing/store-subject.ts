import { DIGEST_BYTES, encodeListing, ROOT_PATH } from '@filesync/protocol'
import type { Entry, HashBytes, Name, RelativePath } from '@filesync/protocol'
import { ensure } from '@filesync/protocol/testing'
import type { ContentStore, PackRequest } from '../store/content-store.ts'
import { FACT_BYTES, writeFact } from '../store/facts.ts'
import { NOT_STAGED } from '../store/section.ts'
import type { Batch, Section } from '../store/section.ts'

/** An empty store, and what the cases need to test it. */
export interface StoreSubject {
  readonly store: ContentStore
  readonly hash: HashBytes
  /** A directory to restore to, outside the store, and the text of files in it. */
  readonly restoreTo: string
  readonly restoredText: (path: string) => string | undefined
}

export const AREA = 'laptop'
export const STAGING = 'folder'
export const MTIME_NS = 1_600_000_000_000_000_000n

export function path (text: string): RelativePath {
  return text as RelativePath
}

export function name (text: string): Name {
  return text as Name
}

export function bytesOf (content: string | Uint8Array): Uint8Array<ArrayBuffer> {
  return typeof content === 'string' ? new TextEncoder().encode(content) : new Uint8Array(content)
}

export function fileEntry (text: string, sizeBytes: number): Entry {
  return { kind: 'file', name: name(text), sizeBytes, mtimeNs: MTIME_NS, mode: 0o644, fileId: 1n }
}

export type Contents = Readonly<Record<string, string | Uint8Array>>

/** Files of the root as one section; contents are numbered from 0 in the order of the names. */
export function sectionOf ({ hash }: StoreSubject, files: Contents): Section {
  const names = Object.keys(files).sort()
  const facts = new Uint8Array(names.length * FACT_BYTES)
  names.forEach((name, i) => {
    writeFact(facts, i * FACT_BYTES, { digest: hash(bytesOf(files[name] ?? '')), storedAtMs: 1, verifiedAtMs: 0, storedCount: 1 })
  })
  const entries = encodeListing(names.map(name => fileEntry(name, bytesOf(files[name] ?? '').length)))
  return { directory: ROOT_PATH, entries, staged: Uint32Array.from(names, (_, i) => i), facts }
}

export function packOf (subject: StoreSubject, files: Contents): PackRequest {
  const section = sectionOf(subject, files)
  const contents = Object.keys(files).sort().map(name => bytesOf(files[name] ?? ''))
  const pack = new Uint8Array(contents.reduce((sum, { length }) => sum + DIGEST_BYTES + length, 0))
  let at = 0
  const offsets = contents.map(content => {
    pack.set(subject.hash(content), at)
    pack.set(content, at + DIGEST_BYTES)
    at += DIGEST_BYTES + content.length
    return at - content.length
  })
  const lengths = Uint32Array.from(contents, ({ length }) => length)
  return { staging: STAGING, pack, sections: [{ section, offsets: Uint32Array.from(offsets), lengths }] }
}

export function batchOf (sections: readonly Section[], stampMs: number): Batch {
  return { staging: STAGING, count: stampMs / 1000, stampMs, begunMs: stampMs, sections, removals: [] }
}

/** Stages and places files in the root. */
export async function put (subject: StoreSubject, files: Contents, stampMs: number): Promise<void> {
  const { store } = subject
  ensure((await store.stagePack(packOf(subject, files))).length === 0, 'a pack was not staged')
  ensure((await store.place(AREA, batchOf([sectionOf(subject, files)], stampMs), 'first')).failures.length === 0, 'a batch was not placed')
  await store.makeDurable()
}

export async function names (store: ContentStore, directory = ''): Promise<string> {
  return (await store.list(AREA, path(directory))).map(({ name }) => name).sort().join()
}

export async function holds ({ store, hash }: StoreSubject, name: string, content: string | Uint8Array): Promise<boolean> {
  const [digest] = await store.digests(AREA, ROOT_PATH, [name])
  const wanted = hash(bytesOf(content))
  return digest?.every((byte, i) => byte === wanted[i]) === true
}

export function structure (entries: readonly Entry[]): Section {
  const staged = new Uint32Array(entries.length).fill(NOT_STAGED)
  return { directory: ROOT_PATH, entries: encodeListing(entries), staged, facts: new Uint8Array(0) }
}
