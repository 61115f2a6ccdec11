import { TOKEN_ID_BYTES } from '@filesync/protocol'
import type { PairingCrypto } from './crypto-port.ts'
import { deviceIdBytes } from './device-id.ts'
import type { DeviceId } from './device-id.ts'
import type { PairingCode } from './pairing-code.ts'

/** What binds a proof to one TLS connection, so that it is worthless on any other. */
export interface PairingTranscript {
  /**
   * 32 bytes that only the two ends of this connection know (RFC 8446, 7.5; RFC 5705). A man in the middle has two
   * connections, whose exporters differ.
   */
  readonly exporter: Uint8Array
  /** Not in the exporter, which covers the handshake only up to the server's Finished. */
  readonly clientId: DeviceId
  readonly serverId: DeviceId
}

const encoder = new TextEncoder()

/** The key derived from a pairing code for one server. Slow on purpose, because a code is short. */
export async function codeKey (crypto: PairingCrypto, code: PairingCode, serverId: DeviceId): Promise<Uint8Array> {
  const salt = join([encoder.encode('filesync-pair-v1'), deviceIdBytes(serverId)])
  return await crypto.scrypt(encoder.encode(code), salt)
}

/** The key of an enrollment token's secret. */
export function tokenKey (crypto: PairingCrypto, secret: Uint8Array): Uint8Array {
  return crypto.sha256(join([encoder.encode('filesync-enroll-v1'), secret]))
}

/** Identifies a token without revealing it: 8 bytes. */
export function tokenId (crypto: PairingCrypto, secret: Uint8Array): Uint8Array {
  return crypto.sha256(secret).slice(0, TOKEN_ID_BYTES)
}

/** The bytes that the client's MAC in PAIR_PROOF covers. */
export function clientProof (transcript: PairingTranscript, name: string): Uint8Array {
  return fields(['client', transcript.exporter, deviceIdBytes(transcript.clientId), deviceIdBytes(transcript.serverId), name])
}

/** The bytes that the server's MAC in PAIR_OK covers. The first field differs, so a reflected proof is not an answer. */
export function serverProof (transcript: PairingTranscript, granted: { readonly serverName: string, readonly area: string }): Uint8Array {
  return fields([
    'server', transcript.exporter, deviceIdBytes(transcript.clientId), deviceIdBytes(transcript.serverId), granted.serverName, granted.area,
  ])
}

// Each field follows its length as big-endian u32, so that no two lists of fields have the same bytes.
function fields (values: readonly (string | Uint8Array)[]): Uint8Array {
  return join(values.flatMap(value => {
    const bytes = typeof value === 'string' ? encoder.encode(value) : value
    const length = new Uint8Array(4)
    new DataView(length.buffer).setUint32(0, bytes.length)
    return [length, bytes]
  }))
}

function join (pieces: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0))
  let at = 0
  for (const piece of pieces) {
    all.set(piece, at)
    at += piece.length
  }
  return all
}
