import { dirname } from 'node:path'
import { FileSyncError } from '@filesync/protocol'
import * as v from 'valibot'
import type { RecordChange, RecordStore } from '../record-store.ts'
import { withFileLock } from './file-lock.ts'
import { ensureStateDir, readChangedFile, writePrivateFile } from './private-file.ts'

const VERSION = 1

export interface RecordFileInit<T> {
  readonly path: string
  /** The property that holds the list in the file. */
  readonly listName: string
  readonly schema: v.GenericSchema<unknown, T>
}

/** A change that waits for its turn. */
interface QueuedChange<T> {
  /** Resolves to the new records. Rejects if nothing is to change. */
  readonly apply: (records: readonly T[]) => Promise<readonly T[]>
  /** Called when the change is on stable storage. */
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/**
 * Records in a JSON file that several processes may use; a missing file is empty. Mode 0600, replaced atomically. Changes that
 * arrive while another is being written are written together, so that many clients at once do not wait for one write each; and
 * a file that has not changed is not read again.
 */
export function recordFile <T>(init: RecordFileInit<T>): RecordStore<T> {
  return new RecordFile(init)
}

class RecordFile<T> implements RecordStore<T> {
  readonly #init: RecordFileInit<T>
  readonly #schema: v.GenericSchema<unknown, unknown>
  #known: { readonly version: string, readonly records: readonly T[] } | undefined
  #queued: QueuedChange<T>[] = []
  #isWriting = false

  constructor (init: RecordFileInit<T>) {
    this.#init = init
    this.#schema = v.object({ version: v.literal(VERSION), [init.listName]: v.array(init.schema) })
  }

  async read (): Promise<readonly T[]> {
    const { path, listName } = this.#init
    const known = this.#known
    const file = await readChangedFile(path, known?.version)
    if (file === undefined) return []
    if (known !== undefined && file.text === undefined) return known.records
    const result = v.safeParse(this.#schema, parseJson(path, file.text ?? ''))
    if (!result.success) throw damaged(path, v.getDotPath(result.issues[0]) ?? 'the whole file', undefined)
    const records = (result.output as Record<string, readonly T[]>)[listName] ?? []
    this.#known = { version: file.version, records }
    return records
  }

  async change <R>(decide: (records: readonly T[]) => RecordChange<T, R>): Promise<R> {
    return await new Promise<R>((resolve, reject) => {
      let change: RecordChange<T, R> | undefined
      this.#queued.push({
        apply: async records => {
          const decided = decide(records)
          await decided.before?.()
          change = decided
          return decided.records
        },
        resolve: () => { if (change !== undefined) resolve(change.result) },
        reject,
      })
      void this.#writeQueued()
    })
  }

  async #writeQueued (): Promise<void> {
    if (this.#isWriting) return
    this.#isWriting = true
    const { path } = this.#init
    while (this.#queued.length > 0) {
      let taken: QueuedChange<T>[] = []
      try {
        await ensureStateDir(dirname(path))
        const written = await withFileLock(`${path}.lock`, async () => {
          taken = this.#takeQueued()
          return await this.#write(taken)
        })
        for (const { resolve } of written) resolve()
      } catch (error) {
        for (const { reject } of taken.length > 0 ? taken : this.#takeQueued()) reject(error)
      }
    }
    this.#isWriting = false
  }

  #takeQueued (): QueuedChange<T>[] {
    return this.#queued.splice(0)
  }

  /** Applies changes one after the other and writes the outcome once. Returns those that took effect; the others are rejected. */
  async #write (changes: readonly QueuedChange<T>[]): Promise<QueuedChange<T>[]> {
    const { path, listName } = this.#init
    const before = await this.read()
    let records = before
    const applied: QueuedChange<T>[] = []
    for (const change of changes) {
      try {
        records = await change.apply(records)
        applied.push(change)
      } catch (error) {
        change.reject(error)
      }
    }
    if (records !== before) await writePrivateFile(path, JSON.stringify({ version: VERSION, [listName]: records }, undefined, 2) + '\n')
    return applied
  }
}

function parseJson (path: string, text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch (cause) {
    throw damaged(path, 'not valid JSON', cause)
  }
}

function damaged (path: string, where: string, cause: unknown): FileSyncError {
  const message = `${path} is damaged (${where}). Restore it from a backup, or remove it and pair again.`
  return new FileSyncError('STATE_INVALID', message, { cause })
}
