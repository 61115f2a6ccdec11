import type { Socket } from 'node:net'
import { FileSyncError } from '@filesync/protocol'
import type { Clock } from '@filesync/protocol'
import { remoteAddressOf } from '@filesync/protocol/node'
import { PendingConnections } from '../pending-connections.ts'

const TOO_MANY = 'Too many connections have not proven their identity yet, and this is the oldest one.'
const TIMED_OUT = 'The connection did not prove its identity in time.'

export interface OpenSocketsInit {
  readonly clock: Clock
  /** The time until a connection must be accepted, or its deadline lifted. */
  readonly handshakeTimeoutMs: number
  /** Pending connections for one address; the oldest is dropped for a new one. */
  readonly pendingPerAddress: number
  /** Pending connections in total. */
  readonly pending: number
  /** Called for each connection that is dropped here, before its address is lost. */
  readonly onDropped: (remoteAddress: string, error: FileSyncError) => void
}

/** TCP connections. Each is pending, with a deadline, until it is known to belong to a paired peer. */
export class OpenSockets {
  readonly #init: OpenSocketsInit
  readonly #pending: PendingConnections<Socket>
  readonly #sockets = new Map<string, Socket>()
  readonly #deadlines = new WeakMap<Socket, () => void>()

  constructor (init: OpenSocketsInit) {
    this.#init = init
    this.#pending = new PendingConnections({ perAddress: init.pendingPerAddress, total: init.pending })
  }

  /** Adds an incoming connection; destroys it if the other end has already closed it. */
  add (socket: Socket): void {
    const remoteAddress = remoteAddressOf(socket)
    const { remotePort } = socket
    // Every socket needs this, also a TCP connection that was reset at once, which has no address.
    socket.on('error', () => { /* 'close' follows */ })
    if (remoteAddress === '' || remotePort === undefined) {
      socket.destroy()
      return
    }
    for (const oldest of this.#pending.add(socket, remoteAddress)) this.#drop(oldest, TOO_MANY)
    const key = keyOf(remoteAddress, remotePort)
    this.#sockets.set(key, socket)
    const cancel = this.#init.clock.schedule(this.#init.handshakeTimeoutMs, () => { this.#drop(socket, TIMED_OUT) })
    this.#deadlines.set(socket, cancel)
    socket.once('close', () => {
      this.accept(socket)
      this.#sockets.delete(key)
    })
  }

  /** The connection from this address and port; undefined if it is closed. */
  find (address: string, port: number): Socket | undefined {
    return this.#sockets.get(keyOf(address, port))
  }

  /** The connection is no longer pending. */
  accept (socket: Socket | undefined): void {
    if (socket === undefined) return
    this.#pending.remove(socket)
    this.liftDeadline(socket)
  }

  /** The connection has no deadline any longer, but is still pending. */
  liftDeadline (socket: Socket | undefined): void {
    if (socket !== undefined) this.#deadlines.get(socket)?.()
  }

  #drop (socket: Socket, why: string): void {
    this.#init.onDropped(remoteAddressOf(socket), new FileSyncError('PEER_TIMEOUT', why))
    socket.destroy()
  }

  destroyAll (): void {
    for (const socket of this.#sockets.values()) socket.destroy()
  }
}

function keyOf (address: string, port: number): string {
  return `${address} ${String(port)}`
}
