import type { Archive } from '@filesync/archive'
import { formatDeviceId } from '@filesync/identity'
import type { PairingDesk, PeerBook } from '@filesync/identity'
import { asFileSyncError } from '@filesync/protocol'
import type { SessionBoard, SessionRow } from './session-board.ts'
import type { SessionQueue } from '../schedule/session-queue.ts'
import type { SyncHistory, SyncRecord } from './sync-history.ts'

/** A client that waits for its turn. */
export interface QueueRow {
  readonly client: string
  /** 1 is next. */
  readonly position: number
  readonly estimateMs: number | null
}

/** A client, and how its files are. Times are ISO 8601, null for never. */
export interface PeerRow {
  readonly client: string
  readonly id: string
  readonly lastSeenAt: string | null
  readonly lastAddress: string | null
  /** After that sync everything was stored. */
  readonly lastCompleteAt: string | null
  readonly lastEndedAt: string | null
  readonly lastResult: Lowercase<SyncRecord['result']> | null
  readonly message: string | null
  readonly nextSyncAt: string | null
  readonly problemCount: number
  readonly problems: SyncRecord['problems']
  /** The mass-change brake holds. */
  readonly halted: boolean
  /** What is known not to be as it was stored, and is not mended: how much, and the first of it. */
  readonly damage: { readonly count: number, readonly first: readonly { readonly path: string, readonly what: string, readonly foundAt: string }[] }
  readonly revokedAt: string | null
}

/** Damage that a status names one by one. */
const DAMAGE_SHOWN = 10
const UNSYNCED: Pick<PeerRow, 'halted' | 'damage'> = { halted: false, damage: { count: 0, first: [] } }

export interface DiskReport {
  readonly totalBytes: number
  readonly freeBytes: number
  /** Of the free bytes, those that are never used. */
  readonly reserveBytes: number
  /** Of each client's folder; null for any size. */
  readonly quotaBytes: number | null
  /** All mirrors together, without versions. */
  readonly files: number
  readonly bytes: number
  readonly areas: readonly { readonly client: string, readonly files: number, readonly bytes: number }[]
}

/** What the server says of itself. */
export interface Status {
  readonly id: string
  readonly name: string
  readonly version: string
  readonly port: number
  readonly discovery: boolean
  readonly archive: string
  readonly startedAt: string
  readonly pairing: boolean
  /** Names of those who are served, and of those who wait. */
  readonly active: readonly string[]
  readonly queued: readonly string[]
  readonly sessions: readonly SessionRow[]
  readonly queue: readonly QueueRow[]
  readonly peers: readonly PeerRow[]
  /** Null while the archive is away. */
  readonly disk: DiskReport | null
  /** Why the archive is away; null while it is here. */
  readonly away: string | null
}

export interface HealthInit {
  readonly archive: Archive
  readonly desk: PairingDesk
  readonly peers: PeerBook
  readonly queue: SessionQueue
  readonly board: SessionBoard
  readonly history: SyncHistory
  readonly quotaBytes: number | undefined
  readonly describe: () => Pick<Status, 'id' | 'name' | 'version' | 'port' | 'discovery' | 'archive' | 'startedAt'>
}

/** Answers how the server is: for `status`, for programs, and for metrics. */
export class Health {
  readonly #init: HealthInit

  constructor (init: HealthInit) {
    this.#init = init
  }

  get sessions (): readonly SessionRow[] {
    return this.#init.board.rows
  }

  async queue (): Promise<QueueRow[]> {
    const names = await this.#names()
    return this.#init.queue.places.map(({ identity, position, estimateMs }) => ({ client: names.get(identity) ?? identity, position, estimateMs: estimateMs ?? null }))
  }

  async peers (): Promise<PeerRow[]> {
    const { archive, peers, history } = this.#init
    const synced = new Set(archive.areas())
    return await Promise.all((await peers.list()).map(async ({ id, area, lastSeenAtMs, lastAddress, revokedAtMs }) => {
      const last = history.of(area)
      return {
        client: area,
        id: formatDeviceId(id),
        // Of arrivals that follow each other only the first is written down.
        lastSeenAt: isoTime(lastSeenAtMs === undefined ? undefined : Math.max(lastSeenAtMs, last?.endedAtMs ?? 0)),
        lastAddress: lastAddress ?? null,
        lastCompleteAt: isoTime(last?.completeAtMs),
        lastEndedAt: isoTime(last?.endedAtMs),
        lastResult: last === undefined ? null : last.result.toLowerCase() as Lowercase<SyncRecord['result']>,
        message: last?.message ?? null,
        nextSyncAt: isoTime(last?.nextAtMs),
        problemCount: last?.problemCount ?? 0,
        problems: last?.problems ?? [],
        // An area that was never synced would be made by asking for it.
        ...synced.has(area) ? await this.#condition(area) : UNSYNCED,
        revokedAt: isoTime(revokedAtMs),
      }
    }))
  }

  async disk (): Promise<DiskReport> {
    const { archive, quotaBytes } = this.#init
    const room = await archive.room()
    const areas: { client: string, files: number, bytes: number }[] = []
    for (const client of archive.areas()) areas.push({ client, ...await (await archive.area(client)).size() })
    const sum = (of: 'files' | 'bytes'): number => areas.reduce((total, area) => total + area[of], 0)
    return { ...room, quotaBytes: quotaBytes ?? null, files: sum('files'), bytes: sum('bytes'), areas }
  }

  async status (): Promise<Status> {
    const { desk, queue, describe } = this.#init
    const names = await this.#names()
    const all = queue.identities.map(identity => names.get(identity) ?? identity)
    return {
      ...describe(),
      pairing: desk.isOpen,
      active: all.slice(0, queue.activeCount),
      queued: all.slice(queue.activeCount),
      sessions: this.sessions,
      queue: await this.queue(),
      peers: await this.peers(),
      ...await this.#archive(),
    }
  }

  async #archive (): Promise<Pick<Status, 'disk' | 'away'>> {
    try {
      return { disk: await this.disk(), away: null }
    } catch (error) {
      return { disk: null, away: awayMessage(error) }
    }
  }

  async #condition (name: string): Promise<Pick<PeerRow, 'halted' | 'damage'>> {
    try {
      const area = await this.#init.archive.area(name)
      const { count, first } = area.damage()
      const named = first.slice(0, DAMAGE_SHOWN).map(({ path, what, foundAtMs }) => ({ path, what, foundAt: new Date(foundAtMs).toISOString() }))
      return { halted: area.halted !== undefined, damage: { count, first: named } }
    } catch (error) {
      awayMessage(error)
      return UNSYNCED
    }
  }

  async #names (): Promise<Map<string, string>> {
    return new Map((await this.#init.peers.list()).map(({ id, area }) => [id as string, area]))
  }
}

/** Throws what is not about an archive that is away. */
function awayMessage (error: unknown): string {
  const { code, message } = asFileSyncError(error)
  if (code !== 'ARCHIVE_UNAVAILABLE' && code !== 'ABORTED') throw error
  return message
}

function isoTime (timeMs: number | undefined): string | null {
  return timeMs === undefined ? null : new Date(timeMs).toISOString()
}
