import { formatDeviceId, parseDeviceId } from '@filesync/identity'
import { jsonLine, printable } from '@filesync/program'
import type { Terminal } from '@filesync/program/node'
import { openClientState } from '../connect/client-state.ts'
import { stateDirOf } from '../settings.ts'
import type { ClientFlags, HostPort } from '../settings.ts'

export interface TrustFlags extends ClientFlags {
  readonly server?: HostPort
  readonly name?: string
}

/** `filesync-client id`: the id of this client, to enter in "filesync-server trust". */
export async function showId (flags: ClientFlags, terminal: Terminal): Promise<void> {
  const { identity } = await openClientState(stateDirOf(flags, terminal))
  const id = formatDeviceId(identity.id)
  terminal.stdout.write(flags.json === true ? jsonLine({ id }) : `${id}\n`)
}

/** `filesync-client servers`: the servers that this client trusts. */
export async function listServers (flags: ClientFlags, terminal: Terminal): Promise<void> {
  const { servers } = await openClientState(stateDirOf(flags, terminal))
  const list = await servers.list()
  if (flags.json === true) {
    terminal.stdout.write(jsonLine(list.map(server => ({ ...server, id: formatDeviceId(server.id) }))))
    return
  }
  if (list.length === 0) {
    terminal.stdout.write('This client is not paired with a server. ' +
      'Run "filesync-server pair" on the server, then "filesync-client pair" here.\n')
  }
  for (const { name, id, lastAddress, lastPort, area } of list) {
    const where = lastAddress === undefined ? '' : `  last at ${lastAddress}:${String(lastPort)}`
    terminal.stdout.write(`${printable(name)}  ${formatDeviceId(id)}${area === undefined ? '' : `  as ${printable(area)}`}${where}\n`)
  }
}

/** `filesync-client forget`: stops trusting a server. */
export async function forget (nameOrId: string, flags: ClientFlags, terminal: Terminal): Promise<void> {
  const { servers } = await openClientState(stateDirOf(flags, terminal))
  const server = await servers.forget(nameOrId)
  if (flags.quiet !== true) terminal.stdout.write(`${printable(server.name)} is no longer trusted. The files it stores are not removed.\n`)
}

/** `filesync-client trust-server`: trusts a server by its full id, without a code. */
export async function trustServer (fullId: string, flags: TrustFlags, terminal: Terminal): Promise<void> {
  const { servers } = await openClientState(stateDirOf(flags, terminal))
  const id = parseDeviceId(fullId)
  const server = await servers.pin({
    id, name: flags.name ?? id.slice(0, 7), via: 'manual', address: flags.server?.host, port: flags.server?.port,
  })
  if (flags.quiet === true) return
  terminal.stdout.write(`${printable(server.name)} is trusted. It must trust this client too: ` +
    'run "filesync-server trust" there with the id that "filesync-client id" prints here.\n')
}
