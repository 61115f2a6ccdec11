import type { RelativePath } from '@filesync/protocol'
import type { MakeSignature } from '../sync-contract.ts'
import { PresentFiles } from './present-files.ts'
import type { PresentFilesInit } from './present-files.ts'

/** Of more files, the smallest are left out: they are signed when the first difference needs it. */
const FILES_MAX = 1000

export interface SigningLimits {
  /** Smaller files are skipped. */
  readonly fromBytes: number
  /** Signing stops when this is false. */
  readonly isDue: () => boolean
}

/**
 * Large files that arrived whole, and so have no signature. Making one reads the file, and the first difference would have to wait for
 * that; made in advance, nothing waits.
 */
export class UnsignedFiles {
  readonly #paths = new Map<RelativePath, number>()
  /** Files up to this size are left out until some of the larger ones are signed. */
  #leftOutBytes = 0

  add (path: RelativePath, sizeBytes: number): void {
    if (sizeBytes <= this.#leftOutBytes) return
    this.#paths.set(path, sizeBytes)
    if (this.#paths.size <= FILES_MAX) return
    const [smallest, bytes] = this.#smallest()
    this.#paths.delete(smallest)
    this.#leftOutBytes = bytes
  }

  /** Signs the files that are large enough, one after the other. Returns how many were signed. */
  async sign (store: PresentFilesInit, make: MakeSignature, { fromBytes, isDue }: SigningLimits): Promise<number> {
    let signed = 0
    for (const [path, sizeBytes] of this.#paths) {
      if (!isDue()) return signed
      this.#paths.delete(path)
      // Another file can be added now.
      this.#leftOutBytes = 0
      if (sizeBytes < fromBytes) continue
      // It is kept under the digest of what was read: if a sync stores other content meanwhile, it is unused, not wrong.
      const signature = await new PresentFiles(store).find(path)?.signature(make)
      if (signature !== undefined) signed++
    }
    return signed
  }

  #smallest (): [path: RelativePath, sizeBytes: number] {
    const [first, ...others] = this.#paths
    if (first === undefined) throw new RangeError('There is no file.')
    return others.reduce((least, file) => file[1] < least[1] ? file : least, first)
  }
}
