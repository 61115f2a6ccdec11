import { FileSyncError, foldKey } from '@filesync/protocol'
import type { Clock } from '@filesync/protocol'
import { chooseArea } from './area.ts'
import type { Audit } from './audit.ts'
import { formatDeviceId, tryParseDeviceId } from './device-id.ts'
import type { DeviceId } from './device-id.ts'
import { clientRevoked } from './pairing-refusal.ts'
import type { RecordStore } from './record-store.ts'

/** How two devices were paired. */
export type PairingMethod = 'code' | 'token' | 'manual'

/** A client that a server knows. */
export interface Peer {
  readonly id: DeviceId
  /** Its directory in the archive and its name, unique among all peers. Chosen when it was paired; it cannot change it later. */
  readonly area: string
  readonly addedAtMs: number
  readonly via: PairingMethod
  /** The lowest protocol version that is used with it; never lowered. */
  readonly minProtocol: number
  readonly lastSeenAtMs?: number | undefined
  readonly lastAddress?: string | undefined
  /** Set once it is revoked. The record stays, so that its area is not given to another client. */
  readonly revokedAtMs?: number | undefined
}

export interface Admission {
  readonly id: DeviceId
  /** The name that the client or the operator asks for. */
  readonly requestedName: string
  readonly via: PairingMethod
  /** Where it connected from, for the log; undefined if it was added by hand. */
  readonly address?: string | undefined
  /** Directories in the archive's root that no new client may be given. */
  readonly takenAreas?: readonly string[]
}

export const MIN_PROTOCOL = 2
const SEEN_RESOLUTION_MS = 60_000

/**
 * The clients that a server knows, in any store. Every call reads the store, so a revocation takes effect at once. All
 * admissions, refusals and revocations go to the audit log.
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

  /** The peer with a proven identity. Throws NOT_PAIRED if it is unknown or revoked. @param address for the log */
  async authorize (id: DeviceId, address: string): Promise<Peer> {
    const peer = (await this.#store.read()).find(candidate => candidate.id === id)
    if (peer !== undefined && peer.revokedAtMs === undefined) return peer
    const reason = peer === undefined ? 'The server does not know this client.' : 'The server has revoked this client.'
    await this.#audit.record({ event: 'refuse', reason, address, id })
    throw new FileSyncError('NOT_PAIRED', `${reason} Run "filesync-server pair" on the server, then "filesync-client pair" on the client.`)
  }

  /**
   * Adds a client and gives it an area. Durable when it resolves, and in the audit log before it takes effect. A known client
   * keeps its area. A revoked one is admitted again by a code or by hand, which are meant for it, but not by a token, which it
   * may have kept. Throws PAIRING_REFUSED.
   */
  async admit (admission: Admission): Promise<Peer> {
    const nowMs = this.#clock.nowMs()
    return await this.#store.change(peers => {
      const known = peers.find(peer => peer.id === admission.id)
      if (known !== undefined && known.revokedAtMs === undefined) {
        return { records: peers, result: known, before: this.#pairRecorder(known, admission) }
      }
      if (known !== undefined && admission.via === 'token') throw clientRevoked()
      const peer = known === undefined ? newPeer(peers, admission, nowMs) : { ...known, via: admission.via, revokedAtMs: undefined }
      return { records: [...peers.filter(other => other !== known), peer], result: peer, before: this.#pairRecorder(peer, admission) }
    })
  }

  #pairRecorder ({ id, area }: Peer, { via, address }: Admission): () => Promise<void> {
    return async () => { await this.#audit.record({ event: 'pair', id, area, via, address }) }
  }

  /**
   * Revokes a client by area or full id; what it stored stays. Throws USAGE if there is no such client. The audit log is written
   * afterwards: a client must not stay trusted because a log cannot be written.
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
}

function newPeer (peers: readonly Peer[], admission: Admission, nowMs: number): Peer {
  const taken = [...peers.map(peer => peer.area), ...admission.takenAreas ?? []]
  const area = chooseArea(admission.requestedName, taken)
  return { id: admission.id, area, addedAtMs: nowMs, via: admission.via, minProtocol: MIN_PROTOCOL }
}

function findPeer (peers: readonly Peer[], areaOrId: string): Peer {
  const id = tryParseDeviceId(areaOrId)
  const found = peers.find(peer => peer.id === id || foldKey(peer.area) === foldKey(areaOrId))
  if (found !== undefined) return found
  const names = peers.map(peer => peer.area).join(', ')
  throw new FileSyncError('USAGE', `No paired client is called "${id === undefined ? areaOrId : formatDeviceId(id)}". ` +
    (names === '' ? 'None is paired.' : `The paired clients are: ${names}.`))
}
