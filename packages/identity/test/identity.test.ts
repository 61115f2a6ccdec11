import { execFileSync } from 'node:child_process'
import { createHash, createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto'
import { chmod, copyFile, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { deviceIdBytes } from '../src/device-id.ts'
import { loadOrCreateIdentity } from '../src/node/index.ts'
import { codeOf, temporaryDir } from './support/machines.ts'

const OPENSSL = 'openssl'

interface Paths {
  readonly stateDir: string
  readonly key: string
  readonly certificate: string
}

async function makeState (): Promise<Paths> {
  const stateDir = join(await temporaryDir(), 'state')
  return { stateDir, key: join(stateDir, 'identity', 'key.pem'), certificate: join(stateDir, 'identity', 'cert.pem') }
}

describe('the identity of a machine', () => {
  test('is made once, in private, and is the hash of its public key', async () => {
    const { stateDir, key, certificate } = await makeState()
    const first = await loadOrCreateIdentity(stateDir)
    expect(await loadOrCreateIdentity(stateDir)).toEqual(first)
    const spki = createPublicKey(await readFile(key, 'utf8')).export({ type: 'spki', format: 'der' })
    expect(deviceIdBytes(first.id)).toEqual(new Uint8Array(createHash('sha256').update(spki).digest()))
    for (const [path, mode] of [[stateDir, 0o700], [join(stateDir, 'identity'), 0o700], [key, 0o600], [certificate, 0o600]] as const) {
      expect((await stat(path)).mode & 0o777, path).toBe(mode)
    }
    expect((await readdir(join(stateDir, 'identity'))).sort()).toEqual(['cert.pem', 'key.pem'])
  })

  test('is one, when several start at the same moment for the first time', async () => {
    const { stateDir } = await makeState()
    const all = await Promise.all(Array.from({ length: 10 }, async () => await loadOrCreateIdentity(stateDir)))
    expect(new Set(all.map(({ id, certificate }) => id + certificate)).size).toBe(1)
  })

  test('is another on every machine', async () => {
    const ids = await Promise.all(Array.from({ length: 5 }, async () => (await loadOrCreateIdentity((await makeState()).stateDir)).id))
    expect(new Set(ids).size).toBe(5)
  })

  test('stays the same with a new certificate', async () => {
    const { stateDir, certificate } = await makeState()
    const before = await loadOrCreateIdentity(stateDir)
    await rm(certificate)
    const after = await loadOrCreateIdentity(stateDir)
    expect(after.id).toBe(before.id)
    expect(after.certificate).not.toBe(before.certificate)
  })

  test.each([0o644, 0o640, 0o604, 0o660])('is not used when its key has the mode %o', async mode => {
    const { stateDir, key } = await makeState()
    await loadOrCreateIdentity(stateDir)
    await chmod(key, mode)
    await expect(loadOrCreateIdentity(stateDir)).rejects.toMatchObject({
      code: 'KEY_EXPOSED',
      message: expect.stringContaining('chmod go-rwx') as string,
    })
    await chmod(key, 0o600)
    await loadOrCreateIdentity(stateDir)
  })

  test('is not used when others can exchange its files', async () => {
    const { stateDir } = await makeState()
    await loadOrCreateIdentity(stateDir)
    await chmod(join(stateDir, 'identity'), 0o770)
    expect(await codeOf(loadOrCreateIdentity(stateDir))).toBe('KEY_EXPOSED')
  })

  test('is not silently replaced when the key is lost', async () => {
    const { stateDir, key } = await makeState()
    await loadOrCreateIdentity(stateDir)
    await rm(key)
    expect(await codeOf(loadOrCreateIdentity(stateDir))).toBe('KEY_INVALID')
    expect(await readdir(join(stateDir, 'identity'))).toEqual(['cert.pem'])
  })

  test('is not used when the certificate is another’s', async () => {
    const [mine, other] = [await makeState(), await makeState()]
    await loadOrCreateIdentity(mine.stateDir)
    await loadOrCreateIdentity(other.stateDir)
    await copyFile(other.certificate, mine.certificate)
    expect(await codeOf(loadOrCreateIdentity(mine.stateDir))).toBe('KEY_INVALID')
    await writeFile(mine.certificate, 'nonsense')
    expect(await codeOf(loadOrCreateIdentity(mine.stateDir))).toBe('KEY_INVALID')
  })

  test('is not used when the key is damaged or of another kind', async () => {
    const { stateDir, key } = await makeState()
    await mkdir(join(stateDir, 'identity'), { recursive: true, mode: 0o700 })
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    for (const text of ['', 'nonsense', privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()]) {
      await writeFile(key, text, { mode: 0o600 })
      await expect(loadOrCreateIdentity(stateDir)).rejects.toMatchObject({ code: 'KEY_INVALID' })
    }
  })
})

describe('its certificate', () => {
  test('says no more than it has to, and does not expire', async () => {
    const { certificate } = await loadOrCreateIdentity((await makeState()).stateDir)
    const parsed = new X509Certificate(certificate)
    expect(parsed.subject).toBe('CN=filesync')
    expect(parsed.issuer).toBe('CN=filesync')
    expect(parsed.validFrom).toBe('Jan  1 00:00:00 2020 GMT')
    expect(parsed.validTo).toBe('Dec 31 23:59:59 9999 GMT')
    expect(parsed.subjectAltName).toBeUndefined()
    expect(parsed.ca).toBe(false)
    expect(parsed.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'])
    expect(parsed.verify(parsed.publicKey)).toBe(true)
    expect(parsed.serialNumber).toMatch(/^[4-7][0-9A-F]{31}$/u)
  })

  test('is correct to the letter for OpenSSL', async context => {
    if (!hasOpenssl()) context.skip('openssl is not installed on this machine')
    const { stateDir, certificate } = await makeState()
    // A serial number and a signature differ in length and leading bits from one certificate to the next.
    for (let round = 0; round < 10; round++) {
      await rm(certificate, { force: true })
      await loadOrCreateIdentity(stateDir)
      const output = execFileSync(OPENSSL, ['verify', '-x509_strict', '-check_ss_sig', '-CAfile', certificate, certificate], {
        encoding: 'utf8',
        stdio: 'pipe',
      })
      expect(output).toBe(`${certificate}: OK\n`)
    }
  })
})

function hasOpenssl (): boolean {
  try {
    return execFileSync(OPENSSL, ['version'], { encoding: 'utf8' }).startsWith('OpenSSL 3')
  } catch {
    return false
  }
}
