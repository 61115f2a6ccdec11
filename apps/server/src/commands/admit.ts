import { formatDeviceId, parseDeviceId } from '@filesync/identity'
import { loadOrCreateIdentity, openPeers, openTokens } from '@filesync/identity/node'
import { formatDuration, jsonLine, printable } from '@filesync/program'
import { askControl } from '@filesync/program/node'
import { FileSyncError } from '@filesync/protocol'
import { stateDirOf } from '../settings.ts'
import type { ServerCommonFlags } from '../settings.ts'
import type { ServerContext } from './start.ts'

export interface ServerPairFlags extends ServerCommonFlags {
  readonly ttl: number
}

/** `filesync-server pair`: has the running server admit one client, and shows the code for it. */
export async function pair (flags: ServerPairFlags, { terminal }: ServerContext): Promise<void> {
  const stateDir = stateDirOf(flags, terminal)
  const answer = await askControl(stateDir, 'POST /pair', { body: { ttlMs: flags.ttl } }) as { code: string } | undefined
  if (answer === undefined) {
    throw new FileSyncError('SERVER_UNREACHABLE', `No server runs with the state directory ${stateDir}. Start it first, or name its directory with --state-dir.`)
  }
  if (flags.json === true) terminal.stdout.write(jsonLine({ code: answer.code, ttlMs: flags.ttl }))
  else if (flags.quiet === true) terminal.stdout.write(`${answer.code}\n`)
  else {
    terminal.stdout.write(`One client can pair in the next ${formatDuration(flags.ttl)}. On it, run "filesync-client pair" and enter this code:\n\n    ${answer.code}\n\n`)
  }
}

export interface TokenFlags extends ServerCommonFlags {
  readonly uses: number
  readonly expires: number
}

/** `filesync-server token create`: prints a token, and nothing else, so that it can be sent to a file. */
export async function createToken (flags: TokenFlags, { terminal }: ServerContext): Promise<void> {
  const stateDir = stateDirOf(flags, terminal)
  const { id } = await loadOrCreateIdentity(stateDir)
  const { token, record } = await openTokens(stateDir).create(id, { uses: flags.uses, ttlMs: flags.expires })
  terminal.stdout.write(flags.json === true ? jsonLine({ token, tokenId: record.tokenId, uses: record.uses, expiresAt: isoTime(record.expiresAtMs) }) : `${token}\n`)
}

/** `filesync-server token list`: never shows the tokens themselves, which the server does not know. */
export async function listTokens (flags: ServerCommonFlags, { terminal }: ServerContext): Promise<void> {
  const tokens = await openTokens(stateDirOf(flags, terminal)).list()
  const rows = tokens.map(({ tokenId, uses, usedBy, expiresAtMs }) => ({ tokenId, uses, used: usedBy.length, expiresAt: isoTime(expiresAtMs) }))
  if (flags.json === true) terminal.stdout.write(jsonLine(rows))
  else if (rows.length === 0) terminal.stdout.write('There are no tokens.\n')
  else for (const row of rows) terminal.stdout.write(`${row.tokenId}  used ${row.used} of ${row.uses}  expires ${row.expiresAt}\n`)
}

/** `filesync-server token revoke`. */
export async function revokeToken (tokenId: string, flags: ServerCommonFlags, { terminal }: ServerContext): Promise<void> {
  await openTokens(stateDirOf(flags, terminal)).revoke(tokenId)
  if (flags.quiet !== true) terminal.stdout.write('The token admits nobody any more. Clients that used it stay paired.\n')
}

/** `filesync-server peers`: the clients that are paired, and those that were. */
export async function listPeers (flags: ServerCommonFlags, { terminal }: ServerContext): Promise<void> {
  const peers = await openPeers(stateDirOf(flags, terminal)).list()
  if (flags.json === true) {
    terminal.stdout.write(jsonLine(peers.map(peer => ({ ...peer, id: formatDeviceId(peer.id) }))))
    return
  }
  if (peers.length === 0) terminal.stdout.write('No client is paired. Run "filesync-server pair".\n')
  for (const { area, id, lastSeenAtMs, lastAddress, revokedAtMs } of peers) {
    const seen = lastSeenAtMs === undefined ? 'never seen' : `seen ${isoTime(lastSeenAtMs)} at ${printable(lastAddress ?? '?')}`
    terminal.stdout.write(`${area}  ${formatDeviceId(id)}  ${revokedAtMs === undefined ? seen : `revoked ${isoTime(revokedAtMs)}`}\n`)
  }
}

/** `filesync-server revoke`: by the running server, which ends the client's sessions, or in the files where none runs. */
export async function revoke (nameOrId: string, flags: ServerCommonFlags, { terminal }: ServerContext): Promise<void> {
  const stateDir = stateDirOf(flags, terminal)
  const answer = await askControl(stateDir, 'POST /revoke', { body: { peer: nameOrId } }) as { area: string } | undefined
  const area = answer?.area ?? await revokeInFiles(stateDir, nameOrId)
  if (flags.quiet !== true) terminal.stdout.write(`${area} is revoked. Its files stay in the archive.\n`)
}

async function revokeInFiles (stateDir: string, nameOrId: string): Promise<string> {
  const peer = await openPeers(stateDir).revoke(nameOrId)
  return peer.area
}

/** `filesync-server trust`: admits a client by its full id, without a code. */
export async function trust (fullId: string, flags: ServerCommonFlags & { readonly name: string }, { terminal }: ServerContext): Promise<void> {
  const stateDir = stateDirOf(flags, terminal)
  const peer = await openPeers(stateDir).admit({ id: parseDeviceId(fullId), wish: flags.name, via: 'manual' })
  if (flags.quiet !== true) terminal.stdout.write(`${peer.area} is trusted. It has to trust this server too: "filesync-client trust-server" there, with what "filesync-server id" prints here.\n`)
}

/** `filesync-server id`. */
export async function showId (flags: ServerCommonFlags, { terminal }: ServerContext): Promise<void> {
  const id = formatDeviceId((await loadOrCreateIdentity(stateDirOf(flags, terminal))).id)
  terminal.stdout.write(flags.json === true ? jsonLine({ id }) : `${id}\n`)
}

function isoTime (timeMs: number): string {
  return new Date(timeMs).toISOString()
}
