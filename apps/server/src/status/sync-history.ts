import { readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf, FileSyncError } from '@filesync/protocol'
import type { Clock } from '@filesync/protocol'
import * as v from 'valibot'
import { replaceFile } from '../archive/replace-file.ts'

/** How the last session of one client ended. */
export interface SyncRecord {
  readonly client: string
  readonly endedAtMs: number
  /** INTERRUPTED: by no fault; it goes on with the next one. */
  readonly result: 'OK' | 'PROBLEMS' | 'HALTED' | 'FAILED' | 'INTERRUPTED'
  /** Why it failed or halted. */
  readonly code?: string | undefined
  readonly message?: string | undefined
  /** How many entries were not stored, and the first of them. */
  readonly problemCount: number
  readonly problems: readonly { readonly path: string, readonly code: string, readonly message: string }[]
  /** When the client is to come again. */
  readonly nextAtMs?: number | undefined
  /** The end of the last session after which everything was stored. */
  readonly completeAtMs?: number | undefined
}

const FILE = 'history.json'
const VERSION = 1
/** A client that watches its tree comes every second, and this is no promise but a help for people. */
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
})
const file = v.object({ version: v.literal(VERSION), syncs: v.array(record) })

/** How the last session of each client ended, also before this server was started. */
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
   * Reads what there is. A damaged file is laid aside under another name: nothing rests on it, and clients wait for the
   * server. Throws STATE_INVALID where it cannot be read or laid aside.
   *
   * @param onDamaged is told the path under which it lies then
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
      throw new FileSyncError('STATE_INVALID', `${path} cannot be read: ${why}. Remove it: nothing but the times of past syncs in "filesync-server status" is lost with it.`, { cause })
    }
  }

  of (client: string): SyncRecord | undefined {
    return this.#records.get(client)
  }

  /** A session is over. What the last complete one was is known already. */
  note (ended: Omit<SyncRecord, 'completeAtMs'>): void {
    const completeAtMs = ended.result === 'OK' ? ended.endedAtMs : this.#records.get(ended.client)?.completeAtMs
    this.#records.set(ended.client, { ...ended, problems: ended.problems.slice(0, MAX_PROBLEMS), completeAtMs })
    this.#cancel ??= this.#clock.schedule(WRITE_EVERY_MS, () => {
      this.#cancel = undefined
      this.#write().catch(() => { /* it is written again with the next session, and `close` tells */ })
    })
  }

  /** Writes what is not written yet. */
  async close (): Promise<void> {
    if (this.#cancel === undefined) return await this.#writing
    this.#cancel()
    this.#cancel = undefined
    await this.#write()
  }

  async #write (): Promise<void> {
    this.#writing = this.#writing.catch(() => { /* told to whoever asked for that one */ }).then(async () => {
      try {
        await replaceFile(this.#path, JSON.stringify({ version: VERSION, syncs: [...this.#records.values()] }))
      } catch (cause) {
        const why = cause instanceof Error ? cause.message : String(cause)
        throw new FileSyncError('STATE_INVALID', `${this.#path} cannot be written: ${why}. Nothing that clients pushed is lost, only the times of the last syncs in "filesync-server status". ` +
          'See that its disk has room and that the server may write there.', { cause })
      }
    })
    await this.#writing
  }
}

/** Undefined where the text is no history. */
function parse (text: string): readonly SyncRecord[] | undefined {
  try {
    return v.parse(file, JSON.parse(text)).syncs
  } catch {
    return undefined
  }
}
