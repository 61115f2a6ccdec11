import { sanitizeName } from '@filesync/identity'
import { FileSyncError, foldKey } from '@filesync/protocol'

/**
 * Throws USAGE if the client was paired under another name than `id`: its files would still go to the old folder. The server
 * appends a number to the name if two clients ask for the same one, so that is accepted.
 *
 * @param area the client's folder in the archive, as reported by the server
 */
export function checkId (id: string | undefined, area: string): void {
  if (id === undefined) return
  const requested = foldKey(sanitizeName(id))
  const actual = foldKey(area)
  if (actual === requested || (actual.startsWith(`${requested}-`) && /^\d+$/u.test(actual.slice(requested.length + 1)))) return
  throw new FileSyncError('USAGE', `This client was paired as "${area}", so its files go to that folder; --id ${id} cannot change that. ` +
    'Leave --id out. To push to a separate folder, choose a separate state with --profile or --state-dir, and pair again with --id.')
}
