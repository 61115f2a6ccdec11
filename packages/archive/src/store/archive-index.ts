import type { Digest, Name, RelativePath } from '@filesync/protocol'
import type { StoredDirectory } from './fold.ts'
import type { FoundPage, StoredPage, StoredPages, WrittenPage } from './stored-pages.ts'
import type { ArchiveAge } from './archive-age.ts'
import type { Batch } from './section.ts'

/** Key of a directory in the index. */
export interface DirectoryKey {
  readonly area: string
  readonly directory: RelativePath
}

/** How far the history of an area goes. */
export interface AreaHistory {
  /** Number of the last sync that changed something. */
  readonly lastCount: number
  /**
   * Number of the last sync after which the area was in the state of its last point. What later syncs changed, which ended early, belongs
   * to the next point.
   */
  readonly settledCount: number
  /** Number of the last sync whose history was dropped, because everything that left the mirror in it has expired. */
  readonly droppedCount: number
  readonly age: ArchiveAge
}

/** What the index records of an area besides its directories. */
export interface AreaRecord {
  /** A sync is in progress, or ended without completing: the digests of directories may be inconsistent. */
  readonly open: boolean
  /** Staging folder of the last sync; the next sync removes what a crash left in it. */
  readonly staging?: string
  /** The latest time that the last sync recorded, so that times increase from sync to sync unless the clock is set back. */
  readonly lastStampMs: number
  /** Absent before the first sync, and if the index was lost. */
  readonly history?: AreaHistory
  /** A sync that ended early stored moved files at their new paths without removing them from their old ones. */
  readonly hasHalfMoved?: true
  /** Set while the brake holds. */
  readonly halted?: {
    readonly atMs: number
    /** Files that would leave the mirror. */
    readonly vanishing: number
    /** Files whose plain content noise would replace, as far as they were counted. */
    readonly spoiled?: number
    /** Files in the mirror, or in the folder. */
    readonly of: number
    /** Set if the files of one folder alone are too many. */
    readonly folder?: string
    /** The folders that are held; absent if the area is one tree. A sync of other folders does not end it. */
    readonly folders?: readonly string[]
    /** Root digest of the tree that tripped the brake, in hexadecimal. */
    readonly tree?: string
  }
  /** The operator allowed the next sync to pass the brake. */
  readonly released?: boolean
  /** The folders that were held when the operator allowed it: a sync of others neither passes nor uses it up. Absent for all. */
  readonly releasedFor?: readonly string[]
  /** The operator removed the area: its versions expire even if the archive keeps all others. The next sync clears it. */
  readonly retired?: boolean
  /**
   * The folders that another machine stored and the client continues: their file ids mean nothing. The first complete sync of a folder
   * takes it out.
   */
  readonly inherited?: readonly string[]
  /** The name that the area is being given; see `renameArea`. */
  readonly renamingTo?: RelativePath
}

/** A stored entry whose copy in the mirror no longer is what was stored. */
export interface DamageRecord {
  /** `altered`: its size or mtime was changed. `damaged`: its content no longer matches its digest. `missing`: it is gone. */
  readonly what: 'altered' | 'damaged' | 'missing'
  readonly foundAtMs: number
  /** Time of the sync that replaced or removed it; absent if it is not repaired yet. */
  readonly untilMs?: number
  /** The entry as stored: a listing of one entry, and the facts if it is a file. */
  readonly stored: StoredDirectory
}

/** Other content of a page with the same names. */
export interface RewrittenPage {
  readonly firstName: Name
  readonly stored: StoredDirectory
}

/** One change of the index. */
export type IndexWrite =
  /** Replaces a whole directory. A long one is cut into pages; only pages that differ are written. */
  | { readonly put: DirectoryKey, readonly stored: StoredDirectory }
  /**
   * Replaces pages of a directory of more than `LIMITS.pageEntries` entries. `leaves` are all of its pages afterwards, cut as
   * `leafPages` would: those that bring content are written, the others must be in the index and stay. Fails if they are not.
   */
  | { readonly patch: DirectoryKey, readonly leaves: readonly (StoredPage | WrittenPage)[] }
  /** Replaces the content of some pages of such a directory. Their names stay, so the other pages do too. Fails if it has no such page. */
  | { readonly rewrite: DirectoryKey, readonly pages: readonly RewrittenPage[] }
  | { readonly drop: DirectoryKey, readonly recursive: boolean }
  | { readonly area: string, readonly record: AreaRecord }
  /** Moves everything that is recorded of an area to another name, and ends its renaming. */
  | { readonly area: string, readonly renamedTo: string }
  /** Removes everything that is recorded of an area. */
  | { readonly area: string, readonly forgotten: true }
  | { readonly area: string, readonly journal: number, readonly batch: Batch | undefined }
  | { readonly area: string, readonly path: RelativePath, readonly signature: Uint8Array | undefined }
  | { readonly area: string, readonly path: RelativePath, readonly damages: readonly DamageRecord[] }

/**
 * What the archive knows of its content: for each area and directory the listing as stored, the facts of its files, signatures of
 * large files, known damage, and the journal of a sync in progress. It is a cache: everything except the journal and the damage can be
 * rebuilt from the content.
 */
export interface ArchiveIndex {
  /** Applies all writes atomically; resolves when they are durable. */
  write (writes: readonly IndexWrite[]): Promise<void>
  /**
   * How many bytes one call of `write` should replace at most, if its writes need not be atomic: what it replaces takes space until it is
   * over.
   */
  readonly stepBytes: number
  /** A whole directory: joined if it has several pages. */
  directory (key: DirectoryKey): StoredDirectory | undefined
  /** As `directory`, without the facts. */
  listing (key: DirectoryKey): Uint8Array | undefined
  /** A directory of one page, or the pages of a longer one, which are not read. It costs no more than `directory`. */
  stored (key: DirectoryKey): StoredDirectory | StoredPages | undefined
  /** The pages of a directory, which are not read if there are several. */
  pages (key: DirectoryKey): StoredPages | undefined
  /** The page for a name. */
  page (key: DirectoryKey, name: Name): FoundPage | undefined
  /** The digest of a directory, computed without reading its pages if there are several. */
  digest (key: DirectoryKey): Digest | undefined
  /**
   * All directories of an area with the number of their files, parents before children. With `after`, those that follow it. The index may
   * change meanwhile: directories that are not reached yet are given as they are then.
   */
  directories (area: string, after?: RelativePath): Iterable<{ readonly directory: RelativePath, readonly files: number }>
  areas (): string[]
  area (area: string): AreaRecord | undefined
  /** The journal of an area, oldest first. */
  journal (area: string): { readonly number: number, readonly batch: Batch }[]
  signature (area: string, path: RelativePath): Uint8Array | undefined
  /** All damage of an area, ordered by path; for each path the oldest first. */
  damages (area: string): Iterable<{ readonly path: RelativePath, readonly records: readonly DamageRecord[] }>
  damagesAt (area: string, path: RelativePath): readonly DamageRecord[]
  close (): Promise<void>
}
