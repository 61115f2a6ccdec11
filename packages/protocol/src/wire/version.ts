import { FileSyncError } from '../errors.ts'
import type { Hello } from './messages.ts'

/** ALPN of a session, and of pairing. */
export const ALPN_SYNC = 'filesync/2'
export const ALPN_PAIR = 'filesync-pair/1'

/** Versions of the session protocol that this package speaks. */
export const VERSIONS: readonly number[] = [2]

/** Optional abilities of version 2. */
export const FEATURES = {
  /** Digests are BLAKE3. Version 2 knows no other, and asks for it. */
  BLAKE3: 'digest-blake3',
  /** Raw frames may be compressed with zstd. */
  ZSTD: 'zstd',
  /** Tasks may ask for the rest of a file. */
  RESUME: 'resume',
  /** Tasks may ask for a difference. */
  DELTA: 'delta-fastcdc',
  /** What is sent of a file may leave holes out, and tasks may be SPARSE. */
  HOLES: 'holes',
  /** The session is one of questions. A server that can answer them names it always, a client only where it wants to ask. */
  SAFE: 'safe',
  /** The session only asks what a sync would do. Named as SAFE is. */
  PLAN: 'plan',
} as const

export type Feature = typeof FEATURES[keyof typeof FEATURES]

/** What a session runs with. */
export interface Agreement {
  readonly version: number
  readonly features: ReadonlySet<string>
}

/**
 * What two ends that greeted each other agree on: the highest version both speak and the features both name. Both ends
 * compute the same. Throws VERSION_UNSUPPORTED.
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

/** The greeting of this package's version, with every ability that `features` names, and what the clock says where it is told. */
export function hello (software: string, features: readonly Feature[], timeMs?: number): Hello {
  return { type: 'HELLO', versions: VERSIONS, features: [FEATURES.BLAKE3, ...features], software, ...(timeMs !== undefined && { timeMs }) }
}
