import type { Incoming, Message } from '@filesync/protocol'

/** What a message counts for; messages are small, and few beside the frames. */
const MESSAGE_BYTES = 64

/** What a client sent, in bytes, where its pace and its share of the network are measured. */
export function arrivedBytes (arrived: Incoming | Message): number {
  return 'kind' in arrived && arrived.kind === 'raw' ? arrived.payload.length : MESSAGE_BYTES
}
