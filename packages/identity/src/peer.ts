import type { DeviceId } from './device-id.ts'

/** How two devices were paired. */
export type PairingMethod = 'code' | 'token' | 'manual'

/** A client that a server knows. */
export interface Peer {
  readonly id: DeviceId
  /** Its directory in the archive and its name, unique among all peers. It cannot change it; the operator can. */
  readonly area: string
  readonly addedAtMs: number
  readonly via: PairingMethod
  /** The lowest protocol version that is used with it; never lowered. */
  readonly minProtocol: number
  readonly lastSeenAtMs?: number | undefined
  readonly lastAddress?: string | undefined
  /** Set once it is revoked. The record stays, so that its area is not given to another client. */
  readonly revokedAtMs?: number | undefined
  /** The keys that had this area before, the oldest first. A token does not admit them. */
  readonly formerIds?: readonly DeviceId[] | undefined
  /** The id of the token by which it took over the area. */
  readonly takenBy?: string | undefined
  /** Set while the operator wants it to push nothing. */
  readonly pausedAtMs?: number | undefined
  /** How long after a complete sync the next one is expected; absent if that is derived from its past syncs. */
  readonly expectMs?: number | 'never' | undefined
  /** The name that its area is being given. Until that is done, it has no session. */
  readonly renamingTo?: string | undefined
  /** Set once the operator removed it: its files leave with their versions, and the record with the last of them. */
  readonly removedAtMs?: number | undefined
}

/** A client to add. */
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
