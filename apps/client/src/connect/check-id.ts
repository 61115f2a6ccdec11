import { sanitizeName } from '@filesync/identity'
import { FileSyncError, foldKey } from '@filesync/protocol'

/** The names of this client at a server. */
export interface ClientNames {
  /** Its folder in the archive, as reported by the server. */
  readonly area: string
  /** The name that it asked for when it was paired; undefined if that is not known. */
  readonly pairedAs: string | undefined
}

/**
 * Throws USAGE if the client was paired under another name than `id`: its files would still go to the old folder. The server
 * appends a number to the name if two clients ask for the same one, and its operator may rename a client or let it continue the
 * files of another: if the client asked for `id` when it was paired, any folder is accepted.
 */
export function checkId (id: string | undefined, { area, pairedAs }: ClientNames): void {
  if (id === undefined || isNameFor(id, area) || (pairedAs !== undefined && isNameFor(id, pairedAs))) return
  throw new FileSyncError('USAGE', `This client was paired as "${area}", so its files go to that folder; --id ${id} cannot change that. ` +
    'Leave --id out. To push to a separate folder, choose a separate state with --profile or --state-dir, and pair again with --id.')
}

function isNameFor (id: string, name: string): boolean {
  const requested = foldKey(sanitizeName(id))
  const actual = foldKey(name)
  return actual === requested || (actual.startsWith(`${requested}-`) && /^\d+$/u.test(actual.slice(requested.length + 1)))
}
