import { FileSyncError, foldKey } from '@filesync/protocol'
import type { Clock } from '@filesync/protocol'
import { chooseArea } from './area.ts'
import type { Audit } from './audit.ts'
import { formatDeviceId, readDeviceId } from './device-id.ts'
import type { DeviceId } from './device-id.ts'
import { refuseRevoked } from './refuse-client.ts'
import type { RecordStore } from './record-store.ts'

/** How a peer came to be trusted. */
export type Introduction = 'code' | 'token' | 'manual'

/** A client that a server knows. */
export interface Peer {
  readonly id: DeviceId
  /** Its folder in the archive and its name, unique among all peers. Chosen when it was paired, and by nothing it says later. */
  readonly area: string
  readonly addedAtMs: number
  readonly via: Introduction
  /** The least protocol version it is spoken to in; never lowered. */
  readonly minProtocol: number
  readonly lastSeenAtMs?: number | undefined
  readonly lastAddress?: string | undefined
  /** Set when it was revoked. The record stays, so that its area is not given to another. */
  readonly revokedAtMs?: number | undefined
}

export interface Admission {
  readonly id: DeviceId
  /** The name that it or the operator wishes for it. */
  readonly wish: string
  readonly via: Introduction
  /** Where it came from, for the log; nothing where it was introduced by hand. */
  readonly address?: string | undefined
  /** Folders in the archive's root that no new client may be given. */
  readonly takenAreas?: readonly string[]
}

export const MIN_PROTOCOL = 2
const SEEN_RESOLUTION_MS = 60_000

/**
 * The clients that a server knows, over any store. Every question reads the store, so a revocation counts at once. Whom
 * it lets in, turns away or puts out is in the audit log, whoever asked.
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

  /** All peers, revoked ones too. */
  async list (): Promise<readonly Peer[]> {
    return await this.#store.read()
  }

  /** The peer of an identity that was proven. Throws NOT_PAIRED where it is unknown or revoked. @param address for the log */
  async judge (id: DeviceId, address: string): Promise<Peer> {
    const peer = (await this.#store.read()).find(candidate => candidate.id === id)
    if (peer !== undefined && peer.revokedAtMs === undefined) return peer
    const reason = peer === undefined ? 'The server does not know this client.' : 'The server has revoked this client.'
    await this.#audit.record({ event: 'refuse', reason, address, id })
    throw new FileSyncError('NOT_PAIRED', `${reason} On the server run "filesync-server pair", then on the client "filesync-client pair".`)
  }

  /**
   * Makes a client known and gives it an area; durable when it resolves, and in the audit log before it holds. One that is known keeps its area. A revoked one
   * is let back in by a code or by hand, which are meant for it, but not by a token, which it may have kept.
   * Throws PAIRING_REFUSED.
   */
  async admit (admission: Admission): Promise<Peer> {
    const nowMs = this.#clock.nowMs()
    return await this.#store.change(peers => {
      const known = peers.find(peer => peer.id === admission.id)
      if (known !== undefined && known.revokedAtMs === undefined) return { records: peers, result: known, before: this.#recordPair(known, admission) }
      if (known !== undefined && admission.via === 'token') {
        throw refuseRevoked()
      }
      const peer = known === undefined ? newPeer(peers, admission, nowMs) : { ...known, via: admission.via, revokedAtMs: undefined }
      return { records: [...peers.filter(other => other !== known), peer], result: peer, before: this.#recordPair(peer, admission) }
    })
  }

  #recordPair ({ id, area }: Peer, { via, address }: Admission): () => Promise<void> {
    return async () => { await this.#audit.record({ event: 'pair', id, area, via, address }) }
  }

  /**
   * Makes a client unknown again, by area or full id; what it stored stays. Throws USAGE where there is no such peer. The audit log
   * comes second here: nobody stays trusted because a log cannot be written.
   */
  async revoke (areaOrId: string): Promise<Peer> {
    const nowMs = this.#clock.nowMs()
    const outcome = await this.#store.change(peers => {
      const peer = findPeer(peers, areaOrId)
      if (peer.revokedAtMs !== undefined) return { records: peers, result: peer }
      const revoked = { ...peer, revokedAtMs: nowMs }
      return { records: peers.map(other => other === peer ? revoked : other), result: revoked }
    })
    await this.#audit.record({ event: 'revoke', id: outcome.id, area: outcome.area })
    return outcome
  }

  /**
   * Notes when and from where a peer came last, to the minute: a client that watches its tree comes every second, and a
   * durable write each time would slow it. A peer that is not in the book stays out of it.
   */
  async noteSeen (id: DeviceId, address: string): Promise<void> {
    const nowMs = this.#clock.nowMs()
    const isNoted = (peer: Peer): boolean => peer.id !== id ||
      (peer.lastAddress === address && Math.abs(nowMs - (peer.lastSeenAtMs ?? -Infinity)) < SEEN_RESOLUTION_MS)
    if ((await this.#store.read()).every(isNoted)) return
    await this.#store.change(peers => ({
      records: peers.map(peer => isNoted(peer) ? peer : { ...peer, lastSeenAtMs: nowMs, lastAddress: address }),
      result: undefined,
    }))
  }
}

function newPeer (peers: readonly Peer[], admission: Admission, nowMs: number): Peer {
  const taken = [...peers.map(peer => peer.area), ...admission.takenAreas ?? []]
  return { id: admission.id, area: chooseArea(admission.wish, taken), addedAtMs: nowMs, via: admission.via, minProtocol: MIN_PROTOCOL }
}

function findPeer (peers: readonly Peer[], areaOrId: string): Peer {
  const id = readDeviceId(areaOrId)
  const found = peers.find(peer => peer.id === id || foldKey(peer.area) === foldKey(areaOrId))
  if (found !== undefined) return found
  const names = peers.map(peer => peer.area).join(', ')
  throw new FileSyncError('USAGE', `No paired client is called "${id === undefined ? areaOrId : formatDeviceId(id)}". ` +
    (names === '' ? 'None is paired.' : `The paired clients are: ${names}.`))
}
