import { isoTime, parseIsoTime } from './iso-time.ts'

/** The parts of the name of a folder in versions. */
export interface VersionFolder {
  /** Number of the sync that moved entries there. */
  readonly count: number
  /** When that sync began by the server's clock, milliseconds since the Unix epoch. */
  readonly stampMs: number
  /** 0; more for entries that the sync moved from a path for a further time. */
  readonly extra: number
}

/** Makes the name of a folder in versions: readable, valid on every file system, and sorted by sync even if the clock was set back. */
export function versionFolder ({ count, stampMs, extra }: VersionFolder): string {
  const stamp = isoTime(stampMs).replaceAll(':', '.')
  return `${String(count).padStart(10, '0')}-${stamp}${extra === 0 ? '' : `~${String(extra)}`}`
}

/** Parses the name of a folder in versions; undefined if it is none. */
export function parseVersionFolder (name: string): VersionFolder | undefined {
  const [, count, day, minute, second, extra] = /^(\d{10,})-(\d{4,6}-\d\d-\d\dT\d\d)\.(\d\d)\.(\d\d\.\d{3}Z)(?:~(\d+))?$/.exec(name) ?? []
  const stampMs = parseIsoTime(`${day ?? ''}:${minute ?? ''}:${second ?? ''}`)
  return stampMs === undefined ? undefined : { count: Number(count), stampMs, extra: Number(extra ?? 0) }
}

/** Newest first. */
export function compareFolders (left: VersionFolder, right: VersionFolder): number {
  return right.count - left.count || right.extra - left.extra
}
