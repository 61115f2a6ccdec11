import { errnoOf } from '@filesync/protocol'
import type { Hasher, RelativePath } from '@filesync/protocol'
import { createHasher } from '@filesync/protocol/node'
import type { Reread, RereadOptions } from '../store/content-store.ts'
import type { Beneath } from './beneath.ts'
import type { RereadStep } from './disk-calls.ts'
import { inside } from './disk-places.ts'
import type { DiskThread } from './disk-pool.ts'
import * as disk from './disk.ts'
import { pageAlignedBuffer } from './page-aligned.ts'
import { throwIfStoreError } from './disk-errors.ts'

/** Read in one step; between steps, the worker does other work. */
const STEP_BYTES = 8 << 20

interface OpenReread {
  fd: number
  from: Reread['from']
  hasher: Hasher
  position: number
  readonly area: string
  readonly path: RelativePath
}

/**
 * Reads stored files again, past the page cache if the file system allows it, so that the result shows what the disk holds. That needs an
 * aligned buffer: WebAssembly memory is aligned, because it consists of whole pages.
 */
export class DiskReread {
  readonly #beneath: Beneath
  readonly #open = new Map<number, OpenReread>()
  #buffer: Uint8Array | undefined

  constructor (beneath: Beneath) {
    this.#beneath = beneath
  }

  begin (id: number, area: string, path: RelativePath): boolean {
    this.#beneath.trim()
    try {
      const [prefix, name] = this.#place(area, path)
      const direct = disk.readDirectAt(prefix, name)
      const fd = direct ?? disk.readAt(prefix, name)
      const from = direct === undefined ? 'cache' : 'disk'
      this.#open.set(id, { fd, from, hasher: createHasher(), position: 0, area, path })
      return true
    } catch (error) {
      throwIfStoreError(error)
      return false
    }
  }

  step (id: number): RereadStep {
    const reading = this.#open.get(id)
    if (reading === undefined) throw new RangeError('The file is not open.')
    this.#buffer ??= pageAlignedBuffer(STEP_BYTES)
    try {
      const read = disk.readInto(reading.fd, this.#buffer, reading.position)
      reading.hasher.update(this.#buffer.subarray(0, read))
      reading.position += read
      // A short read is at the end of the file, and the position after it is no longer aligned.
      if (read === STEP_BYTES) return 'more'
    } catch (error) {
      const code = errnoOf(error)
      // Some file systems accept the flag when opening a file, and fail when it is read.
      if (code === 'EINVAL' && reading.from === 'disk') return this.#restartThroughCache(reading)
      if (code === 'EIO') return 'unreadable'
      throwIfStoreError(error)
      return 'unreadable'
    }
    return { digest: reading.hasher.digest(), from: reading.from }
  }

  end (id: number): void {
    const reading = this.#open.get(id)
    this.#open.delete(id)
    if (reading !== undefined) disk.close(reading.fd)
  }

  #restartThroughCache (reading: OpenReread): RereadStep {
    const [prefix, name] = this.#place(reading.area, reading.path)
    const fd = disk.readAt(prefix, name)
    disk.close(reading.fd)
    Object.assign(reading, { fd, from: 'cache', hasher: createHasher(), position: 0 })
    return 'more'
  }

  #place (area: string, path: RelativePath): [prefix: string, name: string] {
    const full = inside(area, path)
    const at = full.lastIndexOf('/')
    return [this.#beneath.open(full.slice(0, at)), full.slice(at + 1)]
  }
}

/** Has a worker read a file again, step by step; undefined if it cannot be read to its end. */
export async function reread (
  thread: DiskThread, file: Pick<OpenReread, 'area' | 'path'> & { readonly id: number }, { signal, inTurn = immediately }: RereadOptions,
): Promise<Reread | undefined> {
  signal?.throwIfAborted()
  if (!await thread.call('beginReread', [file.id, file.area, file.path])) return undefined
  try {
    for (;;) {
      const step = await inTurn(async () => await thread.call('stepReread', [file.id]))
      signal?.throwIfAborted()
      if (step === 'unreadable') return undefined
      if (step !== 'more') return step
    }
  } finally {
    await thread.call('endReread', [file.id])
  }
}

async function immediately<T> (step: () => Promise<T>): Promise<T> {
  return await step()
}
