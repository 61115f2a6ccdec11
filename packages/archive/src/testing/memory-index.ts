import type { RelativePath } from '@filesync/protocol'
import type { AreaRecord, ArchiveIndex, DamageRecord, DirectoryKey, IndexWrite } from '../store/archive-index.ts'
import { FACT_BYTES } from '../store/facts.ts'
import type { StoredDirectory } from '../store/fold.ts'
import type { Batch } from '../store/section.ts'

/** The twin in memory of the index on disk. */
export class MemoryIndex implements ArchiveIndex {
  readonly #directories = new Map<string, Map<string, StoredDirectory>>()
  readonly #records = new Map<string, AreaRecord>()
  readonly #journals = new Map<string, Map<number, Batch>>()
  readonly #signatures = new Map<string, Uint8Array>()
  readonly #damages = new Map<string, Map<RelativePath, readonly DamageRecord[]>>()

  write (writes: readonly IndexWrite[]): Promise<void> {
    for (const write of writes) this.#apply(write)
    return Promise.resolve()
  }

  directory ({ area, directory }: DirectoryKey): StoredDirectory | undefined {
    return this.#directories.get(area)?.get(directory)
  }

  listing (key: DirectoryKey): Uint8Array | undefined {
    return this.directory(key)?.listing
  }

  directories (area: string, after?: RelativePath): { readonly directory: RelativePath, readonly files: number }[] {
    return [...this.#directories.get(area) ?? []]
      .map(([directory, { facts }]) => ({ directory: directory as RelativePath, files: facts.length / FACT_BYTES }))
      .filter(({ directory }) => after === undefined || directory > after)
      .sort((a, b) => a.directory < b.directory ? -1 : 1)
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

  #forget (area: string): void {
    for (const each of [...this.#byArea, this.#records]) each.delete(area)
    for (const key of [...this.#signatures.keys()]) if (key.startsWith(`${area}\u0001`)) this.#signatures.delete(key)
  }

  #apply (write: IndexWrite): void {
    if ('put' in write) {
      const area = this.#directories.get(write.put.area) ?? new Map<string, StoredDirectory>()
      this.#directories.set(write.put.area, area.set(write.put.directory, write.stored))
    } else if ('drop' in write) {
      const { area, directory } = write.drop
      const directories = this.#directories.get(area)
      directories?.delete(directory)
      for (const path of directories?.keys() ?? []) if (write.recursive && path.startsWith(`${directory}/`)) directories?.delete(path)
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
