import { compareNames, encodeListing, joinPath, LIMITS, ROOT_PATH, splitFolder } from '@filesync/protocol'
import type { Digest, DirectoryEntry, DirectoryPages, FolderInfo, HashBytes, Name, Problem, RelativePath, Tree } from '@filesync/protocol'
import type { LeftOut, Snapshot } from '@filesync/scanner'

/** The last scan of a folder, or why it cannot be pushed now. */
export type FolderState =
  | { readonly name: Name, readonly snapshot: Snapshot, readonly isAccepted: boolean }
  | { readonly name: Name, readonly problem: Problem }

/** Several folders as one tree: each is a directory of its root. Folders that cannot be pushed now are not listed. */
export class FolderTree implements Tree {
  readonly rootDigest: Digest
  readonly folders: readonly FolderInfo[]
  readonly away: readonly RelativePath[]
  readonly removed: readonly Name[]
  readonly growing: ReadonlySet<RelativePath>
  readonly problems: readonly Problem[]
  readonly problemCount: number
  readonly leftOut: { readonly first: readonly LeftOut[], readonly count: number }
  /** The folders that are listed. */
  readonly snapshots: ReadonlyMap<string, Snapshot>
  readonly #listing: Uint8Array
  readonly #hasUnsettled: boolean

  constructor (states: readonly FolderState[], { hash, removed = [] }: { readonly hash: HashBytes, readonly removed?: readonly Name[] }) {
    const listed = states.filter(state => 'snapshot' in state)
    const refused = states.flatMap(state => 'problem' in state ? [state.problem] : [])
    this.snapshots = new Map(listed.map(({ name, snapshot }) => [name, snapshot]))
    this.#listing = encodeListing(listed.map(({ name, snapshot }) => entryOf(name, snapshot)).sort(byName))
    this.rootDigest = hash(this.#listing)
    this.#hasUnsettled = listed.some(({ snapshot }) => snapshot.unsettledCount > 0)
    const away = this.#collect(({ away }) => away, path => path)
    // If they are too many for the message, what is missing in their folders is not considered deleted.
    const hasTooMany = away.length > LIMITS.awayDirectories
    this.away = hasTooMany ? [] : away
    this.removed = removed
    this.folders = listed.map(({ name, snapshot, isAccepted }) => ({
      name,
      complete: snapshot.complete && !(hasTooMany && snapshot.away.length > 0),
      files: snapshot.files,
      ...(isAccepted && { accepted: true }),
    }))
    this.growing = new Set(this.#collect(({ growing }) => [...growing], path => path))
    const found = this.#collect(({ problems }) => problems, (path, one) => ({ ...one, path }))
    this.problems = [...refused, ...found].slice(0, LIMITS.problemsPerMessage)
    this.problemCount = refused.length + this.#sum(({ problemCount }) => problemCount)
    const leftOut = this.#collect(({ leftOut: { first } }) => first, (path, one) => ({ ...one, path }))
    this.leftOut = { first: leftOut, count: this.#sum(({ leftOut: { count } }) => count) }
  }

  get files (): number { return this.#sum(({ files }) => files) }
  get directories (): number { return this.snapshots.size + this.#sum(({ directories }) => directories) }
  get bytes (): number { return this.#sum(({ bytes }) => bytes) }
  get complete (): boolean { return this.folders.every(({ complete }) => complete) }

  get archives (): { path: RelativePath, id: string }[] {
    return this.#collect(({ archives }) => archives, (path, { id }) => ({ path, id }))
  }

  listing (directory: RelativePath): Uint8Array | undefined {
    if (directory === ROOT_PATH) return this.#listing
    const { folder, path } = splitFolder(directory)
    return this.snapshots.get(folder)?.listing(path)
  }

  /** The root has only folders, which are few. */
  pages (directory: RelativePath): DirectoryPages | undefined {
    const { folder, path } = splitFolder(directory)
    return this.snapshots.get(folder)?.pages?.(path)
  }

  isUnsettled (file: RelativePath): boolean {
    // Called for every file that is sent, and hardly ever are there any.
    if (!this.#hasUnsettled) return false
    const { folder, path } = splitFolder(file)
    return this.snapshots.get(folder)?.isUnsettled(path) ?? false
  }

  #sum (of: (snapshot: Snapshot) => number): number {
    let sum = 0
    for (const snapshot of this.snapshots.values()) sum += of(snapshot)
    return sum
  }

  /** Something of each folder, with the paths of the whole tree. */
  #collect<T extends string | { readonly path: string }, R> (
    of: (snapshot: Snapshot) => readonly T[], make: (path: RelativePath, one: T) => R,
  ): R[] {
    return [...this.snapshots].flatMap(([name, snapshot]) => of(snapshot).map(one => make(inFolder(name, pathOf(one)), one)))
  }
}

/** The problem of a folder that cannot be pushed now. */
export function folderProblem (name: Name, message: string): Problem {
  return { path: name, code: 'FOLDER_AWAY', message }
}

/** The path of the whole tree for a path in a folder. */
export function inFolder (name: string, path: string): RelativePath {
  return path === '' ? joinPath(ROOT_PATH, name as Name) : `${name}/${path}` as RelativePath
}

function pathOf (one: string | { readonly path: string }): string {
  return typeof one === 'string' ? one : one.path
}

/** The entry of a folder in the root listing. */
export function entryOf (name: Name, snapshot: Snapshot): DirectoryEntry {
  return { kind: 'directory', name, ...snapshot.rootState, digest: snapshot.rootDigest }
}

function byName (left: DirectoryEntry, right: DirectoryEntry): number {
  return compareNames(left.name, right.name)
}
