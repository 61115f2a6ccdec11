import { randomBytes, sign } from 'node:crypto'
import type { KeyObject } from 'node:crypto'

/*
 * The minimal X.509 certificate that TLS needs (RFC 5280; RFC 8410 for Ed25519), in DER (X.690). Only its key is used, so its
 * subject is fixed and it does not expire.
 */

const OID_ED25519 = [0x2b, 0x65, 0x70]
const OID_COMMON_NAME = [0x55, 0x04, 0x03]
const OID_BASIC_CONSTRAINTS = [0x55, 0x1d, 0x13]
const OID_KEY_USAGE = [0x55, 0x1d, 0x0f]
const OID_EXTENDED_KEY_USAGE = [0x55, 0x1d, 0x25]
const OID_SERVER_AUTH = [0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01]
const OID_CLIENT_AUTH = [0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02]

const TAG = {
  boolean: 0x01, integer: 0x02, bitString: 0x03, octetString: 0x04, oid: 0x06, utf8: 0x0c, utcTime: 0x17, generalizedTime: 0x18,
  sequence: 0x30, set: 0x31, version: 0xa0, extensions: 0xa3,
} as const

const SERIAL_BYTES = 16

/** A self-signed certificate for an Ed25519 key, as PEM. */
export function issueCertificate (privateKey: KeyObject, publicKey: KeyObject): string {
  const algorithm = sequence(oid(OID_ED25519))
  const name = sequence(der(TAG.set, sequence(oid(OID_COMMON_NAME), der(TAG.utf8, Buffer.from('filesync')))))
  // A fixed start of validity, so that a wrong clock at the first run does no harm later.
  const validity = sequence(der(TAG.utcTime, Buffer.from('200101000000Z')), der(TAG.generalizedTime, Buffer.from('99991231235959Z')))
  const toBeSigned = sequence(
    der(TAG.version, der(TAG.integer, Buffer.from([2]))),
    der(TAG.integer, serialNumber()),
    algorithm, name, validity, name,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(TAG.extensions, sequence(
      extension(OID_BASIC_CONSTRAINTS, sequence()),
      extension(OID_KEY_USAGE, der(TAG.bitString, Buffer.from([7, 0x80]))),
      extension(OID_EXTENDED_KEY_USAGE, sequence(oid(OID_SERVER_AUTH), oid(OID_CLIENT_AUTH))),
    )),
  )
  const signature = der(TAG.bitString, Buffer.from([0]), sign(null, toBeSigned, privateKey))
  return pem(sequence(toBeSigned, algorithm, signature))
}

function der (tag: number, ...content: readonly Buffer[]): Buffer {
  const body = Buffer.concat(content)
  if (body.length < 0x80) return Buffer.concat([Buffer.from([tag, body.length]), body])
  const length = body.length < 0x100 ? [0x81, body.length] : [0x82, body.length >> 8, body.length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...length]), body])
}

function sequence (...content: readonly Buffer[]): Buffer {
  return der(TAG.sequence, ...content)
}

function oid (bytes: readonly number[]): Buffer {
  return der(TAG.oid, Buffer.from(bytes))
}

function extension (id: readonly number[], value: Buffer): Buffer {
  const critical = der(TAG.boolean, Buffer.from([0xff]))
  return sequence(oid(id), critical, der(TAG.octetString, value))
}

function serialNumber (): Buffer {
  const serial = randomBytes(SERIAL_BYTES)
  // Positive, and without a leading zero byte, which DER does not allow.
  serial.writeUInt8((serial.readUInt8(0) & 0x3f) | 0x40, 0)
  return serial
}

function pem (bytes: Buffer): string {
  const lines = bytes.toString('base64').match(/.{1,64}/gu) ?? []
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n')
}
