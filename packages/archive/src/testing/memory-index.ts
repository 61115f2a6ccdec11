import type { Digest, Name, RelativePath } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import type { AreaRecord, ArchiveIndex, DamageRecord, DirectoryKey, IndexWrite } from '../store/archive-index.ts'
import type { StoredDirectory } from '../store/fold.ts'
import type { Batch } from '../store/section.ts'
import { digestOfStored } from '../store/stored-pages.ts'
import type { FoundPage, StoredPages } from '../store/stored-pages.ts'
import { getOrInsert } from './get-or-insert.ts'
import { MemoryDirectories } from './memory-directories.ts'

/** The twin in memory of the index on disk. */
export class MemoryIndex implements ArchiveIndex {
  readonly stepBytes: number = 1 << 20
  readonly #directories = new Map<string, MemoryDirectories>()
  readonly #records = new Map<string, AreaRecord>()
  readonly #journals = new Map<string, Map<number, Batch>>()
  readonly #signatures = new Map<string, Uint8Array>()
  readonly #damages = new Map<string, Map<RelativePath, readonly DamageRecord[]>>()

  async write (writes: readonly IndexWrite[]): Promise<void> {
    for (const write of writes) this.#apply(write)
  }

  directory ({ area, directory }: DirectoryKey): StoredDirectory | undefined {
    return this.#directories.get(area)?.directory(directory)
  }

  listing ({ area, directory }: DirectoryKey): Uint8Array | undefined {
    return this.#directories.get(area)?.listing(directory)
  }

  stored ({ area, directory }: DirectoryKey): StoredDirectory | StoredPages | undefined {
    return this.#directories.get(area)?.stored(directory)
  }

  pages ({ area, directory }: DirectoryKey): StoredPages | undefined {
    return this.#directories.get(area)?.pages(directory)
  }

  page ({ area, directory }: DirectoryKey, name: Name): FoundPage | undefined {
    return this.#directories.get(area)?.page(directory, name)
  }

  digest (key: DirectoryKey): Digest | undefined {
    const stored = this.stored(key)
    return stored === undefined ? undefined : digestOfStored(stored, hashBytes)
  }

  directories (area: string, after?: RelativePath): { readonly directory: RelativePath, readonly files: number }[] {
    const all = this.#directories.get(area)?.list() ?? []
    return all.filter(({ directory }) => after === undefined || directory > after)
  }

  areas (): string[] {
    return [...this.#records.keys()].sort()
  }

  area (area: string): AreaRecord | undefined {
    return this.#records.get(area)
  }

  journal (area: string): { readonly number: number, readonly batch: Batch }[] {
    return [...this.#journals.get(area) ?? []].sort(([a], [b]) => a - b).map(([number, batch]) => ({ number, batch }))
  }

  signature (area: string, path: RelativePath): Uint8Array | undefined {
    return this.#signatures.get(`${area}\u0001${path}`)
  }

  damages (area: string): { readonly path: RelativePath, readonly records: readonly DamageRecord[] }[] {
    return [...this.#damages.get(area) ?? []].map(([path, records]) => ({ path, records })).sort((a, b) => a.path < b.path ? -1 : 1)
  }

  damagesAt (area: string, path: RelativePath): readonly DamageRecord[] {
    return this.#damages.get(area)?.get(path) ?? []
  }

  close (): Promise<void> {
    return Promise.resolve()
  }

  get #byArea (): Map<string, unknown>[] {
    return [this.#directories, this.#journals, this.#damages]
  }

  #in (area: string): MemoryDirectories {
    return getOrInsert(this.#directories, area, () => new MemoryDirectories())
  }

  #forget (area: string): void {
    for (const each of [...this.#byArea, this.#records]) each.delete(area)
    for (const key of [...this.#signatures.keys()]) if (key.startsWith(`${area}\u0001`)) this.#signatures.delete(key)
  }

  #apply (write: IndexWrite): void {
    if ('put' in write) {
      this.#in(write.put.area).put(write.put.directory, write.stored)
    } else if ('patch' in write) {
      this.#in(write.patch.area).patch(write.patch.directory, write.leaves)
    } else if ('rewrite' in write) {
      this.#in(write.rewrite.area).rewrite(write.rewrite.directory, write.pages)
    } else if ('drop' in write) {
      this.#in(write.drop.area).drop(write.drop.directory, write.recursive)
    } else if ('renamedTo' in write) {
      const { renamingTo: _, ...record } = this.#records.get(write.area) ?? { open: false, lastStampMs: 0 }
      for (const each of this.#byArea) rekey(each, write.area, write.renamedTo)
      for (const [key, signature] of [...this.#signatures]) {
        if (key.startsWith(`${write.area}\u0001`)) this.#signatures.set(write.renamedTo + key.slice(write.area.length), signature)
      }
      this.#forget(write.area)
      this.#records.set(write.renamedTo, record)
    } else if ('forgotten' in write) {
      this.#forget(write.area)
    } else if ('record' in write) {
      this.#records.set(write.area, write.record)
    } else if ('journal' in write) {
      const journal = this.#journals.get(write.area) ?? new Map<number, Batch>()
      this.#journals.set(write.area, journal)
      if (write.batch === undefined) journal.delete(write.journal)
      else journal.set(write.journal, write.batch)
    } else if ('damages' in write) {
      const damages = this.#damages.get(write.area) ?? new Map<RelativePath, readonly DamageRecord[]>()
      this.#damages.set(write.area, damages)
      if (write.damages.length === 0) damages.delete(write.path)
      else damages.set(write.path, write.damages)
    } else if (write.signature === undefined) {
      this.#signatures.delete(`${write.area}\u0001${write.path}`)
    } else {
      this.#signatures.set(`${write.area}\u0001${write.path}`, write.signature)
    }
  }
}

function rekey (map: Map<string, unknown>, from: string, to: string): void {
  if (map.has(from)) map.set(to, map.get(from))
}
