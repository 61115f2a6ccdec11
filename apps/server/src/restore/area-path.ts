import { asFileSyncError, checkRelativePath, FileSyncError, ROOT_PATH } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'

/** A path of the client's own area; the empty one is everything. Throws NAME_INVALID. */
export function parseAreaPath (path: string): RelativePath {
  if (path === '') return ROOT_PATH
  const fault = checkRelativePath(path)
  if (fault !== undefined) throw new FileSyncError('NAME_INVALID', `The client asked about an invalid path (${fault}).`)
  return path as RelativePath
}

/** Waits for an answer of the archive, whose USAGE for a point that it does not have becomes POINT_UNKNOWN. */
export async function orPointUnknown<T> (answer: Promise<T>): Promise<T> {
  try {
    return await answer
  } catch (error) {
    const { code, message } = asFileSyncError(error)
    throw code === 'USAGE' ? new FileSyncError('POINT_UNKNOWN', message, { cause: error }) : error
  }
}
