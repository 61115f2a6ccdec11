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
import { throwIfStoreTrouble } from './trouble.ts'

/** Read in one go; between two, the worker does other work. */
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
 * Reads stored files again, past the page cache where the file system allows it, so that the answer is about what the disk
 * holds. The buffer for that has to be aligned: the memory of WebAssembly is, being made of whole pages.
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
      this.#open.set(id, { fd: direct ?? disk.readAt(prefix, name), from: direct === undefined ? 'cache' : 'disk', hasher: createHasher(), position: 0, area, path })
      return true
    } catch (error) {
      throwIfStoreTrouble(error)
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
      // Behind a short read the position is not aligned any more, and there is nothing more.
      if (read === STEP_BYTES) return 'more'
    } catch (error) {
      const code = errnoOf(error)
      // Some file systems refuse only when it comes to reading.
      if (code === 'EINVAL' && reading.from === 'disk') return this.#beginAnew(reading)
      if (code === 'EIO') return 'unreadable'
      throwIfStoreTrouble(error)
      return 'unreadable'
    }
    return { digest: reading.hasher.digest(), from: reading.from }
  }

  end (id: number): void {
    const reading = this.#open.get(id)
    this.#open.delete(id)
    if (reading !== undefined) disk.close(reading.fd)
  }

  #beginAnew (reading: OpenReread): RereadStep {
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

/** Has a worker read a file again, step by step; undefined where it cannot be read to its end. */
export async function reread (
  thread: DiskThread, file: { readonly id: number, readonly area: string, readonly path: RelativePath }, { signal, inTurn = atOnce }: RereadOptions,
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

async function atOnce<T> (step: () => Promise<T>): Promise<T> {
  return await step()
}
