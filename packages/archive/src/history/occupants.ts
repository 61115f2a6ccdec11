import type { Entry, RelativePath } from '@filesync/protocol'
import type { FoundEntry, KeptEntry } from '../store/content-store.ts'
import type { Fact } from '../store/facts.ts'
import { parseVersionFolder } from '../store/version-folder.ts'
import type { PathEvent } from './events.ts'
import { comparePositions } from '../store/position.ts'
import type { Position } from '../store/position.ts'
import type { PresentEntry } from './present.ts'

const ENDLESS: Position = { count: Infinity, ms: Infinity }

/** What was at a path from one moment to another. */
export interface Occupant {
  readonly path: RelativePath
  /** As it was; undefined if it was never in the index. */
  readonly entry: Entry | undefined
  readonly fact: Fact | undefined
  /** When it left. */
  readonly until: Position
  /** Since when it was there, as far as that is known. */
  readonly since: Position | undefined
  /** It followed on another one, so that since when is no question. */
  readonly isReplacement: boolean
  /** The folder in versions that has it; undefined if it has none of its own. */
  readonly folder: string | undefined
  /** As the store has it, of what the index does not know. */
  readonly found: FoundEntry | undefined
  /** Whether it may have been altered since the index let go of it. */
  readonly isDoubtful: boolean
}

/** Puts together what was at one path, oldest first. */
export function occupantsOf (path: RelativePath, events: readonly PathEvent[], present: PresentEntry | undefined): Occupant[] {
  const chain = new Chain(path)
  for (const event of events) chain.take(event)
  return chain.finish(present)
}

/** What a version tells without anything being remembered of it. */
export function eventOfVersion ({ folder, path, found }: KeptEntry): PathEvent {
  const { count, stampMs } = parseVersionFolder(folder) ?? { count: 0, stampMs: 0 }
  return { path, kind: found.kind === 'directory' ? 'removed' : 'replaced', at: { count, ms: stampMs }, entry: undefined, fact: undefined, folder }
}

class Chain {
  readonly #path: RelativePath
  readonly #holders: Occupant[] = []
  /** When the next one was made, if it was. */
  #since: Position | undefined
  #isReplacement = false
  /** What the index let go of, and where it is still. */
  #released: { readonly entry: Entry | undefined, readonly fact: Fact | undefined, readonly since: Position | undefined, readonly isReplacement: boolean } | undefined

  constructor (path: RelativePath) {
    this.#path = path
  }

  take ({ kind, at, entry, fact, folder }: PathEvent): void {
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
      this.#push({ entry: present.entry, fact: present.fact, until: ENDLESS, since: this.#since, isReplacement: this.#isReplacement, folder: undefined, found: present.found, isDoubtful: false })
    } else if (this.#released !== undefined) {
      this.#endReleased(ENDLESS)
    } else if (present !== undefined) {
      this.#push({ entry: undefined, fact: undefined, until: ENDLESS, since: this.#since, isReplacement: this.#isReplacement, folder: undefined, found: present.found, isDoubtful: false })
    }
    return this.#holders
  }

  /** The index let go of it, and then something came of which it is only known since when. */
  #endReleased (until: Position): void {
    if (this.#released === undefined) return
    this.#push({ ...this.#released, until, folder: undefined, isDoubtful: true })
    this.#released = undefined
    this.#since = undefined
    this.#isReplacement = true
  }

  #push (holder: Omit<Occupant, 'path' | 'found'> & { readonly found?: FoundEntry | undefined }): void {
    this.#holders.push({ path: this.#path, found: undefined, ...holder })
  }
}

/** Since when a file was at its path, if that is known by the number of its sync. */
export function sinceOf (fact: Fact | undefined): Position | undefined {
  return fact === undefined || fact.storedCount === 0 ? undefined : { count: fact.storedCount, ms: fact.storedAtMs }
}

/** What was there at a moment, and came by then or may have come by then; undefined for nothing. `wasThere` tells of what nothing is known. */
export function occupantAt (holders: readonly Occupant[], at: Position, wasThere: (holder: Occupant) => boolean): Occupant | undefined {
  const holder = holders.find(({ until }) => comparePositions(until, at) > 0)
  if (holder === undefined || holder.isReplacement) return holder
  const since = sinceOf(holder.fact) ?? holder.since
  if (since !== undefined) return comparePositions(since, at) <= 0 ? holder : undefined
  return wasThere(holder) ? holder : undefined
}
