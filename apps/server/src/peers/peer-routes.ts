import { FileSyncError } from '@filesync/protocol'
import type { ControlRoutes } from '@filesync/program/node'
import * as v from 'valibot'
import type { PeerOperations, RemovedPeer } from './peer-operations.ts'

const named = v.object({ peer: v.string() })
const renameRequest = v.object({ peer: v.string(), to: v.string() })
const pauseRequest = v.object({ peer: v.string(), pause: v.boolean() })
const expectRequest = v.object({
  peer: v.string(),
  expectMs: v.nullable(v.union([v.pipe(v.number(), v.safeInteger(), v.minValue(1)), v.literal('never')])),
})

/** `peers rename`. */
export async function renamePeer (operations: PeerOperations, request: unknown): Promise<{ readonly from: string, readonly to: string }> {
  const { peer, to } = parse(renameRequest, request)
  return await operations.rename(peer, to)
}

/** `peers remove`, without `--keep-files`. */
export async function removePeer (operations: PeerOperations, request: unknown): Promise<RemovedPeer> {
  return await operations.remove(parse(named, request).peer)
}

/** `peers pause` and `peers resume`. */
export async function pausePeer (operations: PeerOperations, request: unknown): Promise<{ readonly area: string }> {
  const { peer, pause } = parse(pauseRequest, request)
  const { area } = await operations.pause(peer, pause)
  return { area }
}

/** `peers expect`. */
export async function expectPeer (operations: PeerOperations, request: unknown): Promise<{ readonly area: string }> {
  const { peer, expectMs } = parse(expectRequest, request)
  const { area } = await operations.expect(peer, expectMs ?? undefined)
  return { area }
}

/** The area that a name or id means, for a token. */
async function findPeerArea (operations: PeerOperations, request: unknown): Promise<{ readonly area: string }> {
  return { area: await operations.area(parse(named, request).peer) }
}

/** The routes by which commands change the clients of the running server. */
export function peerRoutes (operations: PeerOperations): ControlRoutes {
  return {
    'POST /peers/rename': async body => await renamePeer(operations, body),
    'POST /peers/remove': async body => await removePeer(operations, body),
    'POST /peers/pause': async body => await pausePeer(operations, body),
    'POST /peers/expect': async body => await expectPeer(operations, body),
    'POST /peers/area': async body => await findPeerArea(operations, body),
  }
}

function parse <T>(schema: v.GenericSchema<unknown, T>, request: unknown): T {
  const result = v.safeParse(schema, request)
  if (result.success) return result.output
  throw new FileSyncError('USAGE', 'The server did not understand the command. It may be of another version than this program.')
}
