import { checkRelativePath, FileSyncError, isProblemCode, problem } from '@filesync/protocol'
import { LEGACY_LIMITS, parseLegacyTime } from '@filesync/protocol/legacy'
import type { Problem, RelativePath, TimeZone } from '@filesync/protocol'
import type { LegacyFile } from '@filesync/protocol/legacy'

/** The files that a client listed. */
export interface ClientList {
  /** In the client's order. */
  readonly files: ReadonlyMap<RelativePath, { readonly mtimeNs: bigint }>
  /** Paths that are refused; they are neither requested nor stored. */
  readonly problems: readonly Problem[]
}

/**
 * Checks a client's list against the rules for names and paths. Throws MESSAGE_INVALID for an invalid time, and LIMIT_EXCEEDED for
 * too many directories.
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
    // Each path may contain sixty directories, and the server keeps a listing for each in memory.
    if (directories.size > LEGACY_LIMITS.listFiles) {
      throw new FileSyncError('LIMIT_EXCEEDED', `The client lists files in more than ${LEGACY_LIMITS.listFiles} directories.`)
    }
  }
  return { files, problems }
}

/** Parses a time in a message. Throws MESSAGE_INVALID. */
export function readTime (text: string, zone: TimeZone): bigint {
  const ns = parseLegacyTime(text, zone)
  if (ns === undefined) throw new FileSyncError('MESSAGE_INVALID', 'The peer sent an invalid time.')
  return ns
}

function parentsOf (path: string): string[] {
  const parents: string[] = []
  for (let at = path.indexOf('/'); at >= 0; at = path.indexOf('/', at + 1)) parents.push(path.slice(0, at))
  return parents
}
