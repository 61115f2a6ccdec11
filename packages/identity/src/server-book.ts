import { FileSyncError, foldKey } from '@filesync/protocol'
import type { Clock } from '@filesync/protocol'
import { sanitizeName } from './area.ts'
import { tryParseDeviceId } from './device-id.ts'
import type { DeviceId } from './device-id.ts'
import { MIN_PROTOCOL } from './peer.ts'
import type { PairingMethod } from './peer.ts'
import type { RecordStore } from './record-store.ts'

/** A server that a client trusts. */
export interface PinnedServer {
  readonly id: DeviceId
  /** What it calls itself; safe to show. */
  readonly name: string
  /** This client's directory in its archive, if the server has named it. */
  readonly area?: string | undefined
  /** The name that this client asked for when it was paired, or that the server first called it by. */
  readonly pairedAs?: string | undefined
  readonly pinnedAtMs: number
  readonly via: PairingMethod
  /** The lowest protocol version that is used with it; never lowered. */
  readonly minProtocol: number
  /** Where it was last reached. */
  readonly lastAddress?: string | undefined
  readonly lastPort?: number | undefined
}

/** A server to trust. */
export interface Pin {
  readonly id: DeviceId
  readonly name: string
  readonly area?: string | undefined
  /** The name that this client asked for. */
  readonly requestedName?: string | undefined
  readonly via: PairingMethod
  readonly address?: string | undefined
  readonly port?: number | undefined
}

/** The servers that a client trusts, in any store. */
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

  /** Trusts a server; durable when it resolves. A server that is trusted already is updated. */
  async pin (pin: Pin): Promise<PinnedServer> {
    const pinnedAtMs = this.#clock.nowMs()
    return await this.#store.change(servers => {
      const known = servers.find(server => server.id === pin.id)
      const server: PinnedServer = {
        id: pin.id, name: sanitizeName(pin.name), area: pin.area ?? known?.area, pinnedAtMs,
        pairedAs: pin.requestedName === undefined ? known?.pairedAs : sanitizeName(pin.requestedName),
        via: pin.via, minProtocol: MIN_PROTOCOL,
        lastAddress: pin.address ?? known?.lastAddress, lastPort: pin.port ?? known?.lastPort,
      }
      return { records: [...servers.filter(other => other !== known), server], result: server }
    })
  }

  /** Stops trusting a server, by name or full id. Throws USAGE if there is no such server, or several with that name. */
  async forget (nameOrId: string): Promise<PinnedServer> {
    return await this.#store.change(servers => {
      const server = findPinned(servers, nameOrId)
      return { records: servers.filter(other => other !== server), result: server }
    })
  }

  /** Records the area by which a trusted server calls this client; the operator may have renamed it. */
  async recordArea (id: DeviceId, named: string): Promise<void> {
    const area = sanitizeName(named)
    const isCurrent = (server: PinnedServer): boolean => server.id !== id || (server.area === area && server.pairedAs !== undefined)
    if ((await this.#store.read()).every(isCurrent)) return
    await this.#store.change(servers => ({
      records: servers.map(server => isCurrent(server) ? server : { ...server, area, pairedAs: server.pairedAs ?? server.area ?? area }),
      result: undefined,
    }))
  }

  /** Records where a trusted server was reached. */
  async recordReached (id: DeviceId, address: string, port: number): Promise<void> {
    const isCurrent = (server: PinnedServer): boolean => server.id !== id || (server.lastAddress === address && server.lastPort === port)
    if ((await this.#store.read()).every(isCurrent)) return
    await this.#store.change(servers => ({
      records: servers.map(server => isCurrent(server) ? server : { ...server, lastAddress: address, lastPort: port }),
      result: undefined,
    }))
  }
}

/**
 * Refuses the original program's unencrypted protocol at an address where a trusted server was last reached: someone may have
 * taken over the address to receive the files in clear text. Throws IDENTITY_CHANGED.
 */
export function refuseDowngrade (servers: readonly PinnedServer[], address: string): void {
  const server = servers.find(candidate => candidate.lastAddress === address)
  if (server === undefined) return
  throw new FileSyncError('IDENTITY_CHANGED', `${address} is the address of the paired server "${server.name}", so nothing is sent there ` +
    `without encryption. If the original program runs there now, run "filesync-client forget ${server.name}" first.`)
}

/** The paired server with a name or full id. Throws USAGE if there is no such server, or several with that name. */
export function findPinned (servers: readonly PinnedServer[], nameOrId: string): PinnedServer {
  const id = tryParseDeviceId(nameOrId)
  const found = servers.filter(server => server.id === id || foldKey(server.name) === foldKey(nameOrId))
  const [only] = found
  if (only !== undefined && found.length === 1) return only
  const names = servers.map(server => server.name).join(', ')
  throw new FileSyncError('USAGE', found.length > 1
    ? `Several paired servers are called "${nameOrId}". Give the full device id; "filesync-client servers" prints it.`
    : `No paired server is called "${nameOrId}". ${names === '' ? 'None is paired.' : `The paired servers are: ${names}.`}`)
}
