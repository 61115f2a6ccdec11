import { formatDeviceId, formatPairingCode } from '@filesync/identity'
import type { DeviceId, PairingDesk, PeerBook } from '@filesync/identity'
import type { ControlRoutes } from '@filesync/program/node'
import { FileSyncError } from '@filesync/protocol'
import type { SessionQueue } from './session-queue.ts'

export interface ControlInit {
  readonly desk: PairingDesk
  readonly peers: PeerBook
  readonly queue: SessionQueue
  readonly endSessions: (peer: DeviceId, error: FileSyncError) => Promise<void>
  readonly describe: () => Readonly<Record<string, unknown>>
}

/** What commands can ask of the running server. */
export function controlRoutes (init: ControlInit): ControlRoutes {
  const { desk, peers, queue } = init
  return {
    'POST /pair': async body => {
      const { ttlMs } = body as { ttlMs: number }
      return { code: formatPairingCode(await desk.openWindow({ ttlMs })), ttlMs }
    },
    'POST /revoke': async body => {
      const peer = await peers.revoke((body as { peer: string }).peer)
      await init.endSessions(peer.id, new FileSyncError('NOT_PAIRED', 'The server has revoked this client.'))
      return { area: peer.area, id: formatDeviceId(peer.id) }
    },
    'GET /status': async () => {
      const areas = new Map((await peers.list()).map(({ id, area }) => [id as string, area]))
      const names = queue.identities.map(identity => areas.get(identity) ?? identity)
      return { ...init.describe(), pairing: desk.isOpen, active: names.slice(0, queue.activeCount), queued: names.slice(queue.activeCount) }
    },
  }
}
