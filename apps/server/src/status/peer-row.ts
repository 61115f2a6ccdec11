import { formatDeviceId } from '@filesync/identity'
import type { Peer } from '@filesync/identity'
import type { Clone } from './clone-watch.ts'
import { expectationOf } from './expectation.ts'
import type { SyncRecord } from './sync-history.ts'

/** A stored file that is altered, damaged or missing. */
interface DamageRow {
  readonly path: string
  readonly what: string
  readonly foundAt: string
}

/** A client and the state of its files. Times are ISO 8601, or null for never. */
export interface PeerRow {
  readonly client: string
  readonly id: string
  readonly pairedAt: string
  readonly lastSeenAt: string | null
  readonly lastAddress: string | null
  /** The end of the last sync after which everything was stored. */
  readonly lastCompleteAt: string | null
  readonly lastEndedAt: string | null
  readonly lastResult: Lowercase<SyncRecord['result']> | null
  readonly message: string | null
  readonly nextSyncAt: string | null
  readonly problemCount: number
  readonly problems: SyncRecord['problems']
  /** Milliseconds after a complete sync within which the operator expects the next one; null for 24 h beyond `usualGapMs`. */
  readonly expectMs: number | 'never' | null
  /** The usual gap between two complete syncs, milliseconds. */
  readonly usualGapMs: number
  /** When the next complete sync is due; null if none is expected. */
  readonly dueAt: string | null
  readonly late: boolean
  /** Since when the operator has paused it. */
  readonly pausedAt: string | null
  /** Two machines seem to use its key: since when, and from which addresses. */
  readonly cloned: { readonly since: string, readonly addresses: readonly string[] } | null
  /** Whether the mass-change brake has halted the client. */
  readonly halted: boolean
  /** Stored files that are altered, damaged or missing, and not yet repaired: how many, and the first of them. */
  readonly damage: { readonly count: number, readonly first: readonly DamageRow[] }
  readonly revokedAt: string | null
  /** Since when its files leave with their versions, because the operator removed it. */
  readonly removedAt: string | null
}

/** The part of a row that does not need the archive. */
export type PeerState = Omit<PeerRow, 'halted' | 'damage'>

/** What is known of a client besides its record. */
export interface PeerKnowledge {
  readonly last: SyncRecord | undefined
  readonly clone: Clone | undefined
  readonly nowMs: number
}

export function peerState (peer: Peer, { last, clone, nowMs }: PeerKnowledge): PeerState {
  const { id, area, addedAtMs, lastSeenAtMs, lastAddress, expectMs, pausedAtMs, revokedAtMs, removedAtMs } = peer
  const { usualGapMs, dueAtMs } = expectationOf(peer, last, nowMs)
  return {
    client: area,
    id: formatDeviceId(id),
    pairedAt: new Date(addedAtMs).toISOString(),
    // The peer book does not record each of several arrivals in quick succession.
    lastSeenAt: isoTime(lastSeenAtMs === undefined ? undefined : Math.max(lastSeenAtMs, last?.endedAtMs ?? 0)),
    lastAddress: lastAddress ?? null,
    lastCompleteAt: isoTime(last?.completeAtMs),
    lastEndedAt: isoTime(last?.endedAtMs),
    lastResult: last === undefined ? null : last.result.toLowerCase() as Lowercase<SyncRecord['result']>,
    message: last?.message ?? null,
    nextSyncAt: isoTime(last?.nextAtMs),
    problemCount: last?.problemCount ?? 0,
    problems: last?.problems ?? [],
    expectMs: expectMs ?? null,
    usualGapMs,
    dueAt: isoTime(dueAtMs),
    late: dueAtMs !== undefined && nowMs > dueAtMs,
    pausedAt: isoTime(pausedAtMs),
    cloned: clone === undefined ? null : { since: new Date(clone.sinceMs).toISOString(), addresses: clone.addresses },
    revokedAt: isoTime(revokedAtMs),
    removedAt: isoTime(removedAtMs),
  }
}

function isoTime (timeMs: number | undefined): string | null {
  return timeMs === undefined ? null : new Date(timeMs).toISOString()
}
