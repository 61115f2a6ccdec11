import { FEATURES, FileSyncError, hello, LIMITS, negotiate, toHex } from '@filesync/protocol'
import type { Agreement, Clock, Connection } from '@filesync/protocol'
import { SUPPORTED_FEATURES } from '@filesync/transfer'

export interface GreetClientInit {
  readonly software: string
  readonly clock: Clock
  /** Whether clients may read their files back. */
  readonly mayRestore: boolean
}

/** What both ends agreed on in HELLO. */
export interface ClientGreeting extends Agreement {
  /** The mark of the client's run, in hexadecimal; undefined if it sent none. */
  readonly mark: string | undefined
}

/**
 * The server's side of HELLO. The client, whose key has been verified already, sends its HELLO first. Throws VERSION_UNSUPPORTED,
 * PEER_TIMEOUT, or RESTORE_FORBIDDEN.
 */
export async function greetClient (connection: Connection, { software, clock, mayRestore }: GreetClientInit): Promise<ClientGreeting> {
  const theirs = await connection.receive(['HELLO'], LIMITS.helloTimeoutMs)
  if (!mayRestore && theirs.features.includes(FEATURES.RESTORE)) {
    throw new FileSyncError('RESTORE_FORBIDDEN', 'The server does not let clients read files or their history back ' +
      '(--no-client-restore). Restore on the server instead, with "filesync-server restore".')
  }
  const kinds = [FEATURES.SAFE, FEATURES.PLAN, ...(mayRestore ? [FEATURES.RESTORE] : [])]
  const ours = hello(software, [...SUPPORTED_FEATURES, ...kinds], clock.nowMs())
  const agreement = negotiate(ours, theirs)
  await connection.send(ours)
  return { ...agreement, mark: theirs.mark === undefined ? undefined : toHex(theirs.mark) }
}
