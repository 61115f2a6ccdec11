import { asFileSyncError, FileSyncError } from '@filesync/protocol'
import type { Connection } from '@filesync/protocol'
import { sanitizeName } from './area.ts'
import type { PairingCrypto } from './crypto-port.ts'
import type { DeviceId } from './device-id.ts'
import type { EnrollmentToken } from './enrollment-token.ts'
import type { PairingCode } from './pairing-code.ts'
import type { Peer } from './peer.ts'
import { clientProof, codeKey, serverProof, tokenId, tokenKey } from './proof.ts'
import type { PairingTranscript } from './proof.ts'
import { pairingRefused } from './pairing-refusal.ts'

/** A connection whose peer has proven a key, with the values that bind a pairing proof to it. */
export interface PairingChannel extends PairingTranscript {
  readonly connection: Connection
}

/** The secret that the client was given. */
export type PairingSecret =
  | { readonly kind: 'code', readonly code: PairingCode }
  | { readonly kind: 'token', readonly token: EnrollmentToken }

/** What the server granted; its texts are safe to show. */
export interface PairingGrant {
  readonly serverId: DeviceId
  readonly serverName: string
  readonly area: string
  /** What the area was before; see PAIR_OK in docs/protocol.md. Undefined if it is new, or the client's already. */
  readonly note?: AreaNote | undefined
}

/** CONTINUES: the area existed and had another key. BESIDE: another client has the area of the name that was requested. */
export type AreaNote = 'CONTINUES' | 'BESIDE'

export interface ProvePairingInit {
  readonly crypto: PairingCrypto
  readonly secret: PairingSecret
  /** The name that this machine asks for. */
  readonly name: string
  /** Stores the server as trusted; resolves when that is durable. Called only after the server has proven its identity. */
  readonly remember: (granted: PairingGrant) => Promise<void>
}

/** The window or token that may admit a client, found by what the client sent. */
export interface PairingClaim {
  /** The key for the proof. */
  readonly key: Uint8Array
  /** After a right proof: stores the client; resolves when that is durable. Throws PAIRING_REFUSED if another was faster. */
  admit (): Promise<{ readonly peer: Peer, readonly note?: AreaNote | undefined }>
  /** After a wrong proof. */
  refuse (): void
}

/** Decides on the server which clients may pair, as a port. */
export interface PairingAuthority {
  readonly serverName: string
  /** Undefined if nothing can admit this client: no window, another client's window, or no such token. */
  claim (application: PairingApplication): Promise<PairingClaim | undefined>
}

/** What a client says about itself before it is trusted. */
export interface PairingApplication {
  readonly clientId: DeviceId
  readonly tokenId: Uint8Array | undefined
  readonly requestedName: string
}

export interface AcceptPairingInit {
  readonly crypto: PairingCrypto
  readonly authority: PairingAuthority
}

/** Long enough for a small machine to compute scrypt and write to a slow disk. */
const STEP_TIMEOUT_MS = 15_000
/** As long as a server allows for a whole pairing: hundreds of machines may enroll at once. */
const GRANT_TIMEOUT_MS = 30_000

/**
 * The client's side. Proves that it knows the secret, checks the server's proof, stores the server as trusted, and confirms it.
 * Throws PAIRING_REFUSED, and PAIRING_UNPROVEN if the other end is not the server that the secret is for; nothing is stored
 * then.
 */
export async function provePairing (channel: PairingChannel, init: ProvePairingInit): Promise<PairingGrant> {
  const { connection, serverId } = channel
  const { key, tokenId: token } = await readSecret(channel, init)
  const name = sanitizeName(init.name)
  const mac = init.crypto.hmacSha256(key, clientProof(channel, name))
  await connection.send({ type: 'PAIR_PROOF', name, ...(token !== undefined && { tokenId: token }), mac })
  const ok = await connection.receive(['PAIR_OK'], GRANT_TIMEOUT_MS)
  if (!init.crypto.equal(ok.mac, init.crypto.hmacSha256(key, serverProof(channel, ok)))) {
    throw refuseServer(channel, 'does not know the code or token')
  }
  const note = ok.note === 'OTHER' ? undefined : ok.note
  const granted = { serverId, serverName: sanitizeName(ok.serverName), area: sanitizeName(ok.area), ...(note !== undefined && { note }) }
  await init.remember(granted)
  // Both ends trust each other now, whether or not the confirmation arrives.
  await connection.send({ type: 'PAIR_DONE' }).catch(() => undefined)
  return granted
}

/** A client that has paired. */
export interface AdmittedClient {
  /** The client, which is trusted from now on. */
  readonly peer: Peer
  /** Set if the client did not confirm that it has stored this server: why. */
  readonly unconfirmed?: FileSyncError
}

/**
 * The server's side. The client must prove its knowledge first, so that nobody gets a proof from a server by asking. The peer is
 * stored before the client is notified, and stays stored whether or not the client confirms. Throws PAIRING_REFUSED, always
 * with the same message.
 */
export async function acceptPairing (channel: PairingChannel, { crypto, authority }: AcceptPairingInit): Promise<AdmittedClient> {
  const { connection, clientId } = channel
  const proof = await connection.receive(['PAIR_PROOF'], STEP_TIMEOUT_MS)
  const claim = await authority.claim({ clientId, tokenId: proof.tokenId, requestedName: proof.name })
  if (claim === undefined) throw pairingRefused('nothing admits it: no open window, or no such token')
  if (!crypto.equal(proof.mac, crypto.hmacSha256(claim.key, clientProof(channel, proof.name)))) {
    claim.refuse()
    throw pairingRefused('wrong proof')
  }
  const { peer, note } = await claim.admit()
  const granted = { serverName: authority.serverName, area: peer.area }
  try {
    const mac = crypto.hmacSha256(claim.key, serverProof(channel, granted))
    await connection.send({ type: 'PAIR_OK', ...granted, mac, ...(note !== undefined && { note }) })
    await connection.receive(['PAIR_DONE'], STEP_TIMEOUT_MS)
    return { peer }
  } catch (error) {
    return { peer, unconfirmed: asFileSyncError(error, 'PEER_GONE') }
  }
}

async function readSecret (
  channel: PairingChannel, { crypto, secret }: ProvePairingInit,
): Promise<{ readonly key: Uint8Array, readonly tokenId?: Uint8Array }> {
  if (secret.kind === 'code') return { key: await codeKey(crypto, secret.code, channel.serverId) }
  // Checked before a byte is sent: another server must learn nothing about the token.
  if (secret.token.serverId !== channel.serverId) throw refuseServer(channel, 'is not the server that created the token')
  return { key: tokenKey(crypto, secret.token.secret), tokenId: tokenId(crypto, secret.token.secret) }
}

function refuseServer (channel: PairingChannel, why: string): FileSyncError {
  const error = new FileSyncError('PAIRING_UNPROVEN', `NOT paired: the other end ${why}. Nothing was stored. ` +
    'Check the address and the code or token. If they are right, another machine may be answering instead of the server.')
  channel.connection.destroy(error)
  return error
}
