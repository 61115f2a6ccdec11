import { ENTRY_KINDS } from '@filesync/protocol'
import type { HashBytes, RelativePath } from '@filesync/protocol'
import { compareBytes, ListingBuilder, nameOf } from '../store/listing-cursor.ts'
import type { ListingCursor } from '../store/listing-cursor.ts'
import { FACT_BYTES } from '../store/facts.ts'
import type { StoredDirectory } from '../store/fold.ts'
import { encodeChange } from './change-log.ts'
import type { HistoryChange } from './change-log.ts'

/** An entry to record, and what became of it. */
interface RecordedEntry {
  readonly cursor: ListingCursor
  readonly fact: Uint8Array | undefined
  readonly atMs: number
  readonly folder: number
  /** Only its name is known. */
  readonly isUnknown?: boolean
}

/** All entries of a directory that changed in the same way at the same time. */
interface WholeDirectory extends StoredDirectory {
  /** Number of entries of the listing. */
  readonly entries: number
  readonly atMs: number
  readonly folder: number
}

/** A run of changes of one directory and kind, in name order. */
interface Open {
  readonly kind: HistoryChange['kind']
  readonly directory: RelativePath
  readonly isUnknown: boolean
  /** The name that was added last. */
  last: Uint8Array
  readonly entries: ListingBuilder
  readonly facts: Uint8Array[]
  readonly atMs: number[]
  readonly folders: number[]
}

/** Collects the changes of one step of a sync, to be appended to the history. */
export class HistoryBatch {
  readonly #step: number
  readonly #hash: HashBytes
  readonly #blocks: Uint8Array[] = []
  readonly #open = new Map<string, Open>()

  constructor (step: number, { hash }: { readonly hash: HashBytes }) {
    this.#step = step
    this.#hash = hash
  }

  add (kind: HistoryChange['kind'], directory: RelativePath, { cursor, fact, atMs, folder, isUnknown = false }: RecordedEntry): void {
    const key = `${kind}:${String(isUnknown)}`
    let open = this.#open.get(key)
    const name = nameOf(cursor)
    // Each block holds a listing, so its entries must be in order.
    if (open !== undefined && (open.directory !== directory || compareBytes(open.last, name) >= 0)) {
      this.#close(open)
      open = undefined
    }
    if (open === undefined) {
      open = { kind, directory, isUnknown, last: name, entries: new ListingBuilder(), facts: [], atMs: [], folders: [] }
      this.#open.set(key, open)
    }
    open.last = name
    open.entries.add(cursor.bytes.subarray(cursor.start, cursor.end))
    if (cursor.kind === ENTRY_KINDS.file && !isUnknown) open.facts.push(fact ?? new Uint8Array(FACT_BYTES))
    open.atMs.push(atMs)
    open.folders.push(folder)
  }

  /** All entries of a directory at once. */
  addDirectory (kind: HistoryChange['kind'], directory: RelativePath, whole: WholeDirectory): void {
    const { listing, facts, entries, atMs, folder } = whole
    const times = new Float64Array(entries).fill(atMs)
    const folders = new Uint16Array(entries).fill(folder)
    this.#write({ kind, isUnknown: false, directory, entries: listing, facts, atMs: times, folders })
  }

  /** The bytes to append; undefined if there are no changes to record. */
  finish (): Uint8Array | undefined {
    for (const open of this.#open.values()) this.#close(open)
    this.#open.clear()
    if (this.#blocks.length === 0) return undefined
    const whole = new Uint8Array(this.#blocks.reduce((sum, { length }) => sum + length, 0))
    let at = 0
    for (const block of this.#blocks) {
      whole.set(block, at)
      at += block.length
    }
    return whole
  }

  #close ({ kind, isUnknown, directory, entries, facts, atMs, folders }: Open): void {
    const joined = new Uint8Array(facts.length * FACT_BYTES)
    facts.forEach((fact, at) => { joined.set(fact, at * FACT_BYTES) })
    this.#write({
      kind,
      isUnknown,
      directory,
      entries: entries.finish(),
      facts: joined,
      atMs: Float64Array.from(atMs),
      folders: Uint16Array.from(folders),
    })
  }

  #write (change: Omit<HistoryChange, 'step'>): void {
    this.#blocks.push(encodeChange({ ...change, step: this.#step }, this.#hash))
  }
}
