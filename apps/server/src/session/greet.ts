import { FEATURES, hello, LIMITS, negotiate } from '@filesync/protocol'
import type { Agreement, Clock, Connection } from '@filesync/protocol'
import { SUPPORTED_FEATURES } from '@filesync/transfer'

/**
 * The server's side of HELLO. The client, whose key has been verified already, sends its HELLO first. Throws VERSION_UNSUPPORTED or
 * PEER_TIMEOUT.
 */
export async function greetClient (connection: Connection, software: string, clock: Clock): Promise<Agreement> {
  const theirs = await connection.receive(['HELLO'], LIMITS.helloTimeoutMs)
  const ours = hello(software, [...SUPPORTED_FEATURES, FEATURES.SAFE, FEATURES.PLAN], clock.nowMs())
  const agreement = negotiate(ours, theirs)
  await connection.send(ours)
  return agreement
}
