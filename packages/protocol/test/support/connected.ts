import { setImmediate as turn } from 'node:timers/promises'
import { encodeFrame, openConnection } from '@filesync/protocol'
import type { ByteStream, Connection, Message, FileSyncError } from '@filesync/protocol'
import { ManualClock, memoryStreamPair } from '@filesync/protocol/testing'
import type { MemoryStreamInit } from '@filesync/protocol/testing'
import { encodeMessage } from '../../src/wire/message-schema.ts'
import { join } from './refusal.ts'

export const STORED: Message = { type: 'STORED', files: 1, bytes: 2 }

interface Bench {
  readonly clock: ManualClock
  readonly left: Connection
  readonly right: Connection
}

export function connectBoth (init: MemoryStreamInit = {}): Bench {
  const clock = new ManualClock()
  const [near, far] = memoryStreamPair(init)
  return { clock, left: openConnection({ stream: near, clock }), right: openConnection({ stream: far, clock }) }
}

/** A connection whose other end the test controls. */
export function connectOne (signal?: AbortSignal): { clock: ManualClock, connection: Connection, peer: ByteStream } {
  const clock = new ManualClock()
  const [near, peer] = memoryStreamPair()
  return { clock, connection: openConnection({ stream: near, clock, ...(signal !== undefined && { signal }) }), peer }
}

/** Lets everything run that waits for nothing but its turn. */
export async function settle (): Promise<void> {
  for (let i = 0; i < 5; i++) await turn()
}

export const reasonOf = (connection: Connection): string | undefined => (connection.signal.reason as FileSyncError | undefined)?.code
export const frameOf = (message: Message): Uint8Array => encodeFrame('MESSAGE', [encodeMessage(message)])

/** The frames that were sent to the peer, identified by the start of their content. */
export async function readText (peer: ByteStream): Promise<string> {
  const chunks = await peer.read().catch(() => undefined)
  return chunks === undefined ? '' : new TextDecoder().decode(join(chunks))
}
