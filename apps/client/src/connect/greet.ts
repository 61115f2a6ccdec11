import { FEATURES, FileSyncError, hello, LIMITS, negotiate } from '@filesync/protocol'
import type { Agreement, Clock, Connection } from '@filesync/protocol'
import { SUPPORTED_FEATURES } from '@filesync/transfer'

/** What both ends agreed on in HELLO. */
export interface Greeting extends Agreement {
  /** The server's clock when it sent HELLO; undefined if it does not send it. */
  readonly serverTimeMs: number | undefined
}

export interface PushGreetingInit {
  readonly software: string
  readonly clock: Clock
  /** See `runMark`. */
  readonly mark?: Uint8Array | undefined
}

/** Exchanges HELLO for a push. Throws what the server closes with instead: NOT_PAIRED, VERSION_UNSUPPORTED, SERVER_BUSY. */
export async function greetServer (connection: Connection, { software, clock, mark }: PushGreetingInit): Promise<Greeting> {
  const ours = hello(software, SUPPORTED_FEATURES, clock.nowMs())
  await connection.send({ ...ours, ...(mark !== undefined && { mark }) })
  const theirs = await connection.receive(['HELLO'], LIMITS.helloTimeoutMs)
  return { ...negotiate(ours, theirs), serverTimeMs: theirs.timeMs }
}

/** As {@link greetServer}, for a safe check. Throws VERSION_UNSUPPORTED if the server does not support it. */
export async function greetForSafeCheck (connection: Connection, software: string, clock: Clock): Promise<Greeting> {
  const ours = hello(software, [FEATURES.SAFE], clock.nowMs())
  await connection.send(ours)
  const theirs = await connection.receive(['HELLO'], LIMITS.helloTimeoutMs)
  const agreement = negotiate(ours, theirs)
  if (agreement.features.has(FEATURES.SAFE)) return { ...agreement, serverTimeMs: theirs.timeMs }
  throw new FileSyncError('VERSION_UNSUPPORTED', 'The server runs an earlier version, which cannot check what is safe. ' +
    'Update it, or run "filesync-server verify" there.')
}

/** As {@link greetServer}, to read files back. Throws RESTORE_FORBIDDEN, or VERSION_UNSUPPORTED if the server does not support it. */
export async function greetForRestore (connection: Connection, software: string, clock: Clock): Promise<Greeting> {
  const ours = hello(software, [FEATURES.RESTORE, FEATURES.RESUME, FEATURES.HOLES], clock.nowMs())
  await connection.send(ours)
  const theirs = await connection.receive(['HELLO'], LIMITS.helloTimeoutMs)
  const agreement = negotiate(ours, theirs)
  if (agreement.features.has(FEATURES.RESTORE)) return { ...agreement, serverTimeMs: theirs.timeMs }
  throw new FileSyncError('VERSION_UNSUPPORTED', 'The server runs an earlier version, which does not give files back to clients. ' +
    'Update it, or run "filesync-server restore" there.')
}

/** As {@link greetServer}, for a plan. Throws VERSION_UNSUPPORTED if the server does not support it. */
export async function greetForPlan (connection: Connection, software: string, clock: Clock): Promise<void> {
  const ours = hello(software, [FEATURES.PLAN], clock.nowMs())
  await connection.send(ours)
  const { features } = negotiate(ours, await connection.receive(['HELLO'], LIMITS.helloTimeoutMs))
  if (features.has(FEATURES.PLAN)) return
  throw new FileSyncError('VERSION_UNSUPPORTED', 'The server runs an earlier version, which cannot plan a push. Update it.')
}
