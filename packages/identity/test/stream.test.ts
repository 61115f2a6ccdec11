import { once } from 'node:events'
import { connect, createServer } from 'node:tls'
import type { TLSSocket } from 'node:tls'
import { ALPN_SYNC } from '@filesync/protocol'
import type { ByteStream } from '@filesync/protocol'
import { socketStream } from '@filesync/protocol/node'
import { byteStreamConformance } from '@filesync/protocol/testing'
import { describe, onTestFinished, test } from 'vitest'
import { allowHalfClose, TLS_PROFILE } from '../src/node/authenticated-socket.ts'
import { HOST, makeClient } from './support/machines.ts'

/** Two sockets of the profile that connections are made of, proven to each other. */
async function tlsPair (): Promise<[ByteStream, ByteStream]> {
  const [left, right] = await Promise.all([makeClient(), makeClient()])
  const listener = createServer({
    ...TLS_PROFILE, requestCert: true, ALPNProtocols: [ALPN_SYNC], key: left.identity.privateKey, cert: left.identity.certificate,
  })
  listener.listen(0, HOST)
  await once(listener, 'listening')
  const address = listener.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const accepted = once(listener, 'secureConnection') as Promise<[TLSSocket]>
  const socket = connect({
    ...TLS_PROFILE,
    host: HOST,
    port: address.port,
    ALPNProtocols: [ALPN_SYNC],
    key: right.identity.privateKey,
    cert: right.identity.certificate,
  })
  await once(socket, 'secureConnect')
  const [other] = await accepted
  onTestFinished(() => {
    socket.destroy()
    other.destroy()
    listener.close()
  })
  return [socketStream(allowHalfClose(socket)), socketStream(allowHalfClose(other))]
}

describe('a TLS connection as a byte stream', () => {
  test.each(byteStreamConformance)('$name', async one => {
    await one.run(await tlsPair())
  })
})
