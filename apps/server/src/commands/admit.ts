import { formatDeviceId, parseDeviceId } from '@filesync/identity'
import { loadOrCreateIdentity, openPeers, openTokens } from '@filesync/identity/node'
import { formatDuration, jsonLine, printable } from '@filesync/program'
import { askControl } from '@filesync/program/node'
import { stateDirOf } from '../settings.ts'
import type { ServerCommonFlags } from '../settings.ts'
import { areaNamed } from './peers.ts'
import type { ServerContext } from './start.ts'
import { notRunning } from './status.ts'

export interface ServerPairFlags extends ServerCommonFlags {
  readonly ttl: number
  readonly for?: string
}

/** `filesync-server pair`: opens pairing at the running server, for a new client or for the area of another, and prints the code. */
export async function pair (flags: ServerPairFlags, { terminal }: ServerContext): Promise<void> {
  const stateDir = stateDirOf(flags, terminal)
  const answer = await askControl(stateDir, 'POST /pair', { body: { ttlMs: flags.ttl, for: flags.for } }) as PairAnswer | undefined
  if (answer === undefined) throw notRunning(stateDir)
  if (flags.json === true) terminal.stdout.write(jsonLine({ code: answer.code, ttlMs: flags.ttl, for: answer.area }))
  else if (flags.quiet === true) terminal.stdout.write(`${answer.code}\n`)
  else {
    const what = answer.area === undefined
      ? ''
      : `It continues the files of ${printable(answer.area)}, whose present key is revoked when it does. `
    terminal.stdout.write(`One client can pair within the next ${formatDuration(flags.ttl)}. ${what}` +
      `On it, run "filesync-client pair" and enter this code:\n\n    ${answer.code}\n\n`)
  }
}

interface PairAnswer {
  readonly code: string
  readonly area?: string
}

export interface TokenFlags extends ServerCommonFlags {
  readonly uses: number
  readonly expires: number
  readonly for?: string
}

/** `filesync-server token create`: prints only the token, so that the output can be redirected to a file. */
export async function createToken (flags: TokenFlags, { terminal }: ServerContext): Promise<void> {
  const stateDir = stateDirOf(flags, terminal)
  const { id } = await loadOrCreateIdentity(stateDir)
  const area = flags.for === undefined ? undefined : await areaNamed(stateDir, flags.for)
  const { token, record } = await openTokens(stateDir).create(id, { uses: flags.uses, ttlMs: flags.expires, area })
  const { tokenId, uses, expiresAtMs } = record
  terminal.stdout.write(flags.json === true ? jsonLine({ token, tokenId, uses, expiresAt: isoTime(expiresAtMs), for: area }) : `${token}\n`)
}

/** `filesync-server token list`: without the tokens themselves, which the server does not store. */
export async function listTokens (flags: ServerCommonFlags, { terminal }: ServerContext): Promise<void> {
  const tokens = await openTokens(stateDirOf(flags, terminal)).list()
  const rows = tokens.map(({ tokenId, uses, usedBy, expiresAtMs, area }) => (
    { tokenId, uses, used: usedBy.length, expiresAt: isoTime(expiresAtMs), for: area }
  ))
  if (flags.json === true) terminal.stdout.write(jsonLine(rows))
  else if (rows.length === 0) terminal.stdout.write('There are no tokens.\n')
  else {
    for (const row of rows) {
      const target = row.for === undefined ? '' : `  for ${printable(row.for)}`
      terminal.stdout.write(`${row.tokenId}  used ${row.used} of ${row.uses}  expires ${row.expiresAt}${target}\n`)
    }
  }
}

/** `filesync-server token revoke`. */
export async function revokeToken (tokenId: string, flags: ServerCommonFlags, { terminal }: ServerContext): Promise<void> {
  await openTokens(stateDirOf(flags, terminal)).revoke(tokenId)
  if (flags.quiet !== true) terminal.stdout.write('The token is revoked. Clients that paired with it stay paired.\n')
}

/** `filesync-server revoke`: the running server also ends the client's sessions; if none runs, only the record is changed. */
export async function revoke (nameOrId: string, flags: ServerCommonFlags, { terminal }: ServerContext): Promise<void> {
  const stateDir = stateDirOf(flags, terminal)
  const answer = await askControl(stateDir, 'POST /revoke', { body: { peer: nameOrId } }) as { area: string } | undefined
  const area = answer?.area ?? (await openPeers(stateDir).revoke(nameOrId)).area
  if (flags.quiet !== true) terminal.stdout.write(`${area} is revoked. Its files stay in the archive.\n`)
}

/** `filesync-server trust`: admits a client by its full id, without a code. */
export async function trust (
  fullId: string, flags: ServerCommonFlags & { readonly name: string }, { terminal }: ServerContext,
): Promise<void> {
  const stateDir = stateDirOf(flags, terminal)
  const peer = await openPeers(stateDir).admit({ id: parseDeviceId(fullId), requestedName: flags.name, via: 'manual' })
  if (flags.quiet === true) return
  terminal.stdout.write(`${peer.area} is trusted. It must also trust this server: ` +
    'run "filesync-client trust-server" on it, with the id that "filesync-server id" prints here.\n')
}

/** `filesync-server id`. */
export async function showId (flags: ServerCommonFlags, { terminal }: ServerContext): Promise<void> {
  const id = formatDeviceId((await loadOrCreateIdentity(stateDirOf(flags, terminal))).id)
  terminal.stdout.write(flags.json === true ? jsonLine({ id }) : `${id}\n`)
}

function isoTime (timeMs: number): string {
  return new Date(timeMs).toISOString()
}
