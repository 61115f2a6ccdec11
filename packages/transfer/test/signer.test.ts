import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FileSyncError } from '@filesync/protocol'
import { randomBytes } from '@filesync/protocol/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Signature } from '../src/signature.ts'
import { openSigner } from '../src/node/index.ts'
import type { Signer } from '../src/node/index.ts'
import { signatureOf } from './support/session.ts'

const BYTES = randomBytes(3_500_000, 101)
let directory: string
let fd: number
let signer: Signer

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'filesync-signer-'))
  writeFileSync(join(directory, 'file'), BYTES)
  fd = openSync(join(directory, 'file'), 'r')
  signer = openSigner()
})

afterAll(async () => {
  await signer.close()
  closeSync(fd)
  rmSync(directory, { recursive: true })
})

test('a file on disk has the signature of its bytes', async () => {
  const signature = await signer.sign(fd, BYTES.length)
  expect(Buffer.compare(signature ?? BYTES, signatureOf(BYTES))).toBe(0)
  expect(new Signature(signature ?? BYTES)).toMatchObject({ fileBytes: BYTES.length, averageBits: 16 })
})

test('a file that is shorter than its given size or cannot be read has no signature', async () => {
  await expect(signer.sign(fd, BYTES.length + 1)).resolves.toBeUndefined()
  const unreadable = openSync(directory, 'r')
  await expect(signer.sign(unreadable, BYTES.length)).resolves.toBeUndefined()
  closeSync(unreadable)
})

test('signing stops when it is aborted', async () => {
  const stopping = new AbortController()
  const first = signer.sign(fd, BYTES.length)
  const second = signer.sign(fd, BYTES.length, stopping.signal)
  stopping.abort(new FileSyncError('ABORTED', 'Enough.'))
  await expect(second).rejects.toMatchObject({ code: 'ABORTED' })
  await expect(first).resolves.toBeInstanceOf(Uint8Array)
  await expect(signer.sign(fd, BYTES.length, stopping.signal)).rejects.toMatchObject({ code: 'ABORTED' })
})

test('a closed signer rejects pending and later calls', async () => {
  const closing = openSigner()
  const pending = closing.sign(fd, BYTES.length)
  await Promise.all([expect(pending).rejects.toMatchObject({ code: 'ABORTED' }), closing.close()])
  await expect(closing.sign(fd, BYTES.length)).rejects.toMatchObject({ code: 'ABORTED' })
})
