import type { EventFeed } from '@filesync/program'
import type { ControlRoutes } from '@filesync/program/node'
import { checkRelativePath, FileSyncError } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import type { WatchStatus } from '@filesync/scanner'
import type { FolderStatus } from '../folders/folder-record.ts'
import type { PathState } from './explain-path.ts'
import type { PushResult } from '../push/push-result.ts'
import type { Activity } from './run-record.ts'

/** The status of a running client. */
export interface ClientStatus {
  readonly version: string
  readonly folders: readonly FolderStatus[]
  /** The name of the server that was reached last; null if none was yet. */
  readonly server: string | null
  readonly startedAt: string
  readonly activity: Activity
  /** How changes in the folders are noticed. */
  readonly watch: WatchStatus
  /** The last run, however it ended. */
  readonly last: { readonly atMs: number, readonly result: PushResult } | null
  /** The end of the last run after which everything was stored, runs before the start included; ISO 8601, null for none. */
  readonly lastCompleteAt: string | null
  /** When the next run is due, if nothing changes earlier; ISO 8601, null during a run. */
  readonly nextSyncAt: string | null
  /** Whether two machines seem to use the key of this client. */
  readonly cloned: boolean
}

export interface ClientControlInit {
  readonly status: () => ClientStatus
  readonly events: EventFeed
  readonly why: (path: RelativePath, gone: AbortSignal) => Promise<PathState>
}

/** The requests that a running client answers on its control socket. */
export function controlRoutes ({ status, events, why }: ClientControlInit): ControlRoutes {
  return {
    'GET /status': status,
    'GET /events': (_, gone) => events.read(gone),
    'POST /why': async (body, gone) => {
      const path = typeof body === 'object' && body !== null ? (body as Record<string, unknown>)['path'] : undefined
      const fault = checkRelativePath(path)
      if (fault !== undefined) throw new FileSyncError('USAGE', `The path is not valid inside the folders (${fault}).`)
      return await why(path as RelativePath, gone)
    },
  }
}
