import { isoTime, parseIsoTime } from './iso-time.ts'

/** What the name of a folder in versions tells. */
export interface VersionFolder {
  /** The number of the sync that put things away there. */
  readonly count: number
  /** The server's clock when that sync began, milliseconds since the Unix epoch. */
  readonly stampMs: number
  /** 0, and more for what the sync put away from a path for the second time. */
  readonly extra: number
}

/** The name of a folder in versions: sortable by the order of syncs whatever their clocks said, readable, and a name on every file system. */
export function versionFolder ({ count, stampMs, extra }: VersionFolder): string {
  const stamp = isoTime(stampMs).replaceAll(':', '.')
  return `${String(count).padStart(10, '0')}-${stamp}${extra === 0 ? '' : `~${String(extra)}`}`
}

/** What a name tells, or undefined if it is none of these. */
export function parseVersionFolder (name: string): VersionFolder | undefined {
  const [, count, day, minute, second, extra] = /^(\d{10,})-(\d{4,6}-\d\d-\d\dT\d\d)\.(\d\d)\.(\d\d\.\d{3}Z)(?:~(\d+))?$/.exec(name) ?? []
  const stampMs = parseIsoTime(`${day ?? ''}:${minute ?? ''}:${second ?? ''}`)
  return stampMs === undefined ? undefined : { count: Number(count), stampMs, extra: Number(extra ?? 0) }
}

/** Newest first. */
export function compareFolders (left: VersionFolder, right: VersionFolder): number {
  return right.count - left.count || right.extra - left.extra
}
