import { toHex } from '@filesync/protocol'
import { describe, expect, test } from 'vitest'
import { parsePairingCode, toDeviceId } from '../src/index.ts'
import { nodeCrypto } from '../src/node/index.ts'
import { clientProof, codeKey, serverProof, tokenId, tokenKey } from '../src/proof.ts'

const transcript = {
  exporter: new Uint8Array(32).fill(0xee),
  clientId: toDeviceId(Uint8Array.from({ length: 32 }, (_, at) => at)),
  serverId: toDeviceId(Uint8Array.from({ length: 32 }, (_, at) => at + 32)),
}
const secret = Uint8Array.from([...Array.from({ length: 16 }, (_, at) => at + 1), 0x40])
const granted = { serverName: 'nas', area: 'B\u00fcr\u00f6' }

// Computed by another implementation (hashlib and hmac of Python), from the words of docs/protocol.md.
describe('the proofs of pairing', () => {
  test('are what the specification says', async () => {
    const key = await codeKey(nodeCrypto, parsePairingCode('K7QF-2M9X-40R1'), transcript.serverId)
    expect(toHex(key)).toBe('7f56f02af00f653387f4d0e0aceb16cfc31a78b612defbbded921bee0b8817f6')
    expect(toHex(nodeCrypto.hmacSha256(key, clientProof(transcript, 'B\u00fcr\u00f6')))).toBe(
      'f3aab2a4eaab22f7d1520bfade3d158741ced5efa8474b6536e1458b9e1f95d7'
    )
    expect(toHex(nodeCrypto.hmacSha256(key, serverProof(transcript, granted)))).toBe(
      '732af803d0b5866a62ef07ff600bab9e9255cd399cd81fd79f5ac51fb3b6a8bf'
    )
  })

  test('have the keys of tokens that the specification says', () => {
    expect(toHex(tokenKey(nodeCrypto, secret))).toBe('364b969153c94ae991c1f5ec4c7f50cfed7fa1a72a197350b6b24202a2e72954')
    expect(toHex(tokenId(nodeCrypto, secret))).toBe('61a25059c18807f1')
  })

  test('cover every field, and where one ends and the next begins', () => {
    const other = toDeviceId(new Uint8Array(32))
    const proofs = [
      clientProof(transcript, 'nas'), clientProof(transcript, 'na'), clientProof(transcript, ''),
      clientProof({ ...transcript, exporter: new Uint8Array(32) }, 'nas'),
      clientProof({ ...transcript, clientId: other }, 'nas'),
      clientProof({ ...transcript, serverId: other }, 'nas'),
      clientProof({ ...transcript, clientId: transcript.serverId, serverId: transcript.clientId }, 'nas'),
      serverProof(transcript, { serverName: 'nas', area: '' }), serverProof(transcript, { serverName: 'na', area: 's' }),
      serverProof({ ...transcript, clientId: other }, { serverName: 'nas', area: '' }),
      serverProof({ ...transcript, exporter: new Uint8Array(32) }, { serverName: 'nas', area: '' }),
    ]
    expect(new Set(proofs.map(toHex)).size).toBe(proofs.length)
  })
})
