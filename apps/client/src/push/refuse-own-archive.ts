import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { ARCHIVE_ID_FILE, archiveIdOf, FileSyncError } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'

/** An archive that the directory to push holds or lies in; absolute path. */
interface NearArchive {
  readonly path: string
  readonly id: string
}

/** Archives in whose folders a directory lies, however deep. */
function archivesAround (root: string): NearArchive[] {
  const found: NearArchive[] = []
  for (let at = dirname(root); ; at = dirname(at)) {
    const id = archiveIdAt(at)
    if (id !== undefined) found.push({ path: at, id })
    if (dirname(at) === at) return found
  }
}

export interface OwnArchiveCheck {
  readonly root: string
  /** What a scan found in it. */
  readonly archives: readonly { readonly path: RelativePath, readonly id: string }[]
  /** The id of the server's archive, if it told. */
  readonly archiveId: string | undefined
}

/** Throws USAGE where the server's archive lies in the directory to push, or that directory in the archive. */
export function refuseOwnArchive ({ root, archives, archiveId }: OwnArchiveCheck): void {
  if (archiveId === undefined) return
  const inside = archives.find(({ id }) => id === archiveId)
  if (inside !== undefined) {
    const where = `The directory to push, ${root}, holds the archive of the server, ${join(root, inside.path)}`
    throw new FileSyncError('USAGE', `${where}, so each push would push what the last one stored. ` +
      'Move the archive elsewhere, push other directories, or leave the archive out with a rule in .filesyncignore.')
  }
  const around = archivesAround(root).find(({ id }) => id === archiveId)
  if (around === undefined) return
  throw new FileSyncError('USAGE', `The directory to push, ${root}, lies in the archive of the server, ${around.path}. Push the original directory instead of its copy.`)
}

function archiveIdAt (directory: string): string | undefined {
  try {
    return archiveIdOf(readFileSync(join(directory, '.filesync', ARCHIVE_ID_FILE), 'utf8'))
  } catch {
    // There is none, or none that this user may read, and then none of its files either.
    return undefined
  }
}
