import {
  encodeListing, FileSyncError, foldKey, joinPath, pathNames, problem, readListing, ROOT_PATH, splitFolder,
} from '@filesync/protocol'
import type { Entry, Name, Problem, RelativePath } from '@filesync/protocol'
import type { ArchiveIndex } from '../store/archive-index.ts'
import { EMPTY_DIRECTORY } from '../store/fold.ts'
import type { SyncScope } from '../sync-contract.ts'

export interface ScopeInit {
  readonly index: ArchiveIndex
  readonly area: string
  /** Undefined for a sync of the whole area. */
  readonly scope: SyncScope | undefined
}

const EMPTIED = 'the folder is empty, but the archive holds files of it, so nothing was changed. Check that this is the right directory ' +
  'and that its disk is mounted. If it is meant to be empty, push it with --accept-source'

/**
 * What a sync may change of an area: the folders that the client lists, without the directories in them that are away, and the folders
 * that the client wants removed. Everything else is left alone. Without a scope, the area is one tree and all of it may change.
 */
export class ScopeRules {
  /** Folders that are listed, but must not be changed, and why. */
  readonly refused: ReadonlyMap<string, Problem>
  readonly #scope: SyncScope | undefined
  readonly #stored: Uint8Array
  /** The directories that are away, and those above them. */
  readonly #away = new Set<string>()

  constructor ({ index, area, scope }: ScopeInit) {
    this.#scope = scope
    this.#stored = index.listing({ area, directory: ROOT_PATH }) ?? EMPTY_DIRECTORY.listing
    this.refused = scope === undefined ? new Map() : refusedFolders({ index, area, scope }, this.#stored)
    for (const path of scope?.away ?? []) {
      let above = ROOT_PATH
      for (const name of pathNames(path)) this.#away.add(above = joinPath(above, name))
    }
  }

  /** Whether the area's root has the folders of its client; otherwise the area is one tree. */
  get hasFolders (): boolean {
    return this.#scope !== undefined
  }

  /** The stored root listing, reduced to what the sync may change: the client's root listing is the same if nothing changed. */
  get rootListing (): Uint8Array {
    const scope = this.#scope
    if (scope === undefined) return this.#stored
    const isCovered = ({ name }: Entry): boolean => scope.folders.has(name) || scope.removed.has(name)
    return encodeListing([...readListing(this.#stored)].filter(isCovered))
  }

  /** Throws LISTING_INVALID if the client's root listing has something else than the folders that it announced. */
  ensureFolders (rootListing: Uint8Array): void {
    const scope = this.#scope
    if (scope === undefined) return
    let folders = 0
    for (const { kind, name } of readListing(rootListing)) {
      if (kind === 'directory' && scope.folders.has(name)) folders++
      else throw new FileSyncError('LISTING_INVALID', `The root listing has ${JSON.stringify(name)}, which is not an announced folder.`)
    }
    if (folders < scope.folders.size) throw new FileSyncError('LISTING_INVALID', 'A folder that was announced is not in the root listing.')
  }

  /** Throws LISTING_INVALID if the root has folders: these are always so few that they are one page. */
  ensureUnpaged (): void {
    if (this.#scope === undefined) return
    throw new FileSyncError('LISTING_INVALID', 'The root listing has several pages, more than the announced folders can take.')
  }

  /** Whether a stored entry that the client does not list stays as it is. */
  isLeftAlone (directory: RelativePath, name: Name): boolean {
    const scope = this.#scope
    if (scope === undefined) return false
    if (directory === ROOT_PATH) return !scope.removed.has(name)
    return this.#away.size > 0 && this.#away.has(joinPath(directory, name))
  }

  /** Whether a folder is listed by the client, and not removed at its wish. */
  isListed (folder: string): boolean {
    return this.#scope?.folders.has(folder) === true
  }

  /** The folders that the sync may change; undefined if the area is one tree. */
  get folders (): string[] | undefined {
    return this.#scope === undefined ? undefined : [...this.#scope.folders.keys(), ...this.#scope.removed]
  }

  /** Whether the sync may change a folder. */
  covers (folder: string): boolean {
    return this.#scope === undefined || this.#scope.folders.has(folder) || this.#scope.removed.has(folder)
  }

  /** Whether nothing of a folder is left to another sync, once this one completes. */
  finishes (folder: string): boolean {
    return this.covers(folder) && !this.refused.has(folder) && !this.#away.has(folder)
  }

  /**
   * Whether the client listed everything that is in a directory. If not, nothing in it may be considered deleted.
   *
   * @param whole whether the client listed its whole tree; a folder may be complete beside one that is not
   */
  isComplete (directory: RelativePath, whole: boolean): boolean {
    const scope = this.#scope
    if (scope === undefined) return whole
    if (directory === ROOT_PATH) return true
    const folder = splitFolder(directory).folder
    return scope.folders.get(folder)?.complete === true || scope.removed.has(folder)
  }
}

/** Folders that would be emptied, and those whose name differs only in spelling from that of another stored folder. */
function refusedFolders ({ index, area, scope }: ScopeInit & { readonly scope: SyncScope }, stored: Uint8Array): Map<string, Problem> {
  const refused = new Map<string, Problem>()
  const spellings = new Map([...readListing(stored)].map(({ name }) => [foldKey(name), name]))
  for (const [name, { files, accepted }] of scope.folders) {
    const spelling = spellings.get(foldKey(name))
    if (spelling === undefined) continue
    if (spelling !== name) {
      const why = `the archive already holds a folder ${JSON.stringify(spelling)}. Push it under that name, or under one that differs more`
      refused.set(name, problem(name, 'NAME_COLLIDES', why))
    } else if (files === 0 && accepted !== true && holdsFiles(index, area, name as Name)) {
      refused.set(name, problem(name, 'FOLDER_EMPTIED', EMPTIED))
    }
  }
  return refused
}

function holdsFiles (index: ArchiveIndex, area: string, folder: Name): boolean {
  const due = [joinPath(ROOT_PATH, folder)]
  for (let directory = due.pop(); directory !== undefined; directory = due.pop()) {
    for (const entry of readListing(index.listing({ area, directory }) ?? EMPTY_DIRECTORY.listing)) {
      if (entry.kind === 'file') return true
      if (entry.kind === 'directory') due.push(joinPath(directory, entry.name))
    }
  }
  return false
}
