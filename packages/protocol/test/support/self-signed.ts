import { generateKeyPairSync, sign } from 'node:crypto'

/**
 * A key pair and the least certificate for it (RFC 5280, version 1), for one run. Who the ends are does not matter to
 * these tests; packages/file id has the certificates that FileSync uses, and the tests of who may connect.
 */
export function selfSigned (): { readonly key: string, readonly cert: string } {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const algorithm = der(0x30, der(0x06, Buffer.of(0x2b, 0x65, 0x70)))
  const commonName = der(0x30, der(0x06, Buffer.of(0x55, 0x04, 0x03)), der(0x0c, Buffer.from('filesync')))
  const name = der(0x30, der(0x31, commonName))
  const validity = der(0x30, der(0x18, Buffer.from('20200101000000Z')), der(0x18, Buffer.from('99991231235959Z')))
  const signed = der(0x30, der(0x02, Buffer.of(1)), algorithm, name, validity, name, publicKey.export({ type: 'spki', format: 'der' }))
  const signature = der(0x03, Buffer.of(0), sign(null, signed, privateKey))
  const certificate = der(0x30, signed, algorithm, signature).toString('base64').replace(/.{64}/gu, '$&\n')
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    cert: `-----BEGIN CERTIFICATE-----\n${certificate}\n-----END CERTIFICATE-----\n`,
  }
}

function der (tag: number, ...content: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(content)
  const length = body.length < 0x80 ? [body.length]
    : body.length < 0x100 ? [0x81, body.length]
      : [0x82, body.length >> 8, body.length & 0xff]
  return Buffer.concat([Buffer.of(tag, ...length), body])
}
