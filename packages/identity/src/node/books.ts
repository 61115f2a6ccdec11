import { join } from 'node:path'
import type { Clock } from '@filesync/protocol'
import { systemClock } from '@filesync/protocol/node'
import * as v from 'valibot'
import { isSanitized } from '../area.ts'
import { isDeviceId } from '../device-id.ts'
import type { DeviceId } from '../device-id.ts'
import { PeerBook } from '../peer-book.ts'
import type { Peer } from '../peer.ts'
import { ServerBook } from '../server-book.ts'
import type { PinnedServer } from '../server-book.ts'
import { TokenBook } from '../token-book.ts'
import type { TokenRecord } from '../token-book.ts'
import { openAuditLog } from './audit-log.ts'
import { nodeCrypto } from './node-crypto.ts'
import { recordFile } from './record-file.ts'

const id: v.GenericSchema<unknown, DeviceId> = v.custom<DeviceId>(isDeviceId)
// The file can be edited by hand, and an area becomes a path.
const area: v.GenericSchema<unknown, string> = v.pipe(v.string(), v.check(isSanitized))
const timeMs: v.GenericSchema<unknown, number> = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const via = v.picklist(['code', 'token', 'manual'])
const minProtocol = v.pipe(v.number(), v.safeInteger(), v.minValue(2))

const tokenId = v.pipe(v.string(), v.regex(/^[0-9a-f]{16}$/u))

const peer: v.GenericSchema<unknown, Peer> = v.object({
  id, area, addedAtMs: timeMs, via, minProtocol,
  lastSeenAtMs: v.optional(timeMs), lastAddress: v.optional(v.string()), revokedAtMs: v.optional(timeMs),
  formerIds: v.optional(v.array(id)), takenBy: v.optional(tokenId), pausedAtMs: v.optional(timeMs),
  expectMs: v.optional(v.union([v.pipe(timeMs, v.minValue(1)), v.literal('never')])),
  renamingTo: v.optional(area), removedAtMs: v.optional(timeMs),
})

const server: v.GenericSchema<unknown, PinnedServer> = v.object({
  id, name: area, area: v.optional(area), pairedAs: v.optional(area), pinnedAtMs: timeMs, via, minProtocol,
  lastAddress: v.optional(v.string()),
  lastPort: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535))),
})

const token: v.GenericSchema<unknown, TokenRecord> = v.object({
  tokenId,
  key: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/u)),
  uses: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
  usedBy: v.array(id),
  createdAtMs: timeMs,
  expiresAtMs: timeMs,
  area: v.optional(area),
})

/** The clients that the server with this state directory knows: `peers.json`. Changes go to `audit.log`. */
export function openPeers (stateDir: string, clock: Clock = systemClock): PeerBook {
  const store = recordFile({ path: join(stateDir, 'peers.json'), listName: 'peers', schema: peer })
  return new PeerBook(store, { clock, audit: openAuditLog(stateDir, clock) })
}

/** The enrollment tokens of the server with this state directory: `tokens.json`. Changes go to `audit.log`. */
export function openTokens (stateDir: string, clock: Clock = systemClock): TokenBook {
  const store = recordFile({ path: join(stateDir, 'tokens.json'), listName: 'tokens', schema: token })
  return new TokenBook(store, { crypto: nodeCrypto, clock, audit: openAuditLog(stateDir, clock) })
}

/** The servers that the client with this state directory trusts: `servers.json`. */
export function openServers (stateDir: string, clock: Clock = systemClock): ServerBook {
  return new ServerBook(recordFile({ path: join(stateDir, 'servers.json'), listName: 'servers', schema: server }), clock)
}
