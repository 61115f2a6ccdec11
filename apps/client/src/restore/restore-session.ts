import { checkWindowsName, errnoOf, foldKey, joinPath, LIMITS, problem, readListing } from '@filesync/protocol'
import type { ArrivedListing, Clock, Connection, DirectoryEntry, FileEntry, RelativePath, SymlinkEntry, Task } from '@filesync/protocol'
import { receiveFiles } from '@filesync/transfer'
import { receiveState } from './known-listings.ts'
import type { EntryPlace, KnownListings } from './known-listings.ts'
import { RestoreFiles } from './restore-files.ts'
import type { Again, TaskPurpose } from './restore-files.ts'
import type { RestoreState } from './restore-state.ts'
import { targetError } from './restore-target.ts'
import { SharedFiles } from './shared-files.ts'
import { describeFault, makeLinkAt, moveInPlace, removeAt, statAt, targetOf } from './target-place.ts'

/** How often files are asked for that did not arrive as they were: damaged copies, and content that changed on the way. */
const ROUNDS = 4

export interface RestoreSessionInit {
  readonly connection: Connection
  readonly state: RestoreState
  readonly holes: boolean
  readonly clock: Clock
  readonly signal: AbortSignal
  /** Called when something was restored or compared. */
  readonly onProgress: (path: RelativePath | undefined, arrivingBytes: number) => void
}

/** Restores what is not in place yet over one connection, from after RESTORE_ANSWER on. */
export class RestoreSession {
  readonly #init: RestoreSessionInit
  readonly #state: RestoreState
  /** Entries that cannot be in the target, by listing. */
  readonly #skipped = new Map<number, Set<number>>()

  constructor (init: RestoreSessionInit) {
    this.#init = init
    this.#state = init.state
  }

  /** Resolves when everything is in place or has a problem. Throws what ends the connection, and TARGET_UNAVAILABLE. */
  async run (): Promise<void> {
    this.#state.forgetProblems()
    const known = await receiveState(this.#init.connection, listing => this.#visit(listing))
    const shared = new SharedFiles(known)
    const context = { known, shared }
    let again = await this.#round(context, this.#allFiles(context))
    const linked = await this.#round(context, this.#otherNames(context))
    again = [...again, ...linked]
    for (let round = 1; again.length > 0 && round < ROUNDS; round++) {
      const asked = again
      again = await this.#round(context, asked.map(({ place }) => ({ place, task: wholeOf(place), purpose: 'get' as const })))
    }
    for (const { problem: last } of again) this.#state.problems.add(last)
  }

  /** Makes the directories and links of a listing. Yields the directories whose listings are wanted too. */
  * #visit (listing: ArrivedListing): Generator<{ readonly index: number, readonly entry: DirectoryEntry }, void, undefined> {
    const entries = [...readListing(listing.bytes)]
    this.#state.entries.enter(listing, entries.length)
    const folded = new Set<string>()
    for (const [index, entry] of entries.entries()) {
      const path = joinPath(listing.directory, entry.name)
      if (this.#isImpossible(path, entry, folded)) {
        this.#skip(listing.number, index)
        continue
      }
      if (entry.kind === 'directory' && this.#made(path, () => this.#state.target.openDirectory(listing.directory, entry))) {
        yield { index, entry }
      } else if (entry.kind === 'symlink' && !this.#state.entries.has(listing.directory, index)) {
        const how = this.#made(path, () => this.#link(listing.directory, entry))
        if (how !== false) this.#state.done(listing.directory, index, { sizeBytes: 0, how })
      }
    }
    this.#init.onProgress(listing.directory, 0)
  }

  #isImpossible (path: RelativePath, { name }: { readonly name: FileEntry['name'] }, folded: Set<string>): boolean {
    if (process.platform === 'win32' && checkWindowsName(name) !== undefined) {
      this.#state.fail(path, 'WRITE_FAILED', 'Windows cannot store this name. Restore it on another system')
      return true
    }
    if (this.#state.target.cutsDots && name.endsWith('.')) {
      this.#state.fail(path, 'WRITE_FAILED', 'this disk cannot store a name that ends with a dot. Restore it to another disk')
      return true
    }
    if (!this.#state.target.foldsNames) return false
    const key = foldKey(name)
    if (folded.has(key)) {
      this.#state.fail(path, 'WRITE_FAILED', 'this disk does not distinguish its name from another one in its directory. ' +
        'Restore it to another disk')
      return true
    }
    folded.add(key)
    return false
  }

  #skip (listing: number, index: number): void {
    const known = this.#skipped.get(listing)
    if (known === undefined) this.#skipped.set(listing, new Set([index]))
    else known.add(index)
  }

  /** Runs what makes a directory or link; false and a problem if it cannot. */
  #made<T> (path: RelativePath, make: () => T | false): T | false {
    try {
      const made = make()
      if (made === false) this.#state.fail(path, 'PATH_TAKEN')
      return made
    } catch (error) {
      throwIfTargetError(error, this.#state.target.root)
      this.#state.fail(path, 'WRITE_FAILED', describeFault(error))
      return false
    }
  }

  #link (directory: RelativePath, { name, target, mtimeNs }: SymlinkEntry): 'arrived' | 'present' | false {
    const to = this.#state.target
    const place = to.place(directory, name)
    const there = statAt(place)
    if (there?.isSymbolicLink() === true && targetOf(place) === target) return 'present'
    if (there !== undefined && (!to.overwrite || there.isDirectory())) return false
    if (there === undefined) {
      // Nothing is replaced by this call.
      makeLinkAt(place, { target, mtimeNs })
      return 'arrived'
    }
    const temporary = to.temporary()
    makeLinkAt(temporary, { target, mtimeNs })
    if (moveInPlace(temporary, place, true)) return 'arrived'
    removeAt(temporary)
    return false
  }

  async #round (context: Context, asks: Iterable<Ask>): Promise<Again[]> {
    const { connection, clock, signal, holes, onProgress } = this.#init
    const files = new RestoreFiles({ state: this.#state, ...context })
    const tasks = (function * (): Generator<Task, void, undefined> {
      for (const { place, task, purpose } of asks) {
        files.ask({ ...place, purpose })
        yield task
      }
    })()
    const first = tasks.next()
    if (first.done === true) return []
    await receiveFiles({
      connection,
      tasks: chain(first.value, tasks),
      describe: task => files.describe(task),
      staging: files,
      clock,
      signal,
      holes,
      onFileProblem: (task, found) => { files.refused(task, found) },
      onProgress: ({ bytes }) => { onProgress(undefined, bytes) },
    })
    return files.again
  }

  /** The files that are not in place, without further names of files that have several. */
  * #allFiles (context: Context): Generator<Ask, void, undefined> {
    for (const { number, directory, bytes } of context.known.all) {
      let index = -1
      for (const entry of readListing(bytes)) {
        index++
        if (entry.kind !== 'file' || this.#skipped.get(number)?.has(index) === true) continue
        const place = { listing: number, entry: index }
        if (context.shared.mustWait(place, directory, entry)) continue
        const ask = this.#askFor(context, place, { directory, entry })
        if (ask !== undefined) yield ask
      }
    }
  }

  /** The further names: those that are there are compared, the others become hard links once their content is proven to be the same. */
  * #otherNames (context: Context): Generator<Ask, void, undefined> {
    for (const group of context.shared.all) {
      for (const place of group.others) {
        const directory = context.known.directoryOf(place.listing)
        const entry = context.known.file(place)
        const ask = this.#askFor(context, place, { directory, entry })
        if (ask === undefined) continue
        const canLink = ask.purpose === 'get' && group.digest !== undefined
        yield canLink ? { place, task: [place.listing, place.entry, 'DIGEST'], purpose: 'link' } : ask
      }
    }
  }

  /** How a file is asked for; undefined if it is in place, or cannot be put there. */
  #askFor (
    { shared }: Context, place: EntryPlace, { directory, entry }: { readonly directory: RelativePath, readonly entry: FileEntry },
  ): Ask | undefined {
    const path = joinPath(directory, entry.name)
    if (this.#state.entries.has(directory, place.entry)) {
      const group = shared.groupOf(directory, entry)
      if (group !== undefined) group.digest ??= this.#state.sharedDigests.get(path)
      return undefined
    }
    const there = this.#made(path, () => statAt(this.#state.target.place(directory, entry.name)) ?? NOTHING)
    if (there === false) return undefined
    if (there === NOTHING) return { place, task: this.#wholeOrRest(place, path, entry), purpose: 'get' }
    const isSimilar = there.isFile() && there.size === BigInt(entry.sizeBytes)
    if (isSimilar) return { place, task: [place.listing, place.entry, 'DIGEST'], purpose: 'compare' }
    if (this.#state.target.overwrite && !there.isDirectory()) return { place, task: this.#wholeOrRest(place, path, entry), purpose: 'get' }
    this.#state.problems.add(problem(path, 'PATH_TAKEN'))
    return undefined
  }

  #wholeOrRest (place: EntryPlace, path: RelativePath, entry: FileEntry): Task {
    if (entry.sizeBytes <= LIMITS.packedFileBytes) return wholeOf(place)
    const partial = statAt(this.#state.target.partial(path, entry))
    const arrived = partial?.isFile() === true ? Number(partial.size) : 0
    if (arrived === 0 || arrived > entry.sizeBytes) return wholeOf(place)
    return [place.listing, place.entry, 'RESUME', arrived]
  }
}

interface Context {
  readonly known: KnownListings
  readonly shared: SharedFiles
}

interface Ask {
  readonly place: EntryPlace
  readonly task: Task
  readonly purpose: TaskPurpose
}

const NOTHING = 'nothing'

function wholeOf ({ listing, entry }: EntryPlace): Task {
  return [listing, entry]
}

function * chain<T> (first: T, rest: Iterable<T>): Generator<T, void, undefined> {
  yield first
  yield * rest
}

function throwIfTargetError (error: unknown, root: string): void {
  const ofTarget = targetError(error, root)
  if (ofTarget !== undefined) throw ofTarget
  if (errnoOf(error) === '') throw error
}
