import { idPrefix } from '@filesync/identity'
import type { PinnedServer } from '@filesync/identity'
import { connectTls } from '@filesync/identity/node'
import type { Channel } from '@filesync/identity/node'
import { ALPN_SYNC, asFileSyncError } from '@filesync/protocol'
import type { Clock, ErrorCode, FileSyncError } from '@filesync/protocol'
import { formatDuration } from '@filesync/program'
import type { DoctorFinding } from '@filesync/program'
import type { ClientState } from './client-state.ts'
import { greetForQuestions } from './greet.ts'
import type { HostPort } from '../settings.ts'
import { SOFTWARE } from '../software.ts'

/**
 * No rule depends on the clocks: what has changed is judged by the client's own times, and what is kept by the server's.
 * But a person compares "changed at" here with a version there. A clock that is kept by NTP is right to milliseconds, and 2 s
 * is also as exact as FAT keeps times, so what is further off is a clock that nobody keeps.
 */
const CLOCK_TOLERANCE_MS = 2_000
/** A machine of this network answers in milliseconds. */
const CONNECT_TIMEOUT_MS = 3_000

export interface ProveInit {
  readonly state: ClientState
  readonly pinned: readonly PinnedServer[]
  readonly clock: Clock
  readonly signal: AbortSignal
}

/** What came of going to a server as far as a session goes. */
export interface Proof {
  /** Whether this client would be served there. */
  readonly isProven: boolean
  readonly findings: readonly DoctorFinding[]
}

/** Connects to where a server may be, and finds out whether it is a paired one that lets this client in. */
export async function proveServer (place: HostPort, init: ProveInit): Promise<Proof> {
  const { state, pinned, clock, signal } = init
  const where = `${place.host} port ${place.port}`
  try {
    const channel = await connectTls({
      identity: state.identity, address: place.host, port: place.port, alpn: ALPN_SYNC, expect: pinned, clock, signal, timeoutMs: CONNECT_TIMEOUT_MS,
    })
    try {
      const server = pinned.find(({ id }) => id === channel.serverId)
      return { isProven: true, findings: await meet(channel, `${server?.name ?? idPrefix(channel.serverId)} at ${where}`, init) }
    } finally {
      await channel.connection.close()
    }
  } catch (error) {
    signal.throwIfAborted()
    return { isProven: false, findings: [refusal(where, asFileSyncError(error))] }
  }
}

async function meet ({ connection }: Channel, who: string, { clock }: ProveInit): Promise<DoctorFinding[]> {
  const askedMs = clock.monotonicMs()
  // As for questions, which need no turn: the server's account of this client, and a client that runs here, stay as they are.
  const { serverTimeMs } = await greetForQuestions(connection, SOFTWARE, clock)
  const proven: DoctorFinding = { check: 'identity', level: 'ok', what: `${who} has proven who it is, and knows this client.` }
  if (serverTimeMs === undefined) return [proven]
  return [proven, compareClocks(serverTimeMs - clock.nowMs(), clock.monotonicMs() - askedMs)]
}

/**
 * @param aheadMs the server's clock when it greeted, minus this one's when the greeting was read
 * @param tookMs how long that took, so by how much `aheadMs` may be too little
 */
export function compareClocks (aheadMs: number, tookMs: number): DoctorFinding {
  // Whatever the way took, the server read its clock between the question and the answer.
  const leastMs = aheadMs > 0 ? aheadMs : Math.max(0, -aheadMs - tookMs)
  if (leastMs <= CLOCK_TOLERANCE_MS) return { check: 'clock', level: 'ok', what: 'The clocks of the server and of this machine agree.' }
  return {
    check: 'clock',
    level: 'warning',
    what: `The server's clock is ${formatDuration(leastMs)} ${aheadMs > 0 ? 'ahead of' : 'behind'} this machine's. Nothing is lost by that, but times of versions are not comparable.`,
    fix: 'let both machines keep their clocks by NTP, e.g. "timedatectl set-ntp true"',
  }
}

const FIXES: Partial<Readonly<Record<ErrorCode, string>>> = {
  NOT_PAIRED: 'run "filesync-server pair" on the server, then "filesync-client pair" here',
  IDENTITY_CHANGED: 'check the address; if the server was set up anew, run "filesync-client forget" with its name and pair again',
  SERVER_UNREACHABLE: 'start the server, and allow its TCP port in the firewall there',
  PEER_UNPROVEN: 'check the address and the port: "filesync-server status" prints the port',
  VERSION_UNSUPPORTED: 'update the older of the two programs',
  SERVER_BUSY: 'nothing: try again later',
  SERVER_STOPPING: 'start the server again',
}

function refusal (where: string, { code, message }: FileSyncError): DoctorFinding {
  return {
    check: 'identity',
    level: 'fault',
    what: `This client gets no session at ${where}: ${message.replaceAll(/\s*\n\s*/gu, ' ')}`,
    fix: FIXES[code] ?? 'look at what the server logs',
  }
}
