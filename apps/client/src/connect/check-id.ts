import { tameName } from '@filesync/identity'
import { FileSyncError, foldKey } from '@filesync/protocol'

/**
 * Throws USAGE where a client that was paired under another name is told to be `id`: it would go on in the folder it was given
 * then. A number behind the name is the server's doing, where two clients wished for the same.
 *
 * @param area the client's folder in the archive, as the server says
 */
export function checkId (id: string | undefined, area: string): void {
  if (id === undefined) return
  const named = foldKey(tameName(id))
  const given = foldKey(area)
  if (given === named || (given.startsWith(`${named}-`) && /^\d+$/u.test(given.slice(named.length + 1)))) return
  throw new FileSyncError('USAGE', `This client was paired as "${area}", so its files go to that folder; --id ${id} cannot change that. ` +
    'Leave --id out; or, for a folder of its own, give it a state of its own too (--profile or --state-dir) and pair that with --id.')
}
