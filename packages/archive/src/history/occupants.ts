import type { Entry, RelativePath } from '@filesync/protocol'
import type { FoundEntry, KeptEntry } from '../store/content-store.ts'
import type { Fact } from '../store/facts.ts'
import { parseVersionFolder } from '../store/version-folder.ts'
import type { PathEvent } from './events.ts'
import { comparePositions } from '../store/position.ts'
import type { Position } from '../store/position.ts'
import type { PresentEntry } from './present.ts'

const ENDLESS: Position = { count: Infinity, ms: Infinity }

/** An entry that was at a path from one moment to another. */
export interface Occupant {
  readonly path: RelativePath
  /** The entry as stored; undefined if it was never in the index. */
  readonly entry: Entry | undefined
  readonly fact: Fact | undefined
  /** When it left. */
  readonly until: Position
  /** Since when it was there, if known. */
  readonly since: Position | undefined
  /** Whether it replaced the occupant before it, whose end is then its beginning. */
  readonly isReplacement: boolean
  /** The folder in versions with its content; undefined if it has none of its own. */
  readonly folder: string | undefined
  /** The entry as found on the store, if the index does not know it. */
  readonly found: FoundEntry | undefined
  /** Whether it may have been altered after it left the index. */
  readonly isDoubtful: boolean
}

/** All occupants of one path, oldest first. */
export function occupantsOf (path: RelativePath, events: readonly PathEvent[], present: PresentEntry | undefined): Occupant[] {
  const chain = new Chain(path)
  for (const event of events) chain.add(event)
  return chain.finish(present)
}

/** The event that a version implies if none is recorded for it. */
export function eventOfVersion ({ folder, path, found }: KeptEntry): PathEvent {
  const { count, stampMs } = parseVersionFolder(folder) ?? { count: 0, stampMs: 0 }
  const kind = found.kind === 'directory' ? 'removed' : 'replaced'
  return { path, kind, at: { count, ms: stampMs }, entry: undefined, fact: undefined, folder }
}

/** Builds the occupants of one path from its events. */
class Chain {
  readonly #path: RelativePath
  readonly #occupants: Occupant[] = []
  /** When the next occupant was made, if nothing was there before it. */
  #since: Position | undefined
  #isReplacement = false
  /** An entry that left the index and is still at the path. */
  #released: Pick<Occupant, 'entry' | 'fact' | 'since' | 'isReplacement'> | undefined

  constructor (path: RelativePath) {
    this.#path = path
  }

  add ({ kind, at, entry, fact, folder }: PathEvent): void {
    if (kind === 'made') {
      this.#endReleased(at)
      this.#since = at
      this.#isReplacement = false
      return
    }
    if (kind === 'released') {
      this.#released ??= { entry, fact, since: this.#since, isReplacement: this.#isReplacement }
      return
    }
    if (entry === undefined && this.#released !== undefined) {
      this.#push({ ...this.#released, until: at, folder, isDoubtful: true })
      this.#released = undefined
    } else {
      this.#endReleased(sinceOf(fact) ?? at)
      this.#push({ entry, fact, until: at, since: this.#since, isReplacement: this.#isReplacement, folder, isDoubtful: false })
    }
    this.#since = undefined
    this.#isReplacement = kind !== 'removed'
  }

  finish (present: PresentEntry | undefined): Occupant[] {
    if (present?.entry !== undefined) {
      this.#endReleased(sinceOf(present.fact) ?? ENDLESS)
      this.#pushPresent(present)
    } else if (this.#released !== undefined) {
      this.#endReleased(ENDLESS)
    } else if (present !== undefined) {
      this.#pushPresent(present)
    }
    return this.#occupants
  }

  /** Ends the entry that left the index: its successor is known to have come at `until`. */
  #endReleased (until: Position): void {
    if (this.#released === undefined) return
    this.#push({ ...this.#released, until, folder: undefined, isDoubtful: true })
    this.#released = undefined
    this.#since = undefined
    this.#isReplacement = true
  }

  #pushPresent ({ entry, fact, found }: PresentEntry): void {
    const [since, isReplacement] = [this.#since, this.#isReplacement]
    const known = entry === undefined ? undefined : fact
    this.#push({ entry, fact: known, until: ENDLESS, since, isReplacement, folder: undefined, found, isDoubtful: false })
  }

  #push (occupant: Omit<Occupant, 'path' | 'found'> & { readonly found?: FoundEntry | undefined }): void {
    this.#occupants.push({ path: this.#path, found: undefined, ...occupant })
  }
}

/** Since when a file was at its path; undefined if the sync that stored it is unknown. */
export function sinceOf (fact: Fact | undefined): Position | undefined {
  return fact === undefined || fact.storedCount === 0 ? undefined : { count: fact.storedCount, ms: fact.storedAtMs }
}

/**
 * The occupant at a moment; undefined if there was none.
 *
 * @param wasThere decides if it is unknown when the occupant came
 */
export function occupantAt (
  occupants: readonly Occupant[], at: Position, wasThere: (occupant: Occupant) => boolean,
): Occupant | undefined {
  const occupant = occupants.find(({ until }) => comparePositions(until, at) > 0)
  if (occupant === undefined || occupant.isReplacement) return occupant
  const since = sinceOf(occupant.fact) ?? occupant.since
  if (since !== undefined) return comparePositions(since, at) <= 0 ? occupant : undefined
  return wasThere(occupant) ? occupant : undefined
}
