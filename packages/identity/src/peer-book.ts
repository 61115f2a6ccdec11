import { FileSyncError, foldKey } from '@filesync/protocol'
import type { Clock } from '@filesync/protocol'
import { checkChosenArea, chooseArea } from './area.ts'
import type { Audit, AuditEvent } from './audit.ts'
import { formatDeviceId, tryParseDeviceId } from './device-id.ts'
import type { DeviceId } from './device-id.ts'
import { clientRevoked } from './pairing-refusal.ts'
import { MIN_PROTOCOL } from './peer.ts'
import type { Admission, Peer } from './peer.ts'
import type { RecordStore } from './record-store.ts'
import { isFormer, takeOver, withoutFormer } from './take-over.ts'
import type { TakenOver, TakeOverRequest } from './take-over.ts'

const SEEN_RESOLUTION_MS = 60_000

/**
 * The clients that a server knows, in any store. Every call reads the store, so a revocation takes effect at once. All
 * admissions, refusals, revocations and changes by the operator go to the audit log.
 */
export class PeerBook {
  readonly #store: RecordStore<Peer>
  readonly #clock: Clock
  readonly #audit: Audit

  constructor (store: RecordStore<Peer>, { clock, audit }: { readonly clock: Clock, readonly audit: Audit }) {
    this.#store = store
    this.#clock = clock
    this.#audit = audit
  }

  /** All peers, including revoked ones. */
  async list (): Promise<readonly Peer[]> {
    return await this.#store.read()
  }

  /** The peer with this area or full id. Throws USAGE if there is none. */
  async find (areaOrId: string): Promise<Peer> {
    return findPeer(await this.#store.read(), areaOrId)
  }

  /** The peer with a proven identity. Throws NOT_PAIRED if it is unknown, replaced or revoked. @param address for the log */
  async authorize (id: DeviceId, address: string): Promise<Peer> {
    const peers = await this.#store.read()
    const peer = peers.find(candidate => candidate.id === id)
    if (peer !== undefined && peer.revokedAtMs === undefined) return peer
    const reason = peer !== undefined
      ? 'The server has revoked this client.'
      : isFormer(peers, id) ? 'Another machine has taken over the files of this client.' : 'The server does not know this client.'
    await this.#audit.record({ event: 'refuse', reason, address, id })
    throw new FileSyncError('NOT_PAIRED', `${reason} Run "filesync-server pair" on the server, then "filesync-client pair" on the client.`)
  }

  /**
   * Adds a client and gives it an area. Durable when it resolves, and in the audit log before it takes effect. A known client
   * keeps its area. A revoked or replaced one is admitted again by a code or by hand, which are meant for it, but not by a token,
   * which it may have kept. Throws PAIRING_REFUSED.
   */
  async admit (admission: Admission): Promise<Peer> {
    const nowMs = this.#clock.nowMs()
    return await this.#store.change(peers => {
      const known = peers.find(peer => peer.id === admission.id)
      if (known !== undefined && known.revokedAtMs === undefined) {
        return { records: peers, result: known, before: this.#pairRecorder(known, admission) }
      }
      if (admission.via === 'token' && (known !== undefined || isFormer(peers, admission.id))) throw clientRevoked()
      const peer = known === undefined
        ? newPeer(peers, admission, nowMs)
        : { ...known, via: admission.via, revokedAtMs: undefined, removedAtMs: undefined }
      const others = peers.filter(other => other !== known).map(other => withoutFormer(other, admission.id))
      return { records: [...others, peer], result: peer, before: this.#pairRecorder(peer, admission) }
    })
  }

  /**
   * Gives a client an area that exists, and revokes the key that has it, both in one durable step that the audit log has before it
   * takes effect. Repeating it changes nothing. Throws PAIRING_REFUSED, also if the area is gone.
   */
  async takeOver (request: TakeOverRequest): Promise<TakenOver> {
    const nowMs = this.#clock.nowMs()
    return await this.#store.change(all => {
      const { peers, ...taken } = takeOver(all, request, nowMs)
      const { peer, replaced, left } = taken
      const { via, address } = request
      const events: AuditEvent[] = [
        ...replaced === undefined || replaced.revokedAtMs !== undefined
          ? []
          : [{ event: 'revoke', id: replaced.id, area: replaced.area, by: peer.id } as const],
        { event: 'pair', id: peer.id, area: peer.area, via, address, ...(left !== undefined && { leaves: left }) },
      ]
      return { records: peers, result: taken, before: this.#recorder(...events) }
    })
  }

  /**
   * Revokes a client by area or full id; what it stored stays. Throws USAGE if there is no such client. The audit log is written
   * afterwards: a client must not stay trusted because a log cannot be written.
   */
  async revoke (areaOrId: string): Promise<Peer> {
    const nowMs = this.#clock.nowMs()
    const outcome = await this.#update(areaOrId, peer => peer.revokedAtMs === undefined ? { ...peer, revokedAtMs: nowMs } : peer)
    await this.#audit.record({ event: 'revoke', id: outcome.id, area: outcome.area })
    return outcome
  }

  /** As {@link revoke}, and marks the client as removed: what it stored is to leave the mirror. */
  async remove (areaOrId: string): Promise<Peer> {
    const nowMs = this.#clock.nowMs()
    const outcome = await this.#update(areaOrId, peer => ({
      ...peer, revokedAtMs: peer.revokedAtMs ?? nowMs, removedAtMs: peer.removedAtMs ?? nowMs, pausedAtMs: undefined,
    }))
    await this.#audit.record({ event: 'remove', id: outcome.id, area: outcome.area })
    return outcome
  }

  /** Drops the record of a removed client, after the archive has nothing of it any more. Does nothing if it was admitted again. */
  async forget (id: DeviceId): Promise<void> {
    await this.#store.change(peers => ({
      records: peers.some(peer => isGone(peer, id)) ? peers.filter(peer => !isGone(peer, id)) : peers, result: undefined,
    }))
  }

  /** Pauses a client, or lets it push again. Throws USAGE if it is unknown or revoked. */
  async pause (areaOrId: string, isPaused: boolean): Promise<Peer> {
    const nowMs = this.#clock.nowMs()
    const outcome = await this.#update(areaOrId, peer => {
      ensureTrusted(peer)
      if ((peer.pausedAtMs !== undefined) === isPaused) return peer
      return { ...peer, pausedAtMs: isPaused ? nowMs : undefined }
    })
    await this.#audit.record({ event: isPaused ? 'pause' : 'resume', id: outcome.id, area: outcome.area })
    return outcome
  }

  /** Sets how long after a complete sync the next one is expected; undefined to derive it from past syncs. Throws USAGE. */
  async expect (areaOrId: string, expectMs: number | 'never' | undefined): Promise<Peer> {
    return await this.#update(areaOrId, peer => {
      ensureTrusted(peer)
      return { ...peer, expectMs }
    })
  }

  /**
   * Begins to rename the area of a client: durable, and in the audit log, before anything is renamed. Until {@link endRename} the
   * client keeps its area. Throws USAGE if the client is unknown or the name cannot be used.
   *
   * @param taken names that the archive has in use, with or without the area itself
   */
  async beginRename (areaOrId: string, to: string, taken: readonly string[]): Promise<Peer> {
    return await this.#store.change(peers => {
      const peer = findPeer(peers, areaOrId)
      if (peer.renamingTo === to) return { records: peers, result: peer }
      if (peer.renamingTo !== undefined) throw new FileSyncError('USAGE', `"${peer.area}" is being renamed to "${peer.renamingTo}".`)
      const others = peers.filter(other => other !== peer).flatMap(({ area, renamingTo = area }) => [area, renamingTo])
      if (to === peer.area) throw new FileSyncError('USAGE', `"${peer.area}" already has this name.`)
      checkChosenArea(to, [...others, ...taken.filter(name => name !== peer.area)])
      const renaming = { ...peer, renamingTo: to }
      return {
        records: peers.map(other => other === peer ? renaming : other), result: renaming,
        before: this.#recorder({ event: 'rename', id: peer.id, area: peer.area, to }),
      }
    })
  }

  /** Ends a renaming: the client has the new name, or, if nothing was renamed, keeps the old one. */
  async endRename (id: DeviceId, how: 'done' | 'undone'): Promise<Peer> {
    return await this.#update(formatDeviceId(id), ({ renamingTo, ...peer }) => (
      { ...peer, area: how === 'done' ? renamingTo ?? peer.area : peer.area }
    ))
  }

  /**
   * Records when and from where a peer connected last, to the minute: a client that watches its source may connect every
   * second, and a durable write each time would slow it down. Does nothing for an unknown peer.
   */
  async recordSeen (id: DeviceId, address: string): Promise<void> {
    const nowMs = this.#clock.nowMs()
    const isCurrent = (peer: Peer): boolean => peer.id !== id ||
      (peer.lastAddress === address && Math.abs(nowMs - (peer.lastSeenAtMs ?? -Infinity)) < SEEN_RESOLUTION_MS)
    if ((await this.#store.read()).every(isCurrent)) return
    await this.#store.change(peers => ({
      records: peers.map(peer => isCurrent(peer) ? peer : { ...peer, lastSeenAtMs: nowMs, lastAddress: address }),
      result: undefined,
    }))
  }

  async #update (areaOrId: string, change: (peer: Peer) => Peer): Promise<Peer> {
    return await this.#store.change(peers => {
      const peer = findPeer(peers, areaOrId)
      const changed = change(peer)
      return { records: changed === peer ? peers : peers.map(other => other === peer ? changed : other), result: changed }
    })
  }

  #pairRecorder ({ id, area }: Peer, { via, address }: Admission): () => Promise<void> {
    return this.#recorder({ event: 'pair', id, area, via, address })
  }

  #recorder (...events: readonly AuditEvent[]): () => Promise<void> {
    return async () => { for (const event of events) await this.#audit.record(event) }
  }
}

function newPeer (peers: readonly Peer[], admission: Admission, nowMs: number): Peer {
  const taken = [...peers.flatMap(({ area, renamingTo = area }) => [area, renamingTo]), ...admission.takenAreas ?? []]
  const area = chooseArea(admission.requestedName, taken)
  return { id: admission.id, area, addedAtMs: nowMs, via: admission.via, minProtocol: MIN_PROTOCOL }
}

function isGone (peer: Peer, id: DeviceId): boolean {
  return peer.id === id && peer.removedAtMs !== undefined
}

function ensureTrusted ({ area, revokedAtMs }: Peer): void {
  if (revokedAtMs !== undefined) throw new FileSyncError('USAGE', `"${area}" is revoked, so it does not connect.`)
}

function findPeer (peers: readonly Peer[], areaOrId: string): Peer {
  const id = tryParseDeviceId(areaOrId)
  const found = peers.find(peer => peer.id === id || foldKey(peer.area) === foldKey(areaOrId))
  if (found !== undefined) return found
  const names = peers.map(peer => peer.area).join(', ')
  throw new FileSyncError('USAGE', `No paired client is called "${id === undefined ? areaOrId : formatDeviceId(id)}". ` +
    (names === '' ? 'None is paired.' : `The paired clients are: ${names}.`))
}
