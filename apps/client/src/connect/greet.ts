import { agree, FEATURES, FileSyncError, hello, LIMITS } from '@filesync/protocol'
import type { Agreement, Clock, Connection } from '@filesync/protocol'
import { ABILITIES } from '@filesync/transfer'

/** What the two ends agreed on. */
export interface Greeting extends Agreement {
  /** The server's clock when it greeted; undefined where it does not tell. */
  readonly serverTimeMs: number | undefined
}

/** The client's side of HELLO. Throws what the server answers with instead: NOT_PAIRED, VERSION_UNSUPPORTED, SERVER_BUSY. */
export async function greetServer (connection: Connection, software: string, clock: Clock): Promise<Greeting> {
  const ours = hello(software, ABILITIES, clock.nowMs())
  await connection.send(ours)
  const theirs = await connection.receive(['HELLO'], LIMITS.helloTimeoutMs)
  return { ...agree(ours, theirs), serverTimeMs: theirs.timeMs }
}

/** As {@link greetServer}, for a session of questions. Throws VERSION_UNSUPPORTED where the server answers none. */
export async function greetForQuestions (connection: Connection, software: string, clock: Clock): Promise<Greeting> {
  const ours = hello(software, [FEATURES.SAFE], clock.nowMs())
  await connection.send(ours)
  const theirs = await connection.receive(['HELLO'], LIMITS.helloTimeoutMs)
  const agreement = agree(ours, theirs)
  if (agreement.features.has(FEATURES.SAFE)) return { ...agreement, serverTimeMs: theirs.timeMs }
  throw new FileSyncError('VERSION_UNSUPPORTED', 'The server is of an earlier version, which cannot say what is safe. Update it, or run "filesync-server verify" there.')
}

/** As {@link greetServer}, for a session that only asks what a push would do. Throws VERSION_UNSUPPORTED where the server cannot tell. */
export async function greetForPlan (connection: Connection, software: string, clock: Clock): Promise<void> {
  const ours = hello(software, [FEATURES.PLAN], clock.nowMs())
  await connection.send(ours)
  const { features } = agree(ours, await connection.receive(['HELLO'], LIMITS.helloTimeoutMs))
  if (features.has(FEATURES.PLAN)) return
  throw new FileSyncError('VERSION_UNSUPPORTED', 'The server is of an earlier version, which cannot say what a push would do. Update it.')
}
