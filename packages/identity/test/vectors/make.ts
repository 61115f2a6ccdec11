/** Writes the files of vectors that are not there yet: `node --conditions=@filesync/source test/vectors/make.ts`. See README.md. */
import { existsSync, writeFileSync } from 'node:fs'
import { formatDeviceId, parsePairingCode, toDeviceId } from '../../src/index.ts'
import { nodeCrypto } from '../../src/node/index.ts'
import { clientProof, codeKey, serverProof, tokenId, tokenKey } from '../../src/proof.ts'

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const digest = (text: string): Uint8Array => nodeCrypto.sha256(new TextEncoder().encode(text))
const [clientId, serverId] = [toDeviceId(digest('client')), toDeviceId(digest('server'))]
const code = parsePairingCode('K7QF-2M9X-40R1')
const secret = Uint8Array.from({ length: 17 }, (_, i) => i === 16 ? 0xc0 : i + 1)
const exporter = digest('exporter')
const transcript = { exporter, clientId, serverId }
const granted = { serverName: 'Büro', area: 'laptop' }

function macs (key: Uint8Array): unknown {
  const [proof, answer] = [clientProof(transcript, 'laptop'), serverProof(transcript, granted)]
  return {
    key: hexOf(key),
    exporter: hexOf(exporter),
    clientId: hexOf(digest('client')),
    serverId: hexOf(digest('server')),
    name: 'laptop',
    ...granted,
    proofFields: hexOf(proof),
    proofMac: hexOf(nodeCrypto.hmacSha256(key, proof)),
    okFields: hexOf(answer),
    okMac: hexOf(nodeCrypto.hmacSha256(key, answer)),
  }
}

const FILES: Readonly<Record<string, readonly unknown[]>> = {
  'device-ids': [new Uint8Array(32), new Uint8Array(32).fill(255), Uint8Array.from({ length: 32 }, (_, i) => i), digest('client')]
    .map(bytes => ({ hex: hexOf(bytes), symbols: toDeviceId(bytes), shown: formatDeviceId(toDeviceId(bytes)) })),
  pairing: [
    { code: 'K7QF-2M9X-40R1', typed: 'k7qf 2m9x 4orl', ...macs(await codeKey(nodeCrypto, code, serverId)) as object },
    { secret: hexOf(secret), tokenId: hexOf(tokenId(nodeCrypto, secret)), ...macs(tokenKey(nodeCrypto, secret)) as object },
  ],
}

for (const [name, vectors] of Object.entries(FILES)) {
  const file = new URL(`${name}.json`, import.meta.url)
  if (!existsSync(file)) writeFileSync(file, `[\n${vectors.map(vector => `  ${JSON.stringify(vector)}`).join(',\n')}\n]\n`)
}
