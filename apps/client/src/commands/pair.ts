import { readFile } from 'node:fs/promises'
import { formatDeviceId, idPrefix, parseEnrollmentToken, sanitizeName, parsePairingCode, provePairing } from '@filesync/identity'
import type { DeviceId, PairingGrant, PairingSecret } from '@filesync/identity'
import { connectTls, nodeCrypto } from '@filesync/identity/node'
import { ALPN_PAIR, FileSyncError, isFileSyncError } from '@filesync/protocol'
import type { Clock } from '@filesync/protocol'
import { systemClock } from '@filesync/protocol/node'
import { jsonLine, printable } from '@filesync/program'
import { canPrompt, prompt, readSecretLine } from '@filesync/program/node'
import type { Terminal } from '@filesync/program/node'
import type { ServerCandidate } from '../connect/server-candidate.ts'
import { openClientState } from '../connect/client-state.ts'
import type { ClientState } from '../connect/client-state.ts'
import { findPairing } from '../connect/find-pairing.ts'
import { serverOffers } from '../connect/connect-to-server.ts'
import type { ServerOffersInit } from '../connect/connect-to-server.ts'
import { MAX_PROBLEMS_SHOWN } from '../connect/race-servers.ts'
import { defaultId, stateDirOf } from '../settings.ts'
import type { ServerFlags } from '../settings.ts'
import type { CommandContext } from './push.ts'

export interface PairingFlags extends ServerFlags {
  readonly id?: string
  readonly codeStdin?: boolean
}

export interface EnrollFlags extends ServerFlags {
  readonly id?: string
  readonly tokenFile: string
}

/** How long to search for a server that accepts pairing. */
const FIND_TIMEOUT_MS = 15_000

/** `filesync-client pair`: pairs with the server that shows the code. */
export async function pair (flags: PairingFlags, { terminal, signal }: CommandContext): Promise<void> {
  const code = parsePairingCode(await readCode(flags, terminal))
  await pairBySecret({ secret: { kind: 'code', code }, flags, terminal, signal })
}

/** `filesync-client enroll`: pairs with a server by a token that can be made for many clients. */
export async function enroll (flags: EnrollFlags, { terminal, signal }: CommandContext): Promise<void> {
  let text: string
  try {
    text = await readFile(flags.tokenFile, 'utf8')
  } catch (cause) {
    const advice = 'Create one on the server with "filesync-server token create > FILE".'
    throw new FileSyncError('USAGE', `The token file ${flags.tokenFile} cannot be read. ${advice}`, { cause })
  }
  await pairBySecret({ secret: { kind: 'token', token: parseEnrollmentToken(text) }, flags, terminal, signal })
}

async function readCode (flags: PairingFlags, terminal: Terminal): Promise<string> {
  if (flags.codeStdin === true) return await readSecretLine(terminal)
  const fromEnvironment = terminal.env['FILESYNC_CODE']
  if (fromEnvironment !== undefined) return fromEnvironment
  if (!canPrompt(terminal)) {
    throw new FileSyncError('USAGE', 'The pairing code cannot be asked for without a terminal. ' +
      'Pass it on standard input with --code-stdin, or as FILESYNC_CODE in the environment.')
  }
  terminal.stdout.write('Run "filesync-server pair" on the server to get a code.\n')
  // Parsed at once, so that the user can correct a typing error.
  return await prompt(terminal, 'Code:', text => { parsePairingCode(text); return text })
}

interface PairingRequest {
  readonly secret: PairingSecret
  readonly flags: PairingFlags | EnrollFlags
  readonly terminal: Terminal
  readonly signal: AbortSignal
}

async function pairBySecret ({ secret, flags, terminal, signal }: PairingRequest): Promise<void> {
  const state = await openClientState(stateDirOf(flags, terminal))
  const name = flags.id ?? defaultId()
  const problems: FileSyncError[] = []
  // One server may be found at several addresses; it is asked once.
  const refusedBy = new Set<DeviceId>()
  const granted = await findPairing({
    candidates: over => pairingCandidates(secret, flags, { signal: over, onProblem: error => { problems.push(error) } }),
    attempt: async (candidate, over) => await pairWith(candidate, { state, secret, name, refusedBy, signal: over }),
    random: Math.random,
    clock: systemClock,
    signal,
  })
  if (granted === undefined) throw noPairingServer(secret, problems)
  if (flags.json === true) {
    const { serverName: server, area, note } = granted
    terminal.stdout.write(jsonLine({ server, serverId: formatDeviceId(granted.serverId), area, ...(note !== undefined && { note }) }))
  } else if (flags.quiet !== true) {
    terminal.stdout.write(`Paired with ${printable(granted.serverName)}. ` +
      `Files from this machine will be stored in the folder "${printable(granted.area)}" of its archive.\n` +
      describeArea(granted, flags.id))
  }
}

/** What the area was before, and what to do if it is not the expected one. */
function describeArea ({ area, note }: PairingGrant, id: string | undefined): string {
  const name = printable(area)
  if (note === 'CONTINUES') {
    const other = id === undefined || sanitizeName(id) === area ? '' : ` The server decides that, so --id ${printable(id)} has no effect.`
    return `This machine continues the files of "${name}": what is there already is not sent again.${other}\n`
  }
  if (note !== 'BESIDE') return ''
  const taken = printable(sanitizeName(id ?? defaultId()))
  return `Another key has the name "${taken}". If this is the same machine, installed again, its files are still there: run ` +
    `"filesync-server pair --for ${taken}" on the server and "filesync-client pair" here, and nothing of them is sent again.\n`
}

interface PairingAttempt {
  readonly state: ClientState
  readonly secret: PairingSecret
  readonly name: string
  /** Servers that have refused so far; each refusal adds one. */
  readonly refusedBy: Set<DeviceId>
  readonly signal: AbortSignal
}

async function pairWith ({ address, port }: ServerCandidate, attempt: PairingAttempt): Promise<PairingGrant> {
  const { state, secret, name, refusedBy, signal } = attempt
  const clock: Clock = systemClock
  const channel = await connectTls({ identity: state.identity, address, port, alpn: ALPN_PAIR, clock, signal })
  try {
    if (refusedBy.has(channel.serverId)) throw new FileSyncError('PEER_UNPROVEN', 'This server has already refused at another address.')
    const granted = await provePairing(channel, {
      crypto: nodeCrypto,
      secret,
      name,
      remember: async ({ serverId, serverName, area }) => {
        await state.servers.pin({ id: serverId, name: serverName, area, requestedName: name, via: secret.kind, address, port })
      },
    })
    await channel.connection.close()
    return granted
  } catch (error) {
    if (isFileSyncError(error) && error.code === 'PAIRING_REFUSED') refusedBy.add(channel.serverId)
    await channel.connection.close(error)
    throw error
  }
}

function noPairingServer (secret: PairingSecret, problems: readonly FileSyncError[]): FileSyncError {
  const advice = secret.kind === 'token'
    ? 'The server that made this token was not found on the local network. Check that it is running and that both machines are ' +
      'on the same network, or name it with --server HOST:PORT.'
    : 'No server that accepts pairing was found on the local network. ' +
      'Run "filesync-server pair" on the server, check that both machines are on the same network, or name it with --server HOST:PORT.'
  return new FileSyncError('SERVER_NOT_FOUND', [advice, ...problems.slice(0, MAX_PROBLEMS_SHOWN).map(({ message }) => message)].join(' '))
}

async function * pairingCandidates (
  secret: PairingSecret, flags: ServerFlags, init: ServerOffersInit,
): AsyncGenerator<ServerCandidate, void, undefined> {
  if (flags.server !== undefined) {
    yield { address: flags.server.host, port: flags.server.port, origin: 'given' }
    return
  }
  const signal = AbortSignal.any([init.signal, AbortSignal.timeout(FIND_TIMEOUT_MS)])
  const tried = new Set<string>()
  for await (const offer of serverOffers({ interfaces: flags.interface, clock: systemClock }, 'pair', { ...init, signal })) {
    // A token names its server. A code can only be from a server that is showing one now.
    const mayKnowSecret = secret.kind === 'token' ? offer.idPrefix === idPrefix(secret.token.serverId) : offer.pairing
    const key = `${offer.address} ${offer.port}`
    if (!mayKnowSecret || tried.has(key)) continue
    tried.add(key)
    yield offer
  }
}
