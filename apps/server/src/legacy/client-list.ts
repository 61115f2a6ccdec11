import { checkRelativePath, FileSyncError, isProblemCode, problem } from '@filesync/protocol'
import { LEGACY_LIMITS, parseLegacyTime } from '@filesync/protocol/legacy'
import type { Problem, RelativePath, TimeZone } from '@filesync/protocol'
import type { LegacyFile } from '@filesync/protocol/legacy'

/** What a client says that it has. */
export interface ClientList {
  /** In the client's order. */
  readonly files: ReadonlyMap<RelativePath, { readonly mtimeNs: bigint }>
  /** Paths that are refused; nothing is asked for or done under them. */
  readonly problems: readonly Problem[]
}

/**
 * Judges the list of a client, path by path, by the rules of all paths. Throws MESSAGE_INVALID for a time that is none,
 * LIMIT_EXCEEDED for too many directories.
 */
export function readClientList (listed: readonly LegacyFile[], zone: TimeZone): ClientList {
  const files = new Map<RelativePath, { readonly mtimeNs: bigint }>()
  const directories = new Set<string>()
  const problems: Problem[] = []
  for (const { path, last_mod: time } of listed) {
    const mtimeNs = readTime(time, zone)
    const fault = checkRelativePath(path)
    if (fault !== undefined) {
      problems.push(isProblemCode(fault) ? problem(path, fault) : problem(path, 'NAME_RESERVED', 'it is not a path inside the directory'))
      continue
    }
    const parents = parentsOf(path)
    if (files.has(path as RelativePath) || directories.has(path) || parents.some(parent => files.has(parent as RelativePath))) {
      problems.push(problem(path, 'NAME_COLLIDES', 'the client lists it twice, or as a file and a directory'))
      continue
    }
    files.set(path as RelativePath, { mtimeNs })
    for (const parent of parents) directories.add(parent)
    // Each path may name sixty, of which a server would hold a listing each.
    if (directories.size > LEGACY_LIMITS.listFiles) throw new FileSyncError('LIMIT_EXCEEDED', `The client lists files in more than ${LEGACY_LIMITS.listFiles} directories.`)
  }
  return { files, problems }
}

/** The moment that a message names. Throws MESSAGE_INVALID. */
export function readTime (text: string, zone: TimeZone): bigint {
  const ns = parseLegacyTime(text, zone)
  if (ns === undefined) throw new FileSyncError('MESSAGE_INVALID', 'The peer sent a time that is none.')
  return ns
}

function parentsOf (path: string): string[] {
  const parents: string[] = []
  for (let at = path.indexOf('/'); at >= 0; at = path.indexOf('/', at + 1)) parents.push(path.slice(0, at))
  return parents
}
