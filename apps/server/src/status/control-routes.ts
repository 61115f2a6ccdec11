import { formatDeviceId, formatPairingCode } from '@filesync/identity'
import type { PairingDesk, Peer } from '@filesync/identity'
import type { EventFeed } from '@filesync/program'
import type { ControlRoutes } from '@filesync/program/node'
import { FileSyncError } from '@filesync/protocol'
import type { Health } from './health.ts'

export interface ControlInit {
  readonly desk: PairingDesk
  readonly health: Health
  readonly events: EventFeed
  /** Revokes a client, and ends its sessions. */
  readonly revoke: (areaOrId: string) => Promise<Peer>
  /** The area that a name or full id means. Throws USAGE. */
  readonly areaNamed: (named: string) => Promise<string>
}

/** The longer a code is valid, the longer it can be guessed. */
const MAX_TTL_MS = 86_400_000

/** The routes by which commands ask and control the running server. */
export function controlRoutes (init: ControlInit): ControlRoutes {
  const { desk, health, events } = init
  return {
    'POST /pair': async body => {
      const ttlMs = field(body, 'ttlMs')
      if (typeof ttlMs !== 'number' || !(ttlMs > 0 && ttlMs <= MAX_TTL_MS)) {
        throw new FileSyncError('USAGE', 'A code must be valid for more than no time, and for a day at most.')
      }
      const named = field(body, 'for')
      if (named !== undefined && typeof named !== 'string') throw new FileSyncError('USAGE', 'The name of the client is invalid.')
      const area = named === undefined ? undefined : await init.areaNamed(named)
      const code = formatPairingCode(await desk.openWindow({ ttlMs, ...(area !== undefined && { area }) }))
      return { code, ttlMs, ...(area !== undefined && { area }) }
    },
    'POST /revoke': async body => {
      const named = field(body, 'peer')
      if (typeof named !== 'string') throw new FileSyncError('USAGE', 'The name or id of the client to revoke is missing.')
      const { area, id } = await init.revoke(named)
      return { area, id: formatDeviceId(id) }
    },
    'GET /status': async () => await health.status(),
    'GET /sessions': () => health.sessions,
    'GET /queue': async () => await health.queue(),
    'GET /peers': async () => await health.peers(),
    'GET /disk': async () => await health.disk(),
    'GET /events': (_, gone) => events.read(gone),
  }
}

// The socket belongs to this user, but the program at the other end may be of another version.
function field (body: unknown, name: string): unknown {
  return typeof body === 'object' && body !== null ? (body as Record<string, unknown>)[name] : undefined
}
