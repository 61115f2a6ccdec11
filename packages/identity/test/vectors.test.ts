import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { formatDeviceId, parseDeviceId, parsePairingCode, toDeviceId } from '../src/index.ts'
import { deviceIdBytes } from '../src/device-id.ts'
import { nodeCrypto } from '../src/node/index.ts'
import { clientProof, codeKey, serverProof, tokenId, tokenKey } from '../src/proof.ts'

interface DeviceIdVector { readonly hex: string, readonly symbols: string, readonly shown: string }
interface PairingVector {
  readonly code?: string
  readonly typed?: string
  readonly secret?: string
  readonly tokenId?: string
  readonly key: string
  readonly exporter: string
  readonly clientId: string
  readonly serverId: string
  readonly name: string
  readonly serverName: string
  readonly area: string
  readonly proofFields: string
  readonly proofMac: string
  readonly okFields: string
  readonly okMac: string
}

function vectors <T> (name: string): T[] {
  return JSON.parse(readFileSync(new URL(`vectors/${name}.json`, import.meta.url), 'utf8')) as T[]
}

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const bytesOf = (hex: string): Uint8Array<ArrayBuffer> => new Uint8Array(Buffer.from(hex, 'hex'))

test('device ids', () => {
  for (const { hex, symbols, shown } of vectors<DeviceIdVector>('device-ids')) {
    const id = toDeviceId(bytesOf(hex))
    expect([id, formatDeviceId(id), parseDeviceId(shown.toLowerCase()), hexOf(deviceIdBytes(id))]).toEqual([symbols, shown, id, hex])
  }
})

test('the key of a secret, and the proofs made with it', async () => {
  for (const vector of vectors<PairingVector>('pairing')) {
    const [clientId, serverId] = [toDeviceId(bytesOf(vector.clientId)), toDeviceId(bytesOf(vector.serverId))]
    const secret = bytesOf(vector.secret ?? '')
    const key =
      vector.code === undefined ? tokenKey(nodeCrypto, secret) : await codeKey(nodeCrypto, parsePairingCode(vector.code), serverId)
    expect(hexOf(key)).toBe(vector.key)
    if (vector.typed !== undefined) expect(parsePairingCode(vector.typed)).toBe(parsePairingCode(vector.code ?? ''))
    if (vector.tokenId !== undefined) expect(hexOf(tokenId(nodeCrypto, secret))).toBe(vector.tokenId)
    const transcript = { exporter: bytesOf(vector.exporter), clientId, serverId }
    const [proof, ok] = [clientProof(transcript, vector.name), serverProof(transcript, vector)]
    expect([hexOf(proof), hexOf(ok)]).toEqual([vector.proofFields, vector.okFields])
    expect([hexOf(nodeCrypto.hmacSha256(key, proof)), hexOf(nodeCrypto.hmacSha256(key, ok))]).toEqual([vector.proofMac, vector.okMac])
  }
})
