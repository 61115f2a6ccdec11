import { findArea } from './area.ts'
import type { DeviceId } from './device-id.ts'
import { areaGone, clientRevoked, pairingRefused } from './pairing-refusal.ts'
import { MIN_PROTOCOL } from './peer.ts'
import type { Admission, Peer } from './peer.ts'

/** A client that is to continue an area that exists. */
export interface TakeOverRequest extends Omit<Admission, 'requestedName' | 'takenAreas'> {
  /** The area, as the operator's code or token names it. */
  readonly area: string
  /** Areas that the archive has. One of them may have no peer any more. */
  readonly archived: readonly string[]
  /** The token that admits it. */
  readonly token?: { readonly id: string, readonly isRepeated: boolean } | undefined
}

/** What a takeover did. */
export interface TakenOver {
  readonly peer: Peer
  /** The client that had the area; its key is no longer trusted. Undefined if nobody had it, or the same client. */
  readonly replaced?: Peer | undefined
  /** The area that the same key had before; no key has it now. */
  readonly left?: string | undefined
}

/** A machine that is reinstalled every week forgets the keys of the last year. */
const MAX_FORMER = 64

/**
 * The book in which a client has an area that exists, and no other key has it. Throws PAIRING_REFUSED: a token admits neither a
 * revoked or replaced key, which may have kept it, nor the same key twice.
 */
export function takeOver (
  peers: readonly Peer[], request: TakeOverRequest, nowMs: number,
): TakenOver & { readonly peers: readonly Peer[] } {
  const { id, via, token } = request
  const known = peers.find(peer => peer.id === id)
  if (via === 'token' && (known?.revokedAtMs !== undefined || isFormer(peers, id))) throw clientRevoked()
  if (token?.isRepeated === true && known?.takenBy !== undefined) {
    if (known.takenBy === token.id) return { peers, peer: known }
    throw pairingRefused('the token was used before')
  }
  const area = findArea(request.area, [...peers.map(peer => peer.area), ...request.archived])
  if (area === undefined) throw areaGone(request.area)
  const owner = peers.find(peer => peer.area === area)
  if (owner?.renamingTo !== undefined || known?.renamingTo !== undefined) throw pairingRefused('its area is being renamed')
  if (owner !== undefined && owner === known && owner.revokedAtMs === undefined) return { peers, peer: owner }
  const former = [...owner?.formerIds ?? [], ...owner === undefined || owner.id === id ? [] : [owner.id]].filter(other => other !== id)
  const peer: Peer = {
    id, area, addedAtMs: nowMs, via, minProtocol: MIN_PROTOCOL,
    ...(former.length > 0 && { formerIds: former.slice(-MAX_FORMER) }),
    ...(owner?.expectMs !== undefined && { expectMs: owner.expectMs }),
    ...(token !== undefined && { takenBy: token.id }),
  }
  const replaced = owner?.id === id ? undefined : owner
  const left = known === undefined || known.area === area ? undefined : known.area
  const others = peers.filter(other => other !== owner && other !== known).map(other => withoutFormer(other, id))
  return { peers: [...others, peer], peer, replaced, left }
}

/** Whether another key took over the area that this one had. */
export function isFormer (peers: readonly Peer[], id: DeviceId): boolean {
  return peers.some(({ formerIds }) => formerIds?.includes(id))
}

/** A key that is admitted again, with an area of its own, is no longer one that was replaced. */
export function withoutFormer (peer: Peer, id: DeviceId): Peer {
  return peer.formerIds?.includes(id) === true ? { ...peer, formerIds: peer.formerIds.filter(former => former !== id) } : peer
}
