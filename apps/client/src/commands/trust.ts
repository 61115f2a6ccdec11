import { formatDeviceId, parseDeviceId } from '@filesync/identity'
import { jsonLine, printable } from '@filesync/program'
import type { Terminal } from '@filesync/program/node'
import { openClientState } from '../connect/client-state.ts'
import { stateDirOf } from '../settings.ts'
import type { CommonFlags, HostPort } from '../settings.ts'

export interface TrustFlags extends CommonFlags {
  readonly server?: HostPort
  readonly name?: string
}

/** `filesync-client id`: who this machine is, for a server that shall trust it by hand. */
export async function showId (flags: CommonFlags, terminal: Terminal): Promise<void> {
  const { identity } = await openClientState(stateDirOf(flags, terminal))
  const id = formatDeviceId(identity.id)
  terminal.stdout.write(flags.json === true ? jsonLine({ id }) : `${id}\n`)
}

/** `filesync-client servers`: whom this client trusts. */
export async function listServers (flags: CommonFlags, terminal: Terminal): Promise<void> {
  const { servers } = await openClientState(stateDirOf(flags, terminal))
  const list = await servers.list()
  if (flags.json === true) {
    terminal.stdout.write(jsonLine(list.map(server => ({ ...server, id: formatDeviceId(server.id) }))))
    return
  }
  if (list.length === 0) terminal.stdout.write('No server is paired.\n')
  for (const { name, id, lastAddress, lastPort, area } of list) {
    const where = lastAddress === undefined ? '' : `  last at ${lastAddress}:${String(lastPort)}`
    terminal.stdout.write(`${printable(name)}  ${formatDeviceId(id)}${area === undefined ? '' : `  as ${printable(area)}`}${where}\n`)
  }
}

/** `filesync-client forget`: trusts a server no more. */
export async function forget (nameOrId: string, flags: CommonFlags, terminal: Terminal): Promise<void> {
  const { servers } = await openClientState(stateDirOf(flags, terminal))
  const server = await servers.forget(nameOrId)
  if (flags.quiet !== true) terminal.stdout.write(`${printable(server.name)} is forgotten. What it stores stays where it is.\n`)
}

/** `filesync-client trust-server`: trusts a server by its full id, without a code. */
export async function trustServer (fullId: string, flags: TrustFlags, terminal: Terminal): Promise<void> {
  const { servers } = await openClientState(stateDirOf(flags, terminal))
  const id = parseDeviceId(fullId)
  const server = await servers.pin({ id, name: flags.name ?? id.slice(0, 7), via: 'manual', address: flags.server?.host, port: flags.server?.port })
  if (flags.quiet !== true) terminal.stdout.write(`${printable(server.name)} is trusted. It has to trust this client too: "filesync-server trust" there, with what "filesync-client id" prints here.\n`)
}
