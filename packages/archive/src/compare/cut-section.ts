import type { ComparedDirectory, Indices } from './compared-directory.ts'
import { FACT_BYTES } from '../store/facts.ts'
import { ListingBuilder } from '../store/listing-cursor.ts'
import { INDEX_ONLY, isContent, NOT_STAGED } from '../store/section.ts'
import type { Section } from '../store/section.ts'

/** The directories, links and metadata changes of a directory. */
export function structureOf (directory: ComparedDirectory): Section {
  const indexOnly = new Set(directory.indexOnly)
  const staged = Array.from(directory.structure, index => indexOnly.has(index) ? INDEX_ONLY : NOT_STAGED)
  return cutSection(directory, directory.structure, staged)
}

/** A section of some entries of a listing; `indices` is ascending. The caller fills in the facts. */
export function cutSection (directory: ComparedDirectory, indices: Indices, staged: readonly number[]): Section {
  const builder = new ListingBuilder()
  for (const entry of directory.entriesAt(indices)) builder.add(entry)
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
