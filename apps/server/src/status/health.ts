import type { Archive } from '@filesync/archive'
import type { PairingDesk, PeerBook } from '@filesync/identity'
import { asFileSyncError } from '@filesync/protocol'
import type { Clock } from '@filesync/protocol'
import type { CloneWatch } from './clone-watch.ts'
import { peerState } from './peer-row.ts'
import type { PeerRow } from './peer-row.ts'
import type { SessionBoard, SessionRow } from './session-board.ts'
import type { SessionQueue } from '../schedule/session-queue.ts'
import type { SyncHistory } from './sync-history.ts'

/** A client that waits for its turn. */
export interface QueueRow {
  readonly client: string
  /** 1 is next. */
  readonly position: number
  readonly estimateMs: number | null
}

/** How many damaged files a status lists. */
const DAMAGE_SHOWN = 10
const UNSYNCED: Pick<PeerRow, 'halted' | 'damage'> = { halted: false, damage: { count: 0, first: [] } }

/** The disk of the archive, and what is stored there. */
export interface DiskReport {
  readonly totalBytes: number
  readonly freeBytes: number
  /** How much of the free bytes is never used. */
  readonly reserveBytes: number
  /** The limit of each client's mirror; null for none. */
  readonly quotaBytes: number | null
  /** All mirrors together, without versions. */
  readonly files: number
  readonly bytes: number
  readonly areas: readonly { readonly client: string, readonly files: number, readonly bytes: number }[]
}

/** The state of the server, as `status` prints it. */
export interface Status {
  readonly id: string
  readonly name: string
  readonly version: string
  readonly port: number
  readonly discovery: boolean
  readonly archive: string
  readonly startedAt: string
  readonly pairing: boolean
  /** Names of the clients that have their turn, and of those that wait. */
  readonly active: readonly string[]
  readonly queued: readonly string[]
  readonly sessions: readonly SessionRow[]
  readonly queue: readonly QueueRow[]
  readonly peers: readonly PeerRow[]
  /** Null while the archive is unavailable. */
  readonly disk: DiskReport | null
  /** Why the archive is unavailable; null while it is available. */
  readonly away: string | null
}

export interface HealthInit {
  readonly archive: Archive
  readonly desk: PairingDesk
  readonly peers: PeerBook
  readonly queue: SessionQueue
  readonly board: SessionBoard
  readonly history: SyncHistory
  readonly clones: CloneWatch
  readonly clock: Clock
  readonly quotaBytes: number | undefined
  readonly describe: () => Pick<Status, 'id' | 'name' | 'version' | 'port' | 'discovery' | 'archive' | 'startedAt'>
}

/** Collects the state of the server for `status`, for other programs, and for metrics. */
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
    return this.#init.queue.places.map(({ identity, position, estimateMs }) => (
      { client: names.get(identity) ?? identity, position, estimateMs: estimateMs ?? null }
    ))
  }

  async peers (): Promise<PeerRow[]> {
    const { archive, peers, history, clones, clock } = this.#init
    const synced = new Set(archive.areas())
    const nowMs = clock.nowMs()
    return await Promise.all((await peers.list()).map(async peer => ({
      ...peerState(peer, { last: history.of(peer.area), clone: clones.of(peer.id), nowMs }),
      // Asking for an area that was never synced would create it.
      ...synced.has(peer.area) ? await this.#areaState(peer.area) : UNSYNCED,
    })))
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
      return { disk: null, away: unavailableMessage(error) }
    }
  }

  async #areaState (name: string): Promise<Pick<PeerRow, 'halted' | 'damage'>> {
    try {
      const area = await this.#init.archive.area(name)
      const { count, first } = area.damage()
      const shown = first.slice(0, DAMAGE_SHOWN)
      const rows = shown.map(({ path, what, foundAtMs }) => ({ path, what, foundAt: new Date(foundAtMs).toISOString() }))
      return { halted: area.halted !== undefined, damage: { count, first: rows } }
    } catch (error) {
      unavailableMessage(error)
      return UNSYNCED
    }
  }

  async #names (): Promise<Map<string, string>> {
    return new Map((await this.#init.peers.list()).map(({ id, area }) => [id as string, area]))
  }
}

/** Why the archive is unavailable. Rethrows any other error. */
function unavailableMessage (error: unknown): string {
  const { code, message } = asFileSyncError(error)
  if (code !== 'ARCHIVE_UNAVAILABLE' && code !== 'ABORTED') throw error
  return message
}
