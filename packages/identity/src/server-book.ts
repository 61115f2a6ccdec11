import { FileSyncError, foldKey } from '@filesync/protocol'
import type { Clock } from '@filesync/protocol'
import { tameName } from './area.ts'
import { idPrefix, readDeviceId } from './device-id.ts'
import type { DeviceId } from './device-id.ts'
import { MIN_PROTOCOL } from './peer-book.ts'
import type { Introduction } from './peer-book.ts'
import type { RecordStore } from './record-store.ts'

/** A server that a client trusts. */
export interface PinnedServer {
  readonly id: DeviceId
  /** What it calls itself; harmless to show. */
  readonly name: string
  /** This client's folder in its archive, where the server told it. */
  readonly area?: string | undefined
  readonly pinnedAtMs: number
  readonly via: Introduction
  /** The least protocol version it is spoken to in; never lowered. */
  readonly minProtocol: number
  /** Where it was reached last. */
  readonly lastAddress?: string | undefined
  readonly lastPort?: number | undefined
}

/** What is pinned. */
export interface Pin {
  readonly id: DeviceId
  readonly name: string
  readonly area?: string | undefined
  readonly via: Introduction
  readonly address?: string | undefined
  readonly port?: number | undefined
}

/** The servers that a client trusts, over any store. */
export class ServerBook {
  readonly #store: RecordStore<PinnedServer>
  readonly #clock: Clock

  constructor (store: RecordStore<PinnedServer>, clock: Clock) {
    this.#store = store
    this.#clock = clock
  }

  async list (): Promise<readonly PinnedServer[]> {
    return await this.#store.read()
  }

  /** Trusts a server from now on; durable when it resolves. One that is trusted already gets its new name and address. */
  async pin (pin: Pin): Promise<PinnedServer> {
    const pinnedAtMs = this.#clock.nowMs()
    return await this.#store.change(servers => {
      const known = servers.find(server => server.id === pin.id)
      const server: PinnedServer = {
        id: pin.id, name: tameName(pin.name), area: pin.area ?? known?.area, pinnedAtMs, via: pin.via, minProtocol: MIN_PROTOCOL,
        lastAddress: pin.address ?? known?.lastAddress, lastPort: pin.port ?? known?.lastPort,
      }
      return { records: [...servers.filter(other => other !== known), server], result: server }
    })
  }

  /** Trusts a server no more, by name or full id. Throws USAGE where there is no such server, or several of that name. */
  async forget (nameOrId: string): Promise<PinnedServer> {
    return await this.#store.change(servers => {
      const server = findPinned(servers, nameOrId)
      return { records: servers.filter(other => other !== server), result: server }
    })
  }

  /** Notes where a trusted server was reached. */
  async noteReached (id: DeviceId, address: string, port: number): Promise<void> {
    const isNoted = (server: PinnedServer): boolean => server.id !== id || (server.lastAddress === address && server.lastPort === port)
    if ((await this.#store.read()).every(isNoted)) return
    await this.#store.change(servers => ({
      records: servers.map(server => isNoted(server) ? server : { ...server, lastAddress: address, lastPort: port }),
      result: undefined,
    }))
  }
}

/** The trusted servers that an OFFER with this prefix may come from. It is a hint: TLS proves which one it is, if any. */
export function serversWithPrefix (servers: readonly PinnedServer[], prefix: string): readonly PinnedServer[] {
  return servers.filter(server => idPrefix(server.id) === prefix)
}

/**
 * Refuses to speak the original's unprotected protocol where a trusted server was reached before: someone may have
 * taken its address to get the files in the clear. Throws IDENTITY_CHANGED.
 */
export function refuseDowngrade (servers: readonly PinnedServer[], address: string): void {
  const server = servers.find(candidate => candidate.lastAddress === address)
  if (server === undefined) return
  throw new FileSyncError('IDENTITY_CHANGED', `${address} is the address of the paired server "${server.name}", which is never spoken to ` +
    `without encryption. If the original program runs there now, run "filesync-client forget ${server.name}" first.`)
}

/** The paired server of a name or full id. Throws USAGE where there is no such server, or several of that name. */
export function findPinned (servers: readonly PinnedServer[], nameOrId: string): PinnedServer {
  const id = readDeviceId(nameOrId)
  const found = servers.filter(server => server.id === id || foldKey(server.name) === foldKey(nameOrId))
  const [only] = found
  if (only !== undefined && found.length === 1) return only
  const names = servers.map(server => server.name).join(', ')
  throw new FileSyncError('USAGE', found.length > 1
    ? `Several paired servers are called "${nameOrId}". Give the full id; "filesync-client servers" prints it.`
    : `No paired server is called "${nameOrId}". ${names === '' ? 'None is paired.' : `The paired servers are: ${names}.`}`)
}
