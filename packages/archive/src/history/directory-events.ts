import type { RelativePath } from '@filesync/protocol'
import { splitPath } from '@filesync/protocol'
import type { KeptEntry } from '../store/content-store.ts'
import { parseVersionFolder } from '../store/version-folder.ts'
import type { ParsedLog } from './change-log.ts'
import { compareEvents, eventsOf } from './events.ts'
import type { PathEvent } from './events.ts'

interface CountedChange {
  readonly count: number
  readonly stampMs: number
  readonly change: ParsedLog['changes'][number]
}

/** The recorded changes of an area by directory. They are decoded when they are asked for. */
export class DirectoryEvents {
  readonly #changes = new Map<RelativePath, CountedChange[]>()
  /** What went to versions, of the directory that was asked for last. */
  #left: { readonly directory: RelativePath, readonly events: ReadonlyMap<string, PathEvent> } | undefined

  constructor (
    logs: readonly (Pick<ParsedLog, 'changes'> & { readonly count: number })[], kept: readonly KeptEntry[],
    starts: ReadonlyMap<number, { readonly ms: number }>,
  ) {
    const stamps = new Map<number, number>()
    for (const folder of new Set(kept.map(one => one.folder))) {
      const parsed = parseVersionFolder(folder)
      if (parsed !== undefined) stamps.set(parsed.count, parsed.stampMs)
    }
    for (const { count, changes } of logs) {
      const stampMs = starts.get(count)?.ms ?? stamps.get(count) ?? 0
      for (const change of changes) {
        const known = this.#changes.get(change.directory)
        if (known === undefined) this.#changes.set(change.directory, [{ count, stampMs, change }])
        else known.push({ count, stampMs, change })
      }
    }
  }

  /** The directories with recorded changes of their entries. */
  directories (): Iterable<RelativePath> {
    return this.#changes.keys()
  }

  /** The changes of a directory's entries, oldest first. */
  in (directory: RelativePath): PathEvent[] {
    const events: PathEvent[] = []
    const seen = new Set<string>()
    for (const { change, count, stampMs } of this.#changes.get(directory) ?? []) {
      for (const event of eventsOf(change, { count, stampMs, isWanted: () => true })) {
        // If a recovery recorded a step again, the first record is more exact.
        const key = `${String(count)}:${String(change.step)}:${event.kind}:${event.path}`
        if (!seen.has(key)) events.push(event)
        seen.add(key)
      }
    }
    return events.sort(compareEvents)
  }

  /** The event by which something at a path went to a folder in versions. */
  left (folder: string, path: RelativePath): PathEvent | undefined {
    const { directory } = splitPath(path)
    if (this.#left?.directory !== directory) {
      const events = this.in(directory).filter(event => event.folder !== undefined)
      this.#left = { directory, events: new Map(events.map(event => [`${event.folder ?? ''}/${event.path}`, event])) }
    }
    return this.#left.events.get(`${folder}/${path}`)
  }
}
