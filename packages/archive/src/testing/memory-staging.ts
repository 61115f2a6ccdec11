import { DIGEST_BYTES, equalDigests, readListing } from '@filesync/protocol'
import type { Clock, HashBytes } from '@filesync/protocol'
import type { PackFailure, PackRequest, StagedStreamRequest } from '../store/content-store.ts'
import { getOrInsert } from './get-or-insert.ts'
import type { MemoryFile } from './memory-folder.ts'
import { MemoryStream } from './memory-stream.ts'
import type { StagedStreamInit } from './memory-stream.ts'

/** What has arrived but is not committed yet: complete files and partials. */
export class MemoryStaging {
  /** Complete files, by staging folder and number. */
  readonly files: Map<string, Map<number, MemoryFile>> = new Map()
  /** Partials, by area and name. */
  readonly partial: Map<string, Map<string, Uint8Array>> = new Map()
  /** The names that large files had as partials. */
  readonly #unfinished = new Map<string, Map<number, string>>()
  readonly #hash: HashBytes
  readonly #clock: Clock

  constructor ({ hash, clock }: { readonly hash: HashBytes, readonly clock: Clock }) {
    this.#hash = hash
    this.#clock = clock
  }

  put (staging: string, number: number, file: MemoryFile): void {
    getOrInsert(this.files, staging, () => new Map<number, MemoryFile>()).set(number, file)
  }

  get (staging: string, number: number): MemoryFile | undefined {
    return this.files.get(staging)?.get(number)
  }

  remove (staging: string, number: number): MemoryFile | undefined {
    const file = this.get(staging, number)
    this.files.get(staging)?.delete(number)
    return file
  }

  stagePack ({ staging, pack, sections }: PackRequest): PackFailure[] {
    const failures: PackFailure[] = []
    sections.forEach(({ section: { entries, staged }, offsets, lengths }, section) => {
      let entry = -1
      for (const listed of readListing(entries)) {
        const [offset, length] = [offsets[++entry] ?? 0, lengths[entry] ?? 0]
        const content = pack.slice(offset, offset + length)
        if (listed.kind !== 'file' || listed.sizeBytes !== length) {
          failures.push({ section, entry, code: 'CHANGED_DURING_READ', message: 'its size differs from the listed size' })
        } else if (!equalDigests(this.#hash(content), pack.subarray(offset - DIGEST_BYTES, offset))) {
          failures.push({ section, entry, code: 'DIGEST_MISMATCH', message: 'the next sync requests it again' })
        } else {
          this.put(staging, staged[entry] ?? 0, this.#newFile(content, listed))
        }
      }
    })
    return failures
  }

  openStream (request: StagedStreamRequest, { before, present }: Pick<StagedStreamInit, 'before' | 'present'>): MemoryStream {
    return new MemoryStream(request, {
      hash: this.#hash,
      before,
      partials: this.#partials(request.area),
      present,
      stage: content => {
        this.put(request.staging, request.number, this.#newFile(content, request))
        getOrInsert(this.#unfinished, request.staging, () => new Map<number, string>()).set(request.number, request.partial)
      },
    })
  }

  /** Turns large files that are complete back into partials. */
  reclaim (area: string, staging: string): void {
    for (const [number, partial] of this.#unfinished.get(staging) ?? []) {
      const whole = this.get(staging, number)
      if (whole !== undefined) this.#partials(area).set(partial, whole.content)
    }
  }

  discard (staging: string | undefined): void {
    if (staging === undefined) this.files.clear()
    else this.files.delete(staging)
  }

  retainPartials (area: string, kept: ReadonlySet<string>): void {
    const partials = this.partial.get(area)
    for (const name of partials?.keys() ?? []) if (!kept.has(name)) partials?.delete(name)
  }

  #partials (area: string): Map<string, Uint8Array> {
    return getOrInsert(this.partial, area, () => new Map<string, Uint8Array>())
  }

  #newFile (content: Uint8Array, { mtimeNs, mode }: { readonly mtimeNs: bigint, readonly mode: number }): MemoryFile {
    return { kind: 'file', content, mtimeNs, mode: mode & 0o777 | 0o400, sinceMs: this.#clock.nowMs() }
  }
}
