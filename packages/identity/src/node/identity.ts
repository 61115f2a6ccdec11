import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { FileSyncError } from '@filesync/protocol'
import { toDeviceId } from '../device-id.ts'
import type { DeviceId } from '../device-id.ts'
import { issueCertificate } from './certificate.ts'
import { createPrivateFile, ensureStateDir, withReadErrors, readPrivateFile } from './private-file.ts'

/** The identity of this machine: its key, and a certificate for it. */
export interface Identity {
  readonly id: DeviceId
  /** PKCS 8, PEM. Used for TLS only. */
  readonly privateKey: string
  /** X.509, PEM. */
  readonly certificate: string
}

/**
 * The identity in `<stateDir>/identity`, created at the first run. Throws KEY_EXPOSED if other users can read the key, and
 * KEY_INVALID if the key is invalid or the certificate does not belong to it.
 */
export async function loadOrCreateIdentity (stateDir: string): Promise<Identity> {
  await ensureStateDir(stateDir)
  const directory = join(stateDir, 'identity')
  await ensureStateDir(directory)
  const keyPath = join(directory, 'key.pem')
  const certificatePath = join(directory, 'cert.pem')
  const key = await readPrivateFile(keyPath) ?? await createKey(keyPath, certificatePath)
  const privateKey = parseKey(keyPath, key)
  const publicKey = createPublicKey(privateKey)
  const certificate = await readText(certificatePath) ?? await createCertificate(certificatePath, privateKey, publicKey)
  checkCertificate(certificatePath, certificate, publicKey)
  return { id: keyId(publicKey), privateKey: key, certificate }
}

/** The device id of a public key. */
export function keyId (publicKey: KeyObject): DeviceId {
  return toDeviceId(createHash('sha256').update(publicKey.export({ type: 'spki', format: 'der' })).digest())
}

async function createKey (keyPath: string, certificatePath: string): Promise<string> {
  if (await readText(certificatePath) !== undefined) {
    // The key is always written before its certificate, so either another process has just created both, or it is lost.
    const key = await readPrivateFile(keyPath)
    if (key !== undefined) return key
    // A new key would be a new, unpaired identity, so the user must decide.
    throw new FileSyncError('KEY_INVALID', `${keyPath} is missing, but its certificate exists. Restore the key from a backup, ` +
      `or remove ${certificatePath} to become a new device and pair again.`)
  }
  const { privateKey } = generateKeyPairSync('ed25519')
  await createPrivateFile(keyPath, privateKey.export({ type: 'pkcs8', format: 'pem' }).toString())
  return required(keyPath, await readPrivateFile(keyPath))
}

async function createCertificate (path: string, privateKey: KeyObject, publicKey: KeyObject): Promise<string> {
  await createPrivateFile(path, issueCertificate(privateKey, publicKey))
  return required(path, await readText(path))
}

function required (path: string, text: string | undefined): string {
  if (text === undefined) throw new FileSyncError('STATE_INVALID', `${path} was removed while it was in use. Try again.`)
  return text
}

async function readText (path: string): Promise<string | undefined> {
  return await withReadErrors(path, async () => await readFile(path, 'utf8'))
}

function parseKey (path: string, pem: string): KeyObject {
  try {
    const key = createPrivateKey(pem)
    if (key.asymmetricKeyType === 'ed25519') return key
  } catch (cause) {
    throw invalidKey(path, cause)
  }
  throw invalidKey(path, undefined)
}

function invalidKey (path: string, cause: unknown): FileSyncError {
  return new FileSyncError('KEY_INVALID', `${path} does not contain an Ed25519 key. Restore it from a backup, ` +
    'or remove its directory to become a new device and pair again.', { cause })
}

function checkCertificate (path: string, pem: string, publicKey: KeyObject): void {
  try {
    const certificate = new X509Certificate(pem)
    if (certificate.publicKey.equals(publicKey) && certificate.verify(publicKey)) return
  } catch (cause) {
    throw invalidCertificate(path, cause)
  }
  throw invalidCertificate(path, undefined)
}

function invalidCertificate (path: string, cause: unknown): FileSyncError {
  return new FileSyncError('KEY_INVALID', `${path} does not belong to the key beside it. Remove it, and a new one is created; ` +
    'pairings stay valid, because they identify the key.', { cause })
}
