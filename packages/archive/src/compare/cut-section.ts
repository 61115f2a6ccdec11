import type { ComparedDirectory } from './compared-directory.ts'
import { FACT_BYTES } from '../store/facts.ts'
import { ListingBuilder } from '../store/listing-cursor.ts'
import { INDEX_ONLY, isContent, NOT_STAGED } from '../store/section.ts'
import type { Section } from '../store/section.ts'

/** The directories, links and metadata changes of a directory. */
export function structureOf (directory: ComparedDirectory): Section {
  const places = [...directory.placesOf('structure')]
  const indexOnly = new Set(directory.placesOf('indexOnly'))
  return cutSection(directory, places, places.map(place => indexOnly.has(place) ? INDEX_ONLY : NOT_STAGED))
}

/** A section of some entries of a directory; `places` is ascending. The caller fills in the facts. */
export function cutSection (directory: ComparedDirectory, places: readonly number[], staged: readonly number[]): Section {
  const builder = new ListingBuilder()
  for (const entry of directory.entriesAt(places)) builder.add(entry)
  const factBytes = staged.some(isContent) ? staged.length * FACT_BYTES : 0
  const stagedBytes = staged.length * Uint32Array.BYTES_PER_ELEMENT
  // One buffer: there are many sections, and each buffer costs when it is allocated, transferred to a thread, and freed.
  const buffer = new ArrayBuffer(stagedBytes + factBytes + builder.sizeBytes)
  const numbers = new Uint32Array(buffer, 0, staged.length)
  numbers.set(staged)
  return {
    directory: directory.directory,
    entries: builder.finish(new Uint8Array(buffer, stagedBytes + factBytes)),
    staged: numbers,
    facts: new Uint8Array(buffer, stagedBytes, factBytes),
  }
}
