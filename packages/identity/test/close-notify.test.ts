import { execFileSync, spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ALPN_PAIR, ALPN_SYNC, encodeFrame, encodeMessage } from '@filesync/protocol'
import type { Message } from '@filesync/protocol'
import { expect, test } from 'vitest'
import { HOST, makeClient, startServer } from './support/machines.ts'
import type { ClientMachine, ServerMachine } from './support/machines.ts'

interface Told {
  readonly exitCode: number | null
  readonly received: Buffer
  readonly errors: string
}

// Before version 3, OpenSSL did not tell an end of the connection without close_notify from one with it.
const openssl = versionOfOpenssl()
const HELLO: Message = { type: 'HELLO', versions: [2], features: [], software: 'test' }
const DONE: Message = { type: 'CLOSE', code: 'DONE', message: '' }

function versionOfOpenssl (): number {
  try {
    return Number.parseInt(/^OpenSSL (\d+)/u.exec(execFileSync('openssl', ['version'], { encoding: 'utf8' }))?.[1] ?? '0', 10)
  } catch {
    return 0
  }
}

function framesOf (messages: readonly Message[]): Buffer {
  return Buffer.concat(messages.map(message => encodeFrame('MESSAGE', [encodeMessage(message)])))
}

/** What a program sees that speaks TLS by OpenSSL itself, and leaves its side open until the server has ended. */
async function speak (
  server: ServerMachine,
  client: ClientMachine,
  { alpn, messages }: { readonly alpn: string, readonly messages: readonly Message[] }
): Promise<Told> {
  const [key, certificate] = [join(client.stateDir, 'test-key.pem'), join(client.stateDir, 'test-cert.pem')]
  writeFileSync(key, client.identity.privateKey, { mode: 0o600 })
  writeFileSync(certificate, client.identity.certificate)
  const program = spawn('openssl', [
    's_client',
    '-connect',
    `${HOST}:${String(server.listener.port)}`,
    '-alpn',
    alpn,
    '-tls1_3',
    '-noservername',
    '-quiet',
    '-key',
    key,
    '-cert',
    certificate,
  ])
  const [received, errors]: [Buffer[], string[]] = [[], []]
  program.stdout.on('data', (chunk: Buffer) => {
    received.push(chunk)
  })
  program.stderr.on('data', (chunk: Buffer) => {
    errors.push(chunk.toString())
  })
  program.stdin.on('error', () => {
    /* it is gone already, which its exit code tells */
  })
  program.stdin.write(framesOf(messages))
  const exitCode = await new Promise<number | null>(resolve => {
    program.once('close', resolve)
  })
  return { exitCode, received: Buffer.concat(received), errors: errors.join('') }
}

test.skipIf(openssl < 3).each([
  ['a session that its client ends', ALPN_SYNC, true, [HELLO, DONE], 'DONE'],
  ['a session that the client may not have', ALPN_SYNC, false, [HELLO], 'NOT_PAIRED'],
  ['a pairing that its client ends', ALPN_PAIR, false, [DONE], 'DONE'],
  ['a pairing with a wrong proof', ALPN_PAIR, false, [{ type: 'PAIR_PROOF', name: 'x', mac: new Uint8Array(32) }], 'PAIRING_REFUSED'],
  ['a session whose client says more after its CLOSE', ALPN_SYNC, true, [DONE, HELLO], 'DONE'],
] as const)('%s comes to an end that TLS tells from a cut', async (_, alpn, isPaired, messages, code) => {
  const server = await startServer()
  const client = await makeClient()
  if (isPaired) await server.peers.admit({ id: client.identity.id, requestedName: 'friend', via: 'manual' })
  const { exitCode, received, errors } = await speak(server, client, { alpn, messages })
  expect(errors).not.toContain('unexpected eof')
  expect(exitCode, errors).toBe(0)
  expect(received.toString('latin1')).toContain(code)
  expect(received.toString('latin1').split('CLOSE')).toHaveLength(2)
})
