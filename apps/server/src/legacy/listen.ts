import { createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { asFileSyncError, FileSyncError } from '@filesync/protocol'
import { LegacyChannel } from '@filesync/protocol/legacy'
import type { LegacyThrottle } from '@filesync/protocol/legacy'
import { remoteAddressOf, socketStream } from '@filesync/protocol/node'
import type { SharedLimit } from '../schedule/shared-limit.ts'
import { serveLegacySession } from './serve-session.ts'
import type { LegacyDependencies, LegacyReport } from './serve-session.ts'

export interface LegacyListenInit extends LegacyDependencies {
  /** 0 lets the system choose. */
  readonly port: number
  readonly bind: string | undefined
  /** Limits what is received. */
  readonly limit: SharedLimit | undefined
  readonly onSession: (address: string, report: LegacyReport) => void
  readonly onFailure: (address: string, error: FileSyncError) => void
}

export interface LegacyListener {
  readonly port: number
  /** Ends all sessions. Files that arrived completely are kept. */
  close (): Promise<void>
}

/** Concurrent connections, in total and from one address. Clients are not authenticated. */
const MAX_CONNECTIONS = 64
const MAX_PER_ADDRESS = 16
const FAREWELL_MS = 5_000

/** Listens for clients of the original program. Throws PORT_UNAVAILABLE. */
export async function listenLegacy (init: LegacyListenInit): Promise<LegacyListener> {
  const sockets = new Map<Socket, string>()
  const running = new Set<Promise<void>>()
  const server = createServer({ allowHalfOpen: true, noDelay: true }, socket => {
    socket.on('error', () => { /* the stream reports it, or 'close' follows */ })
    const address = remoteAddressOf(socket)
    const neighbors = [...sockets.values()].filter(other => other === address).length
    if (address === '' || sockets.size >= MAX_CONNECTIONS || neighbors >= MAX_PER_ADDRESS) {
      socket.destroy()
      return
    }
    sockets.set(socket, address)
    socket.once('close', () => { sockets.delete(socket) })
    const session = serve(socket, address, init)
    running.add(session)
    void session.finally(() => { running.delete(session) })
  })
  const port = await new Promise<number>((resolve, reject) => {
    server.once('error', cause => {
      const what = `Cannot listen on port ${init.port} for the original protocol (${cause.message}).`
      reject(new FileSyncError('PORT_UNAVAILABLE', `${what} Choose another with --legacy-port.`, { cause }))
    })
    server.listen({ port: init.port, ...(init.bind !== undefined && { host: init.bind }) }, () => {
      resolve((server.address() as AddressInfo).port)
    })
  })
  server.on('error', error => { init.onFailure('', asFileSyncError(error)) })
  return {
    port,
    async close () {
      const closed = new Promise<void>(resolve => { server.close(() => { resolve() }) })
      for (const socket of sockets.keys()) socket.destroy()
      await Promise.all(running)
      await closed
    },
  }
}

async function serve (socket: Socket, address: string, init: LegacyListenInit): Promise<void> {
  const channel = new LegacyChannel(socketStream(socket), init.clock, paceOf(socket, init.limit))
  try {
    init.onSession(address, await serveLegacySession(channel, { address, port: socket.remotePort ?? 0 }, init))
    // Give the client time to read the last message; a reset would discard it.
    const cancel = init.clock.schedule(FAREWELL_MS, () => { socket.destroy() })
    socket.once('close', cancel)
  } catch (error) {
    const known = asFileSyncError(error)
    channel.destroy(known)
    init.onFailure(address, known)
  }
}

/** Applies the rate limit to one socket, until it closes. */
function paceOf (socket: Socket, limit: SharedLimit | undefined): LegacyThrottle | undefined {
  if (limit === undefined) return undefined
  const flow = limit.open()
  const over = new AbortController()
  socket.once('close', () => { over.abort(new FileSyncError('PEER_GONE', 'The connection was lost.')) })
  return async bytes => { await flow.take(bytes, over.signal) }
}
