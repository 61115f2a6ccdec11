import type { Area } from '@filesync/archive'
import { FileSyncError } from '@filesync/protocol'

/** A person restores from one terminal, and may look at the history in another. */
const SESSIONS_PER_CLIENT = 2
/** Each holds the listings of what it restores in memory. */
const SESSIONS_IN_ALL = 8

/** Which clients read their own files at the moment. Their sessions take no place in the queue of those that store. */
export class RestoreDesk {
  readonly #findArea: (name: string) => Promise<Area | undefined>
  readonly #sessions = new Map<string, number>()
  readonly #areas = new Map<string, number>()

  /** @param findArea finds an area that was synced before; reading must not create one */
  constructor (findArea: (name: string) => Promise<Area | undefined>) {
    this.#findArea = findArea
  }

  /** Begins a session; returns the function that ends it. Throws SERVER_BUSY. */
  enter ({ identity, area }: { readonly identity: string, readonly area: string }): () => void {
    const inAll = [...this.#sessions.values()].reduce((sum, count) => sum + count, 0)
    if ((this.#sessions.get(identity) ?? 0) >= SESSIONS_PER_CLIENT) {
      throw busy(`This client already has ${SESSIONS_PER_CLIENT} sessions that read files back.`)
    }
    if (inAll >= SESSIONS_IN_ALL) throw busy(`The server already serves ${SESSIONS_IN_ALL} sessions that read files back.`)
    add(this.#sessions, identity, 1)
    add(this.#areas, area, 1)
    return () => {
      add(this.#sessions, identity, -1)
      add(this.#areas, area, -1)
    }
  }

  /** Whether a session reads an area, so that none of its versions should be removed now. */
  isReading (area: string): boolean {
    return this.#areas.has(area)
  }

  /** The area to read; undefined if nothing was ever stored in it. */
  async open (area: string): Promise<Area | undefined> {
    return await this.#findArea(area)
  }
}

function add (counts: Map<string, number>, key: string, more: number): void {
  const count = (counts.get(key) ?? 0) + more
  if (count > 0) counts.set(key, count)
  else counts.delete(key)
}

function busy (why: string): FileSyncError {
  return new FileSyncError('SERVER_BUSY', `${why} Try again when one has ended.`)
}
