import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { ARCHIVE_ID_FILE, archiveIdOf, FileSyncError, splitFolder } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import type { Folder } from '../folder.ts'

interface FoundArchive {
  /** Absolute. */
  readonly path: string
  readonly id: string
}

/** The archives that contain a directory, at any depth. */
function archivesAround (root: string): FoundArchive[] {
  const found: FoundArchive[] = []
  for (let at = dirname(root); ; at = dirname(at)) {
    const id = archiveIdAt(at)
    if (id !== undefined) found.push({ path: at, id })
    if (dirname(at) === at) return found
  }
}

export interface OwnArchiveCheck {
  readonly folders: readonly Folder[]
  /** The archives that the scan found in the folders; paths of the whole tree. */
  readonly archives: readonly { readonly path: RelativePath, readonly id: string }[]
  /** The id of the server's archive, if the server sent it. */
  readonly archiveId: string | undefined
}

/** Throws USAGE if a folder contains the server's archive, or is inside it. */
export function refuseOwnArchive ({ folders, archives, archiveId }: OwnArchiveCheck): void {
  if (archiveId === undefined) return
  const inside = archives.find(({ id }) => id === archiveId)
  if (inside !== undefined) {
    const { folder, path } = splitFolder(inside.path)
    const root = folders.find(({ name }) => name === folder)?.root ?? folder
    const what = `The directory to push, ${root}, contains the archive of the server, ${join(root, path)}`
    throw new FileSyncError('USAGE', `${what}, so each push would send what the previous one stored. ` +
      'Move the archive elsewhere, push other directories, or exclude the archive with a rule in .filesyncignore.')
  }
  for (const { root } of folders) {
    const around = archivesAround(root).find(({ id }) => id === archiveId)
    if (around === undefined) continue
    throw new FileSyncError('USAGE', `The directory to push, ${root}, is inside the archive of the server, ${around.path}. ` +
      'Push the original directory instead of its copy.')
  }
}

function archiveIdAt (directory: string): string | undefined {
  try {
    return archiveIdOf(readFileSync(join(directory, '.filesync', ARCHIVE_ID_FILE), 'utf8'))
  } catch {
    // There is no archive, or this user may not read its id and thus none of its files either.
    return undefined
  }
}
