import { askControl } from '@filesync/program/node'
import type { LocalFolder } from './asked-path.ts'

/** What the running client says it pushes: folders, or one directory that is the whole area. */
interface PushedPaths {
  readonly folders?: readonly { readonly name: string, readonly path: string }[]
  readonly directory?: string
}

/** The folders that the running client pushes; none if no client runs. */
export async function localFolders (stateDir: string): Promise<readonly LocalFolder[]> {
  const status = await askControl(stateDir, 'GET /status') as PushedPaths | undefined
  if (status?.folders !== undefined) return status.folders.map(({ name, path }) => ({ name, root: path }))
  return status?.directory === undefined ? [] : [{ name: '', root: status.directory }]
}
