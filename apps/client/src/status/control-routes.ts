import type { EventFeed } from '@filesync/program'
import type { ControlRoutes } from '@filesync/program/node'
import { checkRelativePath, FileSyncError } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import type { WatchStatus } from '@filesync/scanner'
import type { PathState } from './explain-path.ts'
import type { PushResult } from '../push/push-result.ts'
import type { Activity } from './run-record.ts'

/** What the client says of itself. */
export interface ClientStatus {
  readonly version: string
  readonly directory: string
  /** The name of the server that was reached last; null where none was yet. */
  readonly server: string | null
  readonly startedAt: string
  readonly activity: Activity
  /** How changes of the directory are noticed. */
  readonly watch: WatchStatus
  /** The last run, however it ended. */
  readonly last: { readonly atMs: number, readonly result: PushResult } | null
  /** The end of the last run after which everything was stored, also before the start; ISO 8601, null for none. */
  readonly lastCompleteAt: string | null
  /** When the next run is due, unless something changes before; ISO 8601, null while one is under way. */
  readonly nextSyncAt: string | null
}

export interface ClientControlInit {
  readonly status: () => ClientStatus
  readonly events: EventFeed
  readonly why: (path: RelativePath, gone: AbortSignal) => Promise<PathState>
}

/** What commands can ask of the running client. */
export function controlRoutes ({ status, events, why }: ClientControlInit): ControlRoutes {
  return {
    'GET /status': status,
    'GET /events': (_, gone) => events.read(gone),
    'POST /why': async (body, gone) => {
      const path = typeof body === 'object' && body !== null ? (body as Record<string, unknown>)['path'] : undefined
      const fault = checkRelativePath(path)
      if (fault !== undefined) throw new FileSyncError('USAGE', `This cannot be a path in the directory (${fault}).`)
      return await why(path as RelativePath, gone)
    },
  }
}
