import type { Incoming, Message } from '@filesync/protocol'

/** What any message counts for. Messages are small, and few compared to raw frames. */
const MESSAGE_BYTES = 64

/** The size of what a client sent, as patience and the rate limit count it. */
export function arrivedBytes (arrived: Incoming | Message): number {
  return 'kind' in arrived && arrived.kind === 'raw' ? arrived.payload.length : MESSAGE_BYTES
}
