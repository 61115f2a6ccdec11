import type { Peer } from '@filesync/identity'
import type { SyncRecord } from './sync-history.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** Gaps that ended longer ago no longer count. */
const REMEMBERED_MS = 28 * DAY_MS
/** By default a client is late this long after its usual rhythm. */
const BEYOND_MS = 24 * HOUR_MS
/** Shorter gaps between two complete syncs are not recorded. */
const LEAST_GAP_MS = HOUR_MS

/** The longest gap between two complete syncs that ended on one day. */
export interface SyncGap {
  readonly endedAtMs: number
  readonly ms: number
}

/** When the next complete sync of a client is expected. */
export interface Expectation {
  /** The usual gap between two complete syncs; see {@link usualGapMs}. */
  readonly usualGapMs: number
  /** Undefined if none is expected. */
  readonly dueAtMs: number | undefined
}

/**
 * The usual gap between two complete syncs: the second longest of the daily maxima of the last 28 days. So weekends count, and a
 * single holiday does not. With only one maximum it is that one; 0 with none.
 */
export function usualGapMs (gaps: readonly SyncGap[], nowMs: number): number {
  const recent = gaps.filter(({ endedAtMs }) => nowMs - endedAtMs < REMEMBERED_MS).map(({ ms }) => ms).sort((a, b) => b - a)
  return recent[1] ?? recent[0] ?? 0
}

/** The gaps after a further complete sync. */
export function withGap (
  gaps: readonly SyncGap[], { beforeMs, endedAtMs }: { readonly beforeMs: number | undefined, readonly endedAtMs: number },
): readonly SyncGap[] {
  if (beforeMs === undefined || endedAtMs - beforeMs < LEAST_GAP_MS) return gaps
  const ms = endedAtMs - beforeMs
  const dayOf = (timeMs: number): number => Math.floor(timeMs / DAY_MS)
  const same = gaps.find(gap => dayOf(gap.endedAtMs) === dayOf(endedAtMs))
  if (same !== undefined && same.ms >= ms) return gaps
  return [...gaps.filter(gap => gap !== same && endedAtMs - gap.endedAtMs < REMEMBERED_MS), { endedAtMs, ms }]
}

/** What is expected of a client: what the operator set, otherwise a complete sync within 24 h beyond its usual gap. */
export function expectationOf (
  peer: Pick<Peer, 'addedAtMs' | 'expectMs' | 'pausedAtMs' | 'revokedAtMs'>, last: SyncRecord | undefined, nowMs: number,
): Expectation {
  const usual = usualGapMs(last?.gaps ?? [], nowMs)
  const { expectMs, addedAtMs, pausedAtMs, revokedAtMs } = peer
  if (expectMs === 'never' || pausedAtMs !== undefined || revokedAtMs !== undefined) return { usualGapMs: usual, dueAtMs: undefined }
  const sinceMs = Math.max(addedAtMs, last?.completeAtMs ?? 0)
  return { usualGapMs: usual, dueAtMs: sinceMs + (expectMs ?? usual + BEYOND_MS) }
}
