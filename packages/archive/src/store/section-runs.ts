import { ROOT_PATH } from '@filesync/protocol'
import { compareCursors, ListingCursor } from './listing-cursor.ts'
import type { Section } from './section.ts'

/** Sections of one directory whose names are in order. */
export class Run {
  readonly #sections: Section[]
  #at = 0
  cursor: ListingCursor

  constructor (first: Section) {
    this.#sections = [first]
    this.cursor = new ListingCursor(first.entries)
    this.cursor.next()
  }

  get section (): Section {
    return this.#sections[this.#at] ?? EMPTY_SECTION
  }

  push (section: Section): void {
    this.#sections.push(section)
  }

  next (): void {
    while (!this.cursor.next() && this.#at < this.#sections.length - 1) {
      this.#at++
      this.cursor = new ListingCursor(this.section.entries)
    }
  }
}

const EMPTY_SECTION: Section = {
  directory: ROOT_PATH,
  entries: Uint8Array.of(0x90),
  staged: new Uint32Array(0),
  facts: new Uint8Array(0),
}

/** The entries of sections in name order. Tasks are answered nearly in order, so thousands of sections form a handful of runs. */
export function makeRuns (sections: readonly Section[]): Run[] {
  const spans = sections.map(section => {
    const first = new ListingCursor(section.entries)
    first.next()
    const last = new ListingCursor(section.entries)
    for (let left = last.count; left > 0; left--) last.next()
    return { section, first, last }
  }).filter(span => span.first.count > 0)
  spans.sort((a, b) => compareCursors(a.first, b.first))
  const runs: { readonly run: Run, last: ListingCursor }[] = []
  for (const { section, first, last } of spans) {
    const open = runs.find(run => compareCursors(run.last, first) < 0)
    if (open === undefined) {
      runs.push({ run: new Run(section), last })
    } else {
      open.run.push(section)
      open.last = last
    }
  }
  return runs.map(({ run }) => run)
}
