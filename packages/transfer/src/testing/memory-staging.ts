import { equalDigests, FileSyncError, problem, readPack } from '@filesync/protocol'
import type { Digest, FileDigest, RelativePath, StagedFile, StageOutcome, StagingArea } from '@filesync/protocol'
import type { Hashing } from './memory-source.ts'

/** What outlives a session: committed files and partials. */
export class MemoryStore {
  readonly files: Map<RelativePath, Uint8Array> = new Map<RelativePath, Uint8Array>()
  readonly partial: Map<RelativePath, Uint8Array> = new Map<RelativePath, Uint8Array>()
}

export interface MemoryStagingInit extends Hashing {
  readonly store: MemoryStore
  readonly pathOf: (task: number) => RelativePath
}

/** A staging area in memory, for one session. Whole files can be committed, partials resumed. */
export class MemoryStaging implements StagingArea {
  readonly #init: MemoryStagingInit
  /** Files that are staged whole. */
  readonly staged: Map<RelativePath, Uint8Array> = new Map<RelativePath, Uint8Array>()

  constructor (init: MemoryStagingInit) {
    this.#init = init
  }

  /** Moves whole staged files to the committed files. */
  commit (): void {
    for (const [path, bytes] of this.staged) {
      this.#init.store.files.set(path, bytes)
      this.#init.store.partial.delete(path)
    }
    this.staged.clear()
  }

  async stagePack (pack: Uint8Array<ArrayBuffer>): Promise<readonly StageOutcome[]> {
    const outcomes: StageOutcome[] = []
    for (const { task, digest, content } of readPack(pack)) outcomes.push(this.stage(task, content.slice(), digest))
    // The real one transfers the buffer to its thread, so callers must not use it afterwards.
    structuredClone(pack.buffer, { transfer: [pack.buffer] })
    return outcomes
  }

  async compareDigests (files: readonly FileDigest[]): Promise<readonly StageOutcome[]> {
    const { store, pathOf, hashBytes } = this.#init
    return files.map(({ task, digest }) => {
      const present = store.files.get(pathOf(task))
      const isSame = present !== undefined && equalDigests(hashBytes(present), digest)
      return isSame ? { task, bytes: present.length } : { task, bytes: 0, isWantedAgain: true }
    })
  }

  async beginFile (task: number, offset: number): Promise<StagedFile> {
    const { store, pathOf } = this.#init
    const path = pathOf(task)
    const prefix = offset === 0 ? new Uint8Array(0) : store.partial.get(path)?.slice(0, offset)
    if (prefix?.length !== offset) throw new FileSyncError('INTERNAL', 'There is no partial to resume at this offset.')
    return new MemoryStagedFile({ area: this, store, path, task, prefix })
  }

  stage (task: number, content: Uint8Array, digest: Uint8Array): StageOutcome {
    const path = this.#init.pathOf(task)
    if (!equalDigests(this.#init.hashBytes(content), digest)) return { task, bytes: 0, problem: problem(path, 'DIGEST_MISMATCH') }
    this.staged.set(path, content)
    return { task, bytes: content.length }
  }
}

interface MemoryStagedFileInit {
  readonly area: MemoryStaging
  readonly store: MemoryStore
  readonly path: RelativePath
  readonly task: number
  readonly prefix: Uint8Array
}

class MemoryStagedFile implements StagedFile {
  readonly #init: MemoryStagedFileInit
  #pieces: Uint8Array[]
  #isBusy = false
  #isOver = false

  constructor (init: MemoryStagedFileInit) {
    this.#init = init
    this.#pieces = [init.prefix]
  }

  async write (bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    await this.#exclusive(() => {
      this.#pieces.push(bytes.slice())
      structuredClone(bytes.buffer, { transfer: [bytes.buffer] })
    })
  }

  async hole (lengthBytes: number): Promise<void> {
    await this.#exclusive(() => { this.#pieces.push(new Uint8Array(lengthBytes)) })
  }

  async copy (offset: number, lengthBytes: number): Promise<void> {
    await this.#exclusive(() => {
      const present = this.#init.store.files.get(this.#init.path) ?? new Uint8Array(0)
      if (offset + lengthBytes > present.length) {
        throw new FileSyncError('DATA_UNEXPECTED', 'The client copies from beyond the end of the current file.')
      }
      this.#pieces.push(present.slice(offset, offset + lengthBytes))
    })
  }

  async finish (digest: Digest): Promise<StageOutcome> {
    return await this.#exclusive(() => {
      this.#isOver = true
      const { area, store, path, task } = this.#init
      const outcome = area.stage(task, join(this.#pieces), digest)
      if (outcome.problem !== undefined) store.partial.delete(path)
      return outcome
    })
  }

  async abandon (): Promise<void> {
    await this.#exclusive(() => {
      this.#isOver = true
      this.#init.store.partial.set(this.#init.path, join(this.#pieces))
    })
  }

  // Detects a caller that does not await its previous call.
  async #exclusive<T> (work: () => T): Promise<T> {
    if (this.#isBusy || this.#isOver) throw new FileSyncError('INTERNAL', 'A staged file was used concurrently, or after its end.')
    this.#isBusy = true
    await Promise.resolve()
    this.#isBusy = false
    return work()
  }
}

function join (pieces: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0))
  let at = 0
  for (const piece of pieces) {
    whole.set(piece, at)
    at += piece.length
  }
  return whole
}
