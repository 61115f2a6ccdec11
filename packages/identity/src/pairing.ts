import { asFileSyncError, FileSyncError } from '@filesync/protocol'
import type { Connection } from '@filesync/protocol'
import { tameName } from './area.ts'
import type { PairingCrypto } from './crypto-port.ts'
import type { DeviceId } from './device-id.ts'
import type { EnrolmentToken } from './enrolment-token.ts'
import type { PairingCode } from './pairing-code.ts'
import type { Peer } from './peer-book.ts'
import { clientProof, codeKey, serverProof, tokenId, tokenKey } from './proof.ts'
import type { PairingTranscript } from './proof.ts'
import { refuseClient } from './refuse-client.ts'

/** A connection whose other end has proven a key, and what ties a proof to it. */
export interface PairingChannel extends PairingTranscript {
  readonly connection: Connection
}

/** What the client was given. */
export type PairingSecret =
  | { readonly kind: 'code', readonly code: PairingCode }
  | { readonly kind: 'token', readonly token: EnrolmentToken }

/** What the server granted; its texts are harmless to show. */
export interface Granted {
  readonly serverId: DeviceId
  readonly serverName: string
  readonly area: string
}

export interface ProveInit {
  readonly crypto: PairingCrypto
  readonly secret: PairingSecret
  /** The name that this machine wishes for. */
  readonly name: string
  /** Stores the server as trusted; resolves when that is durable. Called only once the server has proven itself. */
  readonly remember: (granted: Granted) => Promise<void>
}

/** One client's chance to pair, found by what it sent. */
export interface PairingClaim {
  /** What its proof has to be made with. */
  readonly key: Uint8Array
  /** The proof was right. Stores the client; resolves when that is durable. Throws PAIRING_REFUSED where another was faster. */
  admit (): Promise<Peer>
  /** The proof was wrong. */
  refuse (): void
}

/** What the server's end of pairing asks, as a port. */
export interface PairingJudge {
  readonly serverName: string
  /** Undefined where nothing could admit this client: no window, another client's window, no such token. */
  claim (request: { readonly clientId: DeviceId, readonly tokenId: Uint8Array | undefined, readonly wish: string }): Promise<PairingClaim | undefined>
}

export interface JudgeInit {
  readonly crypto: PairingCrypto
  readonly judge: PairingJudge
}

/** Long enough for a small machine to compute scrypt and to write to a slow disk. */
const STEP_TIMEOUT_MS = 15_000

/**
 * The client's side. Proves that it was given the secret, has the server prove the same, trusts it, and says so.
 * Throws PAIRING_REFUSED, or PAIRING_UNPROVEN where the other end is not the server that the secret is for; nothing is
 * remembered then.
 */
export async function provePairing (channel: PairingChannel, init: ProveInit): Promise<Granted> {
  const { connection, serverId } = channel
  const { key, tokenId: token } = await readSecret(channel, init)
  const name = tameName(init.name)
  const mac = init.crypto.hmacSha256(key, clientProof(channel, name))
  await connection.send({ type: 'PAIR_PROOF', name, ...(token !== undefined && { tokenId: token }), mac })
  const ok = await connection.receive(['PAIR_OK'], STEP_TIMEOUT_MS)
  if (!init.crypto.equal(ok.mac, init.crypto.hmacSha256(key, serverProof(channel, ok)))) throw refuseServer(channel, 'does not know the secret')
  const granted = { serverId, serverName: tameName(ok.serverName), area: tameName(ok.area) }
  await init.remember(granted)
  // Both ends trust each other by now, whatever becomes of the last word.
  await connection.send({ type: 'PAIR_DONE' }).catch(() => undefined)
  return granted
}

/** What became of a client that proved itself. */
export interface Admitted {
  /** It is trusted from now on. */
  readonly peer: Peer
  /** Why it is not known whether the client has stored this server: it left, or said something else, before it said so. */
  readonly unconfirmed?: FileSyncError
}

/**
 * The server's side. The client proves itself first, so that nobody gets a proof from a server for the asking. The peer
 * is stored before the client is told, and stays stored whether or not the client says that it was. Throws PAIRING_REFUSED,
 * always in the same words.
 */
export async function judgePairing (channel: PairingChannel, { crypto, judge }: JudgeInit): Promise<Admitted> {
  const { connection, clientId } = channel
  const proof = await connection.receive(['PAIR_PROOF'], STEP_TIMEOUT_MS)
  const claim = await judge.claim({ clientId, tokenId: proof.tokenId, wish: proof.name })
  if (claim === undefined) throw refuseClient('nothing admits it: no open window, or no such token')
  if (!crypto.equal(proof.mac, crypto.hmacSha256(claim.key, clientProof(channel, proof.name)))) {
    claim.refuse()
    throw refuseClient('wrong proof')
  }
  const peer = await claim.admit()
  const granted = { serverName: judge.serverName, area: peer.area }
  try {
    await connection.send({ type: 'PAIR_OK', ...granted, mac: crypto.hmacSha256(claim.key, serverProof(channel, granted)) })
    await connection.receive(['PAIR_DONE'], STEP_TIMEOUT_MS)
    return { peer }
  } catch (error) {
    return { peer, unconfirmed: asFileSyncError(error, 'PEER_GONE') }
  }
}

async function readSecret (channel: PairingChannel, { crypto, secret }: ProveInit): Promise<{ key: Uint8Array, tokenId?: Uint8Array }> {
  if (secret.kind === 'code') return { key: await codeKey(crypto, secret.code, channel.serverId) }
  // Before a byte is sent: a token names its server, and another one learns nothing of it.
  if (secret.token.serverId !== channel.serverId) throw refuseServer(channel, 'is not the server that the token was made on')
  return { key: tokenKey(crypto, secret.token.secret), tokenId: tokenId(crypto, secret.token.secret) }
}

function refuseServer (channel: PairingChannel, why: string): FileSyncError {
  const error = new FileSyncError('PAIRING_UNPROVEN', `NOT paired: the other end ${why}. Nothing was stored. ` +
    'Check the address and the code or token. If they are right, someone else may be answering in the place of the server.')
  channel.connection.destroy(error)
  return error
}
