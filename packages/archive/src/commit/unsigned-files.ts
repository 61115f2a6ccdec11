import type { RelativePath } from '@filesync/protocol'
import type { MakeSignature } from '../sync-contract.ts'
import { PresentFiles } from './present-files.ts'
import type { PresentFilesInit } from './present-files.ts'

/** Beyond, the smallest are left out: they are signed when they are first compared with. */
const NOTED_FILES = 1000

/**
 * Large files that arrived whole, and so have no signature. To make one takes a read of the file, for which the first change
 * of it would have to wait; done ahead, nobody waits.
 */
export class UnsignedFiles {
  readonly #paths = new Map<RelativePath, number>()
  /** Files up to this size were left out for others, and are until some of those are gone. */
  #leftOutBytes = 0

  note (path: RelativePath, sizeBytes: number): void {
    if (sizeBytes <= this.#leftOutBytes) return
    this.#paths.set(path, sizeBytes)
    if (this.#paths.size <= NOTED_FILES) return
    const [smallest, bytes] = this.#smallest()
    this.#paths.delete(smallest)
    this.#leftOutBytes = bytes
  }

  /** Signs those that are at least so large, one after the other, and forgets what it comes to. Returns how many were signed. */
  async sign (store: PresentFilesInit, make: MakeSignature, { fromBytes, isDue }: { readonly fromBytes: number, readonly isDue: () => boolean }): Promise<number> {
    let signed = 0
    for (const [path, sizeBytes] of this.#paths) {
      if (!isDue()) return signed
      this.#paths.delete(path)
      // There is room again.
      this.#leftOutBytes = 0
      if (sizeBytes < fromBytes) continue
      // Under the digest of what it read: a sync that stores another content meanwhile makes it worthless, not wrong.
      const signature = await new PresentFiles(store).find(path)?.signature(make)
      if (signature !== undefined) signed++
    }
    return signed
  }

  #smallest (): [path: RelativePath, sizeBytes: number] {
    const [first, ...others] = this.#paths
    if (first === undefined) throw new RangeError('No file is noted.')
    return others.reduce((least, file) => file[1] < least[1] ? file : least, first)
  }
}
