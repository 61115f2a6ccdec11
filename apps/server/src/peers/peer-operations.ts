import type { Archive } from '@filesync/archive'
import { findArea, formatDeviceId } from '@filesync/identity'
import type { DeviceId, Peer, PeerBook } from '@filesync/identity'
import type { EventLog } from '@filesync/program'
import { asFileSyncError, FileSyncError } from '@filesync/protocol'
import { archivedAreas } from '../archive/archive-operations.ts'
import type { SyncHistory } from '../status/sync-history.ts'

export type OperatedArchive = Pick<Archive, 'areas' | 'dropArea' | 'ensurePresent' | 'renameArea' | 'retireArea' | 'takenNames'>

export interface PeerOperationsInit {
  readonly peers: PeerBook
  readonly archive: OperatedArchive
  readonly history: Pick<SyncHistory, 'rename'>
  readonly log: EventLog
  /** Whether a client has an open connection; never if no server runs. */
  readonly isConnected?: (peer: DeviceId) => boolean
  /** Ends the connections of a client. */
  readonly endSessions?: (peer: DeviceId, error: FileSyncError) => Promise<void>
}

/** What `peers remove` did. */
export interface RemovedPeer {
  readonly area: string
  /** Files that moved to versions. */
  readonly files: number
  /** Whether nothing of it was or is left, so that its name is free again. */
  readonly isGone: boolean
}

const RETRY_MS = 1000

/**
 * What the operator does with the clients of a server, in the peer book and in the archive. What a crash interrupts is completed by
 * {@link settle}, or when the client connects.
 */
export class PeerOperations {
  readonly #init: PeerOperationsInit
  /** The clients that may have no session, because their area is being renamed. */
  readonly #renaming = new Set<DeviceId>()
  /** The areas that were renamed since the program started. A connection may have read the book before that. */
  readonly #renamed = new Map<DeviceId, string>()

  constructor (init: PeerOperationsInit) {
    this.#init = init
  }

  /**
   * The client as its session has to see it; to be called immediately before the session begins. Completes a renaming that a crash
   * interrupted. Throws SERVER_BUSY while its area is being renamed.
   */
  async admit (peer: Peer): Promise<Peer> {
    if (peer.renamingTo !== undefined && !this.#renaming.has(peer.id)) await this.#alone(peer, async () => await this.#complete(peer))
    return peer
  }

  /** As {@link admit}, without waiting: between this call and the beginning of the session nothing else may run. */
  ensureAdmitted (peer: Peer): Peer {
    if (this.#renaming.has(peer.id)) throw busy(`"${peer.area}" is being renamed.`)
    const area = this.#renamed.get(peer.id)
    return area === undefined ? peer : { ...peer, area }
  }

  /** Renames the area of a client. Throws USAGE, and SERVER_BUSY while a session of it runs or waits. */
  async rename (areaOrId: string, to: string): Promise<{ readonly from: string, readonly to: string }> {
    const { peers, archive, isConnected } = this.#init
    const peer = await peers.find(areaOrId)
    return await this.#alone(peer, async () => {
      if (isConnected?.(peer.id) === true) {
        throw busy(`A session of "${peer.area}" is running or waiting. Try again when it has ended; "filesync-server status" shows it.`)
      }
      await archive.ensurePresent('path')
      return await this.#complete(await peers.beginRename(formatDeviceId(peer.id), to, await archive.takenNames()))
    })
  }

  /** Revokes a client, and moves its files to versions. */
  async remove (areaOrId: string): Promise<RemovedPeer> {
    const { peers, archive, log } = this.#init
    await archive.ensurePresent('path')
    const { area, id, renamingTo } = await peers.find(areaOrId)
    if (renamingTo !== undefined) throw busy(`"${area}" is being renamed.`)
    await peers.remove(formatDeviceId(id))
    log({ event: 'removed', area, id: formatDeviceId(id) }, `${area} is removed: its key is revoked, and its files move to versions`)
    await this.#init.endSessions?.(id, new FileSyncError('NOT_PAIRED', 'The server has removed this client.'))
    const files = await archive.retireArea(area)
    return { area, files, isGone: await this.#dropIfEmpty(area, id) }
  }

  /** Revokes a client; its files stay. */
  async revoke (areaOrId: string): Promise<Peer> {
    const peer = await this.#init.peers.revoke(areaOrId)
    this.#init.log({ event: 'revoked', area: peer.area, id: formatDeviceId(peer.id) }, `revoked ${peer.area}`)
    await this.#init.endSessions?.(peer.id, new FileSyncError('NOT_PAIRED', 'The server has revoked this client.'))
    return peer
  }

  /** Pauses a client, which ends its sessions, or lets it push again. */
  async pause (areaOrId: string, isPaused: boolean): Promise<Peer> {
    const peer = await this.#init.peers.pause(areaOrId, isPaused)
    const { area, id } = peer
    const what = isPaused ? 'is paused' : 'may push again'
    this.#init.log({ event: isPaused ? 'paused' : 'resumed', area, id: formatDeviceId(id) }, `${area} ${what}`)
    const error = new FileSyncError('PAUSED', 'The operator of the server has paused this client. What arrived is stored.', {
      retryInMs: RETRY_MS,
    })
    if (isPaused) await this.#init.endSessions?.(id, error)
    return peer
  }

  async expect (areaOrId: string, expectMs: number | 'never' | undefined): Promise<Peer> {
    return await this.#init.peers.expect(areaOrId, expectMs)
  }

  /** The area that a name or full id means, also of one that has no key any more. Throws USAGE if there is none. */
  async area (named: string): Promise<string> {
    const { peers, archive } = this.#init
    const known = await peers.list()
    const byId = await peers.find(named).then(peer => known.find(({ id }) => id === peer.id)?.area, () => undefined)
    const all = [...new Set([...known.map(peer => peer.area), ...archivedAreas(archive.areas(), await archive.takenNames())])]
    const found = findArea(byId ?? named, all)
    if (found !== undefined) return found
    const usable = all.filter(name => findArea(name, all) === name).join(', ')
    const what = `There is no client "${named}" whose files another machine could continue.`
    throw new FileSyncError('USAGE', `${what} ${usable === '' ? 'There are none yet.' : `There are: ${usable}.`}`)
  }

  /** Completes what a crash interrupted, and forgets removed clients that have nothing left. */
  async settle (): Promise<void> {
    const { peers, archive, log } = this.#init
    for (const peer of await peers.list()) {
      try {
        if (peer.renamingTo !== undefined) await this.#alone(peer, async () => await this.#complete(peer))
        else if (peer.removedAtMs !== undefined) {
          await archive.retireArea(peer.area)
          await this.#dropIfEmpty(peer.area, peer.id)
        }
      } catch (error) {
        const { code, message } = asFileSyncError(error)
        if (code === 'ABORTED') return
        const text = `${peer.area}: renaming or removing it is not complete: ${message}`
        log({ event: 'peer-unsettled', area: peer.area, code, message }, text)
      }
    }
  }

  async #alone <T>(peer: Peer, work: () => Promise<T>): Promise<T> {
    if (this.#renaming.has(peer.id)) throw busy(`"${peer.area}" is being renamed.`)
    this.#renaming.add(peer.id)
    try {
      return await work()
    } finally {
      this.#renaming.delete(peer.id)
    }
  }

  async #complete ({ id, area, renamingTo }: Peer): Promise<{ readonly from: string, readonly to: string }> {
    const { peers, archive, history, log } = this.#init
    const to = renamingTo ?? area
    try {
      await archive.renameArea(area, to)
    } catch (error) {
      if (asFileSyncError(error).code === 'USAGE') await peers.endRename(id, 'undone')
      throw error
    }
    this.#renamed.set(id, to)
    await peers.endRename(id, 'done')
    history.rename(area, to)
    log({ event: 'renamed', area, to, id: formatDeviceId(id) }, `${area} is called ${to} from now on`)
    return { from: area, to }
  }

  async #dropIfEmpty (area: string, id: DeviceId): Promise<boolean> {
    const { archive, peers, history, log } = this.#init
    if (!await archive.dropArea(area)) return false
    await peers.forget(id)
    history.rename(area, undefined)
    log({ event: 'gone', area, id: formatDeviceId(id) }, `${area} is gone: the last version of its files has expired`)
    return true
  }
}

function busy (message: string): FileSyncError {
  return new FileSyncError('SERVER_BUSY', message, { retryInMs: RETRY_MS })
}
