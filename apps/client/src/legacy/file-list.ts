import { FileSyncError, joinPath, problem, readListing, ROOT_PATH } from '@filesync/protocol'
import { encodeLegacyMessage, formatLegacyTime, LEGACY_LIMITS } from '@filesync/protocol/legacy'
import type { FileEntry, Problem, RelativePath, TimeZone } from '@filesync/protocol'
import type { LegacyFilesInfo } from '@filesync/protocol/legacy'
import type { PushableTree } from '../push/push-session.ts'

/** A file that the server may ask for. */
export interface ListedFile {
  readonly directory: RelativePath
  readonly entry: FileEntry
}

/** A tree as the original protocol can represent it. */
export interface FileList {
  /** In the order of the list. */
  readonly files: ReadonlyMap<RelativePath, ListedFile>
  /** Entries that the original protocol cannot carry. */
  readonly problems: readonly Problem[]
}

/** The files of a tree. Those that are still being written come last, so that they do not delay the others. */
export function listFiles (tree: PushableTree): FileList {
  const settled = new Map<RelativePath, ListedFile>()
  const unsettled = new Map<RelativePath, ListedFile>()
  const problems: Problem[] = []
  const below: RelativePath[] = [ROOT_PATH]
  for (let directory = below.pop(); directory !== undefined; directory = below.pop()) {
    const listing = tree.listing(directory)
    if (listing === undefined) throw new FileSyncError('INTERNAL', `The scan has no listing of ${JSON.stringify(directory)}.`)
    let isEmpty = true
    for (const entry of readListing(listing)) {
      isEmpty = false
      const path = joinPath(directory, entry.name)
      if (entry.kind === 'directory') below.push(path)
      else if (entry.kind === 'file') (tree.isUnsettled(path) ? unsettled : settled).set(path, { directory, entry })
      else problems.push(problem(path, 'NOT_CARRIED', 'it is a symbolic link'))
    }
    if (isEmpty && directory !== ROOT_PATH) problems.push(problem(directory, 'NOT_CARRIED', 'it is an empty directory'))
  }
  return { files: new Map([...settled, ...unsettled]), problems }
}

/**
 * CLIENT_FILES_INFO for these files. Throws LIMIT_EXCEEDED if it is longer than the original server reads: the rest would be cut
 * off, and the server deletes every file that is not in the list.
 */
export function describeFiles (files: FileList['files'], clientId: string | null, zone: TimeZone): LegacyFilesInfo {
  const info: LegacyFilesInfo = {
    type: 'CLIENT_FILES_INFO',
    client_id: clientId,
    files: [...files].map(([path, { entry }]) => ({ name: entry.name, path, last_mod: formatLegacyTime(entry.mtimeNs, zone) })),
  }
  const sizeBytes = encodeLegacyMessage(info).length
  if (sizeBytes <= LEGACY_LIMITS.recvBytes) return info
  throw new FileSyncError('LIMIT_EXCEEDED', `The list of ${files.size} files takes ${sizeBytes} bytes, ` +
    `but the original server reads only ${LEGACY_LIMITS.recvBytes} of them, which is about 70 files. ` +
    'Push a smaller directory, or use the current server, which has no such limit.')
}
