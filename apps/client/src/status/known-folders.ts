import { askControl } from '@filesync/program/node'
import { FileSyncError } from '@filesync/protocol'
import { recallFolders } from '../folders/folder-memory.ts'
import type { FolderStatus } from '../folders/folder-record.ts'
import type { LocatedFolder } from '../folders/locate-path.ts'

/** The folders of this client: those that were pushed before, and those of the running client. Throws USAGE if there are none. */
export async function knownFolders (stateDir: string): Promise<readonly LocatedFolder[]> {
  const known = new Map([...await recallFolders(stateDir)].map(([name, { path }]) => [name, path]))
  const status = await askControl(stateDir, 'GET /status') as { readonly folders: readonly FolderStatus[] } | undefined
  for (const { name, path } of status?.folders ?? []) known.set(name, path)
  if (known.size > 0) return [...known].map(([name, root]) => ({ name, root }))
  throw new FileSyncError('USAGE', 'No folder has been pushed with this state directory yet. Push one first, ' +
    'or name the state directory of the client with --state-dir.')
}
