import { agree, FEATURES, hello, LIMITS } from '@filesync/protocol'
import type { Agreement, Connection } from '@filesync/protocol'

/** The client's side of HELLO. Throws what the server answers with instead: NOT_PAIRED, VERSION_UNSUPPORTED, SERVER_BUSY. */
export async function greetServer (connection: Connection, software: string): Promise<Agreement> {
  const ours = hello(software, [FEATURES.RESUME, FEATURES.ZSTD, FEATURES.DELTA])
  await connection.send(ours)
  return agree(ours, await connection.receive(['HELLO'], LIMITS.helloTimeoutMs))
}
