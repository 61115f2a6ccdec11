/** How much of an unfinished file was written, and how much of that was noted as flushed. */
interface Progress {
  readonly area: string
  readonly partial: string
  writtenBytes: number
  notedBytes: number
  /** Nothing more is written; the entry is dropped once all of it is noted. */
  isOver: boolean
}

/** Receives the progress of one file that is being written. */
export interface WriteProgress {
  wrote: (bytes: number) => void
  /** `unfinished`: what was written is kept, to be continued later. */
  ended: (how: 'unfinished' | 'gone') => void
}

/** Lengths of partials, by area and name. */
export type PartialLengths = ReadonlyMap<string, ReadonlyMap<string, number>>

/** Tracks how much of each partial was written, so that any flush of the whole file system can be noted for it. */
export class PartialProgress {
  readonly #known = new Map<string, Progress>()

  /** Starts tracking a file that is being written. */
  begin (area: string, partial: string, writtenBytes: number): WriteProgress {
    const progress: Progress = { area, partial, writtenBytes, notedBytes: 0, isOver: false }
    const key = `${area}/${partial}`
    this.#known.set(key, progress)
    return {
      wrote: bytes => { progress.writtenBytes += bytes },
      ended: how => {
        progress.isOver = true
        if (how === 'gone' && this.#known.get(key) === progress) this.#known.delete(key)
      },
    }
  }

  /** Starts tracking partials that were found on the disk. */
  found (area: string, partials: ReadonlyMap<string, number>): void {
    for (const [partial, bytes] of partials) {
      if (!this.#known.has(`${area}/${partial}`)) this.begin(area, partial, bytes).ended('unfinished')
    }
  }

  /** What has been written but not noted yet. To be called before a flush. */
  written (): PartialLengths {
    const areas = new Map<string, Map<string, number>>()
    for (const { area, partial, writtenBytes, notedBytes } of this.#known.values()) {
      if (writtenBytes > notedBytes) areas.set(area, (areas.get(area) ?? new Map<string, number>()).set(partial, writtenBytes))
    }
    return areas
  }

  /** These lengths were noted as flushed. */
  noted (lengths: PartialLengths): void {
    for (const [area, partials] of lengths) {
      for (const [partial, bytes] of partials) {
        const key = `${area}/${partial}`
        const progress = this.#known.get(key)
        if (progress === undefined) continue
        progress.notedBytes = Math.min(bytes, progress.writtenBytes)
        if (progress.isOver && progress.notedBytes === progress.writtenBytes) this.#known.delete(key)
      }
    }
  }
}
