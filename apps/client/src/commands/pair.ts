import { readFile } from 'node:fs/promises'
import { formatDeviceId, idPrefix, parseEnrolmentToken, parsePairingCode, provePairing } from '@filesync/identity'
import type { DeviceId, Granted, PairingSecret } from '@filesync/identity'
import { connectTls, nodeCrypto } from '@filesync/identity/node'
import { ALPN_PAIR, FileSyncError, isFileSyncError } from '@filesync/protocol'
import type { Clock } from '@filesync/protocol'
import { systemClock } from '@filesync/protocol/node'
import { jsonLine, printable } from '@filesync/program'
import { canPrompt, prompt, readSecretLine } from '@filesync/program/node'
import type { Terminal } from '@filesync/program/node'
import type { Candidate } from '../connect/candidate.ts'
import { openClientState } from '../connect/client-state.ts'
import type { ClientState } from '../connect/client-state.ts'
import { findPairing } from '../connect/find-pairing.ts'
import { offersOf } from '../connect/find-server.ts'
import type { OffersInit } from '../connect/find-server.ts'
import { MAX_TROUBLES_TOLD } from '../connect/reach-server.ts'
import { defaultId, stateDirOf } from '../settings.ts'
import type { ServerFlags } from '../settings.ts'
import type { CommandContext } from './push.ts'

export interface PairFlags extends ServerFlags {
  readonly id?: string
  readonly codeStdin?: boolean
}

export interface EnrollFlags extends ServerFlags {
  readonly id?: string
  readonly tokenFile: string
}

/** How long to look for a server that pairs. */
const FIND_TIMEOUT_MS = 15_000

/** `filesync-client pair`: trusts, and is trusted by, the server that shows the code. */
export async function pair (flags: PairFlags, { terminal, signal }: CommandContext): Promise<void> {
  const code = parsePairingCode(await readCode(flags, terminal))
  await introduce({ secret: { kind: 'code', code }, flags, terminal, signal })
}

/** `filesync-client enroll`: the same with a token that the server made for many clients. */
export async function enroll (flags: EnrollFlags, { terminal, signal }: CommandContext): Promise<void> {
  let text: string
  try {
    text = await readFile(flags.tokenFile, 'utf8')
  } catch (cause) {
    throw new FileSyncError('USAGE', `The token file ${flags.tokenFile} cannot be read. Make one on the server with "filesync-server token create > FILE".`, { cause })
  }
  await introduce({ secret: { kind: 'token', token: parseEnrolmentToken(text) }, flags, terminal, signal })
}

async function readCode (flags: PairFlags, terminal: Terminal): Promise<string> {
  if (flags.codeStdin === true) return await readSecretLine(terminal)
  const fromEnvironment = terminal.env['FILESYNC_CODE']
  if (fromEnvironment !== undefined) return fromEnvironment
  if (!canPrompt(terminal)) {
    throw new FileSyncError('USAGE', 'There is no terminal to ask for the code. Pass it on standard input with --code-stdin, or in the environment as FILESYNC_CODE.')
  }
  terminal.stdout.write('On the server run "filesync-server pair"; it shows a code.\n')
  // Parsed while the person is still there to type it again.
  return await prompt(terminal, 'Code:', text => { parsePairingCode(text); return text })
}

interface Introduction {
  readonly secret: PairingSecret
  readonly flags: PairFlags | EnrollFlags
  readonly terminal: Terminal
  readonly signal: AbortSignal
}

async function introduce ({ secret, flags, terminal, signal }: Introduction): Promise<void> {
  const state = await openClientState(stateDirOf(flags, terminal))
  const name = flags.id ?? defaultId()
  const troubles: FileSyncError[] = []
  // Of one server by several addresses, once is enough.
  const refusedBy = new Set<DeviceId>()
  const granted = await findPairing({
    candidates: over => candidates(secret, flags, { signal: over, onProblem: error => { troubles.push(error) } }),
    attempt: async (candidate, over) => await introduceTo(candidate, { state, secret, name, refusedBy, signal: over }),
    random: Math.random,
    clock: systemClock,
    signal,
  })
  if (granted === undefined) throw nobodyPairs(troubles)
  if (flags.json === true) {
    terminal.stdout.write(jsonLine({ server: granted.serverName, serverId: formatDeviceId(granted.serverId), area: granted.area }))
  } else if (flags.quiet !== true) {
    terminal.stdout.write(`Paired with ${printable(granted.serverName)}. The files of this machine will be in the folder "${printable(granted.area)}" of its archive.\n`)
  }
}

interface Visit {
  readonly state: ClientState
  readonly secret: PairingSecret
  readonly name: string
  /** Servers that have refused; each that does is added. */
  readonly refusedBy: Set<DeviceId>
  readonly signal: AbortSignal
}

async function introduceTo ({ address, port }: Candidate, { state, secret, name, refusedBy, signal }: Visit): Promise<Granted> {
  const clock: Clock = systemClock
  const channel = await connectTls({ identity: state.identity, address, port, alpn: ALPN_PAIR, clock, signal })
  try {
    if (refusedBy.has(channel.serverId)) throw new FileSyncError('PEER_UNPROVEN', 'This server was asked already, at another address.')
    const granted = await provePairing(channel, {
      crypto: nodeCrypto,
      secret,
      name,
      remember: async ({ serverId, serverName, area }) => {
        await state.servers.pin({ id: serverId, name: serverName, area, via: secret.kind, address, port })
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

function nobodyPairs (troubles: readonly FileSyncError[]): FileSyncError {
  return new FileSyncError('SERVER_NOT_FOUND', ['No server that pairs at the moment was found on the local network. ' +
    'Run "filesync-server pair" on the server, check that both are on the same network, or name the server with --server HOST:PORT.',
  ...troubles.slice(0, MAX_TROUBLES_TOLD).map(({ message }) => message)].join(' '))
}

async function * candidates (secret: PairingSecret, flags: ServerFlags, init: OffersInit): AsyncGenerator<Candidate, void, undefined> {
  if (flags.server !== undefined) {
    yield { address: flags.server.host, port: flags.server.port, origin: 'given' }
    return
  }
  const signal = AbortSignal.any([init.signal, AbortSignal.timeout(FIND_TIMEOUT_MS)])
  const tried = new Set<string>()
  for await (const offer of offersOf({ interfaces: flags.interface, clock: systemClock }, 'pair', { ...init, signal })) {
    // A token names its server; with a code, only a server that shows one at the moment can be meant.
    const isMeant = secret.kind === 'token' ? offer.idPrefix === idPrefix(secret.token.serverId) : offer.pairing
    const key = `${offer.address} ${offer.port}`
    if (!isMeant || tried.has(key)) continue
    tried.add(key)
    yield offer
  }
}
