import { agree, hello, LIMITS } from '@filesync/protocol'
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
