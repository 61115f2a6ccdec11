import { readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf, FileSyncError } from '@filesync/protocol'
import type { Clock } from '@filesync/protocol'
import * as v from 'valibot'
import { replaceFile } from '../archive/replace-file.ts'
import { withGap } from './expectation.ts'
import type { SyncGap } from './expectation.ts'

/** How the last session of one client ended. */
export interface SyncRecord {
  readonly client: string
  readonly endedAtMs: number
  /** INTERRUPTED means that nothing failed; the next session continues. */
  readonly result: 'OK' | 'PROBLEMS' | 'HALTED' | 'FAILED' | 'INTERRUPTED'
  /** Why it failed or halted. */
  readonly code?: string | undefined
  readonly message?: string | undefined
  /** How many entries were not stored, and the first of them. */
  readonly problemCount: number
  readonly problems: readonly { readonly path: string, readonly code: string, readonly message: string }[]
  /** When the client will sync again. */
  readonly nextAtMs?: number | undefined
  /** The end of the last session after which everything was stored. */
  readonly completeAtMs?: number | undefined
  /** The gaps between complete sessions, from which the usual one is derived. */
  readonly gaps?: readonly SyncGap[] | undefined
}

const FILE = 'history.json'
const VERSION = 1
/** A client that watches its tree may sync every second, and this file is only information for people. */
const WRITE_EVERY_MS = 5_000
const MAX_PROBLEMS = 20

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const record: v.GenericSchema<unknown, SyncRecord> = v.object({
  client: v.string(),
  endedAtMs: count,
  result: v.picklist(['OK', 'PROBLEMS', 'HALTED', 'FAILED', 'INTERRUPTED']),
  code: v.optional(v.string()),
  message: v.optional(v.string()),
  problemCount: count,
  problems: v.array(v.object({ path: v.string(), code: v.string(), message: v.string() })),
  nextAtMs: v.optional(count),
  completeAtMs: v.optional(count),
  gaps: v.optional(v.array(v.object({ endedAtMs: count, ms: count }))),
})
const file = v.object({ version: v.literal(VERSION), syncs: v.array(record) })

/** How the last session of each client ended. Kept in a file, so that it survives a restart. */
export class SyncHistory {
  readonly #path: string
  readonly #clock: Clock
  readonly #records: Map<string, SyncRecord>
  #cancel: (() => void) | undefined
  #writing: Promise<void> = Promise.resolve()

  private constructor (path: string, clock: Clock, records: readonly SyncRecord[]) {
    this.#path = path
    this.#clock = clock
    this.#records = new Map(records.map(known => [known.client, known]))
  }

  /**
   * Reads the file, if there is one. A damaged file is renamed and the history begins empty, because nothing depends on it and the
   * server should start. Throws STATE_INVALID if the file cannot be read or renamed.
   *
   * @param onDamaged called with the new path of a damaged file
   */
  static async open (stateDir: string, clock: Clock, onDamaged: (aside: string) => void): Promise<SyncHistory> {
    const path = join(stateDir, FILE)
    try {
      const text = await readFile(path, 'utf8')
      const records = parse(text)
      if (records === undefined) {
        const aside = `${path}.damaged`
        await rename(path, aside)
        onDamaged(aside)
      }
      return new SyncHistory(path, clock, records ?? [])
    } catch (cause) {
      if (errnoOf(cause) === 'ENOENT') return new SyncHistory(path, clock, [])
      const why = cause instanceof Error ? cause.message : String(cause)
      const todo = 'Remove it: only the times of past syncs in "filesync-server status" are lost with it.'
      throw new FileSyncError('STATE_INVALID', `${path} cannot be read: ${why}. ${todo}`, { cause })
    }
  }

  /** All records as they were written last, for a command; none if the file is missing or damaged. */
  static async peek (stateDir: string): Promise<ReadonlyMap<string, SyncRecord>> {
    const text = await readFile(join(stateDir, FILE), 'utf8').catch(() => '')
    return new Map((parse(text) ?? []).map(known => [known.client, known]))
  }

  of (client: string): SyncRecord | undefined {
    return this.#records.get(client)
  }

  /** Records the end of a session. The time of the last complete one is kept here. */
  note (ended: Omit<SyncRecord, 'completeAtMs' | 'gaps'>): void {
    const before = this.#records.get(ended.client)
    const isComplete = ended.result === 'OK'
    const completeAtMs = isComplete ? ended.endedAtMs : before?.completeAtMs
    const known = before?.gaps ?? []
    const gaps = isComplete ? withGap(known, { beforeMs: before?.completeAtMs, endedAtMs: ended.endedAtMs }) : known
    const problems = ended.problems.slice(0, MAX_PROBLEMS)
    this.#records.set(ended.client, { ...ended, problems, completeAtMs, ...(gaps.length > 0 && { gaps }) })
    this.#writeSoon()
  }

  /** Gives the record of a client another name, or drops it. */
  rename (client: string, to: string | undefined): void {
    const known = this.#records.get(client)
    if (known === undefined || client === to) return
    this.#records.delete(client)
    if (to !== undefined) this.#records.set(to, { ...known, client: to })
    this.#writeSoon()
  }

  #writeSoon (): void {
    this.#cancel ??= this.#clock.schedule(WRITE_EVERY_MS, () => {
      this.#cancel = undefined
      this.#write().catch(() => { /* the next session writes it again, and `close` throws */ })
    })
  }

  /** Writes what is not yet written. Throws STATE_INVALID. */
  async close (): Promise<void> {
    if (this.#cancel === undefined) return await this.#writing
    this.#cancel()
    this.#cancel = undefined
    await this.#write()
  }

  async #write (): Promise<void> {
    this.#writing = this.#writing.catch(() => { /* its own caller received the error */ }).then(async () => {
      try {
        await replaceFile(this.#path, JSON.stringify({ version: VERSION, syncs: [...this.#records.values()] }))
      } catch (cause) {
        const why = cause instanceof Error ? cause.message : String(cause)
        throw new FileSyncError('STATE_INVALID', `${this.#path} cannot be written: ${why}. No pushed file is lost, only the times of the ` +
          'last syncs in "filesync-server status". Make sure that its disk has room and that the server may write there.', { cause })
      }
    })
    await this.#writing
  }
}

/** Undefined if the text is not a valid history. */
function parse (text: string): readonly SyncRecord[] | undefined {
  try {
    return v.parse(file, JSON.parse(text)).syncs
  } catch {
    return undefined
  }
}
