import { idPrefix } from '@filesync/identity'
import type { PinnedServer } from '@filesync/identity'
import { connectTls } from '@filesync/identity/node'
import type { Channel } from '@filesync/identity/node'
import { ALPN_SYNC, asFileSyncError } from '@filesync/protocol'
import type { Clock, ErrorCode, FileSyncError } from '@filesync/protocol'
import { formatDuration } from '@filesync/program'
import type { DoctorFinding } from '@filesync/program'
import type { ClientState } from './client-state.ts'
import { greetForSafeCheck } from './greet.ts'
import type { HostPort } from '../settings.ts'
import { SOFTWARE } from '../software.ts'

/**
 * Syncing does not depend on clocks that agree: changes are detected by the client's times, and retention uses the server's.
 * But people compare a modification time here with the time of a version there. NTP keeps a clock correct to milliseconds, and
 * 2 s is also the resolution of times on FAT, so a larger difference means that a clock is not synchronized.
 */
const CLOCK_TOLERANCE_MS = 2_000
/** A machine on the local network answers in milliseconds. */
const CONNECT_TIMEOUT_MS = 3_000
/** A server that many clients have connected to at once may take longer; a person waits for this. */
const ANSWER_TIMEOUT_MS = 10_000

export interface ProveServerInit {
  readonly state: ClientState
  readonly pinned: readonly PinnedServer[]
  readonly clock: Clock
  readonly signal: AbortSignal
}

/** The outcome of a trial session. */
export interface ServerProof {
  /** Whether a paired server would serve this client there. */
  readonly isProven: boolean
  readonly findings: readonly DoctorFinding[]
}

/** Connects to an address and finds out whether a paired server answers and accepts this client. */
export async function proveServer (place: HostPort, init: ProveServerInit): Promise<ServerProof> {
  const { state, pinned, clock, signal } = init
  const where = `${place.host} port ${place.port}`
  try {
    const channel = await connectTls({
      identity: state.identity,
      address: place.host,
      port: place.port,
      alpn: ALPN_SYNC,
      expect: pinned,
      clock,
      signal,
      timeoutMs: CONNECT_TIMEOUT_MS,
      answerTimeoutMs: ANSWER_TIMEOUT_MS,
    })
    try {
      const name = pinned.find(({ id }) => id === channel.serverId)?.name ?? idPrefix(channel.serverId)
      return { isProven: true, findings: await greetAndCompare(channel, `${name} at ${where}`, init) }
    } finally {
      await channel.connection.close()
    }
  } catch (error) {
    signal.throwIfAborted()
    return { isProven: false, findings: [refusalFinding(where, asFileSyncError(error))] }
  }
}

async function greetAndCompare ({ connection }: Channel, who: string, { clock }: ProveServerInit): Promise<DoctorFinding[]> {
  const askedMs = clock.monotonicMs()
  // A safe check needs no turn, so this disturbs neither the server's schedule for this client nor a client that is running here.
  const { serverTimeMs } = await greetForSafeCheck(connection, SOFTWARE, clock)
  const proven: DoctorFinding = { check: 'identity', level: 'ok', what: `${who} has proven its identity and accepts this client.` }
  if (serverTimeMs === undefined) return [proven]
  return [proven, compareClocks(serverTimeMs - clock.nowMs(), clock.monotonicMs() - askedMs)]
}

/**
 * Compares the server's clock with this machine's.
 *
 * @param aheadMs the server's clock when it sent HELLO, minus this clock when HELLO was received
 * @param tookMs the round trip, which is by how much `aheadMs` may be too small
 */
export function compareClocks (aheadMs: number, tookMs: number): DoctorFinding {
  // However long the network took, the server read its clock between the request and the answer.
  const leastMs = aheadMs > 0 ? aheadMs : Math.max(0, -aheadMs - tookMs)
  if (leastMs <= CLOCK_TOLERANCE_MS) return { check: 'clock', level: 'ok', what: 'The clocks of the server and this machine agree.' }
  return {
    check: 'clock',
    level: 'warning',
    what: `${aheadMs > 0 ? 'The server\'s' : 'This machine\'s'} clock is ${formatDuration(leastMs)} ahead of ` +
      `${aheadMs > 0 ? 'this machine\'s' : 'the server\'s'}. No data is lost, but times of versions cannot be compared with times here.`,
    fix: 'synchronize both clocks with NTP, for example by "timedatectl set-ntp true"',
  }
}

const FIXES: Partial<Readonly<Record<ErrorCode, string>>> = {
  NOT_PAIRED: 'run "filesync-server pair" on the server, then "filesync-client pair" here',
  IDENTITY_CHANGED: 'check the address; if the server was reinstalled, run "filesync-client forget" with its name and pair again',
  SERVER_UNREACHABLE: 'start the server, and allow its TCP port in the firewall there',
  PEER_UNPROVEN: 'check the address and the port; "filesync-server status" prints the port',
  VERSION_UNSUPPORTED: 'update the older of the two programs',
  SERVER_BUSY: 'nothing; try again later',
  SERVER_STOPPING: 'start the server again',
}

function refusalFinding (where: string, { code, message }: FileSyncError): DoctorFinding {
  return {
    check: 'identity',
    level: 'fault',
    what: `No session with a paired server at ${where}: ${message.replaceAll(/\s*\n\s*/gu, ' ')}`,
    fix: FIXES[code] ?? 'look in the log of the server',
  }
}
