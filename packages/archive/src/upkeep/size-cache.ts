import type { MirrorSize } from '../archive.ts'
import type { AreaLock } from './area-lock.ts'

export interface SizeCacheInit {
  readonly lock: AreaLock
  readonly measure: () => Promise<MirrorSize>
}

/** Caches the size of a mirror between syncs. While a sync runs, the size from before it counts. */
export class SizeCache {
  readonly #init: SizeCacheInit
  #cached: { readonly syncs: number, readonly size: MirrorSize } | undefined

  constructor (init: SizeCacheInit) {
    this.#init = init
  }

  async get (): Promise<MirrorSize> {
    const { lock, measure } = this.#init
    const { syncs, isSyncing } = lock
    if (this.#cached !== undefined && (isSyncing || this.#cached.syncs === syncs)) return this.#cached.size
    const size = await measure()
    if (!isSyncing && lock.syncs === syncs) this.#cached = { syncs, size }
    return size
  }

  clear (): void {
    this.#cached = undefined
  }
}
