import { FileSyncError } from '../errors.ts'
import type { Hello } from './messages.ts'

/** ALPN of a session, and of pairing. */
export const ALPN_SYNC = 'filesync/2'
export const ALPN_PAIR = 'filesync-pair/1'

/** Versions of the session protocol that this package speaks. */
export const VERSIONS: readonly number[] = [2]

/** Optional features of version 2. */
export const FEATURES = {
  /** Digests are BLAKE3. Version 2 has no other and requires it. */
  BLAKE3: 'digest-blake3',
  /** Raw frames may be compressed with zstd. */
  ZSTD: 'zstd',
  /** Tasks may request the rest of a file. */
  RESUME: 'resume',
  /** Tasks may request a file as a delta. */
  DELTA: 'delta-fastcdc',
  /** Holes of a file need not be sent, and tasks may be SPARSE. */
  HOLES: 'holes',
  /** The session is a safe check. A server that supports it always names it, a client only to request one. */
  SAFE: 'safe',
  /** The session only computes a plan. Named as SAFE is. */
  PLAN: 'plan',
  /** The client reads its own files and their history. Named as SAFE is, but not by a server that forbids it. */
  RESTORE: 'restore',
} as const

export type Feature = typeof FEATURES[keyof typeof FEATURES]

/** The version and the features of a session. */
export interface Agreement {
  readonly version: number
  readonly features: ReadonlySet<string>
}

/**
 * Derives the highest version that both ends speak and the features that both name from their HELLO messages. Both ends get the
 * same result. Throws VERSION_UNSUPPORTED.
 */
export function negotiate (ours: Hello, theirs: Hello): Agreement {
  const version = Math.max(...ours.versions.filter(candidate => theirs.versions.includes(candidate)))
  if (!Number.isFinite(version)) {
    throw new FileSyncError('VERSION_UNSUPPORTED', 'The two ends speak different versions of the protocol ' +
      `(here ${ours.versions.join(', ')}; there ${theirs.versions.join(', ')}). Update the older one.`)
  }
  const features = new Set(ours.features.filter(feature => theirs.features.includes(feature)))
  if (!features.has(FEATURES.BLAKE3)) {
    throw new FileSyncError('VERSION_UNSUPPORTED', 'The other end does not support BLAKE3 digests, which this program requires.')
  }
  return { version, features }
}

/** HELLO of this package's versions with BLAKE3 and `features`, and with the sender's time if `timeMs` is given. */
export function hello (software: string, features: readonly Feature[], timeMs?: number): Hello {
  return { type: 'HELLO', versions: VERSIONS, features: [FEATURES.BLAKE3, ...features], software, ...(timeMs !== undefined && { timeMs }) }
}
