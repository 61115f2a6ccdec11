import type { RelativePath } from '@filesync/protocol'
import type { StoredDirectory } from './fold.ts'
import type { ArchiveAge } from './archive-age.ts'
import type { Batch } from './section.ts'

/** A directory's place in the index. */
export interface DirectoryKey {
  readonly area: string
  readonly directory: RelativePath
}

/** Where an area is in its history. */
export interface AreaHistory {
  /** The number of the last sync that changed something. */
  readonly lastCount: number
  /** The last sync of which nothing is remembered any more, because all that left the mirror in it has expired. */
  readonly droppedCount: number
  readonly age: ArchiveAge
}

/** What an area remembers beside its directories. */
export interface AreaRecord {
  /** A sync is under way, or ended without tidying up: the digests of directories may not fit together. */
  readonly open: boolean
  /** Folder in staging of the last sync; the next one clears what an end at the wrong moment left in it. */
  readonly staging?: string
  /** The latest time that the last sync gave to anything, so that times rise from one sync to the next while the clock is not set back. */
  readonly lastStampMs: number
  /** Absent until the area was synced, or if its index was lost. */
  readonly history?: AreaHistory
  /** Files were moved by a sync that did not remove them from their old paths, because it ended early. */
  readonly hasHalfMoved?: true
  /** Set while the brake holds. */
  readonly halted?: {
    readonly atMs: number
    /** Files that would vanish, and those of which plain content would be replaced by noise, as far as they were counted. */
    readonly vanishing: number
    readonly spoiled?: number
    /** Files that are stored. */
    readonly of: number
    /** The root digest of the tree whose content tripped the brake, in hexadecimal. */
    readonly tree?: string
  }
  /** An operator allowed the next sync to pass the brake. */
  readonly released?: boolean
}

/** Something that was stored, of which the copy in the mirror is not as it was stored any more. */
export interface DamageRecord {
  /** `altered`: others changed it or its time. `damaged`: its content is another one. `missing`: it is gone. */
  readonly what: 'altered' | 'damaged' | 'missing'
  readonly foundAtMs: number
  /** Stamp of the sync that put something else in its place or removed it; absent for what is not mended yet. */
  readonly untilMs?: number
  /** As it was stored: its one entry, and its facts where it is a file. */
  readonly stored: StoredDirectory
}

/** One change of the index. */
export type IndexWrite =
  | { readonly put: DirectoryKey, readonly stored: StoredDirectory }
  | { readonly drop: DirectoryKey, readonly andBelow: boolean }
  | { readonly area: string, readonly record: AreaRecord }
  | { readonly area: string, readonly journal: number, readonly batch: Batch | undefined }
  | { readonly area: string, readonly path: RelativePath, readonly signature: Uint8Array | undefined }
  | { readonly area: string, readonly path: RelativePath, readonly damages: readonly DamageRecord[] }

/**
 * What the archive knows of its content: for each area and directory the listing as it is stored, the facts of its
 * files, signatures of large files, what others damaged, and the journal of a sync that is under way. It is a cache: all of it
 * but the journal and the damage can be made again from the content.
 */
export interface ArchiveIndex {
  /** Applies all writes or none; resolves when they are durable. */
  write (writes: readonly IndexWrite[]): Promise<void>
  directory (key: DirectoryKey): StoredDirectory | undefined
  listing (key: DirectoryKey): Uint8Array | undefined
  /** All directories of an area with the number of their files, each before what lies below it. With `after`, those that come behind it. */
  directories (area: string, after?: RelativePath): Iterable<{ readonly directory: RelativePath, readonly files: number }>
  areas (): string[]
  area (area: string): AreaRecord | undefined
  /** The journal of an area, oldest first. */
  journal (area: string): { readonly number: number, readonly batch: Batch }[]
  signature (area: string, path: RelativePath): Uint8Array | undefined
  /** All damage of an area, in the order of paths; of each path the oldest first. */
  damages (area: string): Iterable<{ readonly path: RelativePath, readonly records: readonly DamageRecord[] }>
  damagesAt (area: string, path: RelativePath): readonly DamageRecord[]
  close (): Promise<void>
}
