import type { Socket } from 'node:net'
import { FileSyncError } from '@filesync/protocol'
import type { Clock } from '@filesync/protocol'
import { remoteAddressOf } from '@filesync/protocol/node'
import { WaitingRoom } from '../waiting-room.ts'

const CROWDED = 'Too many connections have not proven yet who they are, and this one is the oldest.'
const LATE = 'It did not prove who it is in time.'

export interface OpenSocketsInit {
  readonly clock: Clock
  /** Until a connection is acquitted, or its deadline is lifted. */
  readonly handshakeTimeoutMs: number
  /** Connections of one address that were not acquitted; the oldest goes for a new one. */
  readonly strangersPerAddress: number
  /** The same, in all. */
  readonly strangers: number
  /** Told of each that was ended here, as long as its address is still known. */
  readonly onCut: (remoteAddress: string, error: FileSyncError) => void
}

/** TCP connections, each a stranger that is counted and bound to a deadline until it is known whose it is. */
export class OpenSockets {
  readonly #init: OpenSocketsInit
  readonly #strangers: WaitingRoom<Socket>
  readonly #sockets = new Map<string, Socket>()
  readonly #deadlines = new WeakMap<Socket, () => void>()

  constructor (init: OpenSocketsInit) {
    this.#init = init
    this.#strangers = new WaitingRoom({ perAddress: init.strangersPerAddress, total: init.strangers })
  }

  /** Takes a connection as it comes in. It is destroyed where it is gone already. */
  receive (socket: Socket): void {
    const remoteAddress = remoteAddressOf(socket)
    const { remotePort } = socket
    // Every socket needs this, and a TCP connection that is reset at once still comes here, without an address.
    socket.on('error', () => { /* 'close' follows */ })
    if (remoteAddress === '' || remotePort === undefined) {
      socket.destroy()
      return
    }
    for (const oldest of this.#strangers.enter(socket, remoteAddress)) this.#cut(oldest, CROWDED)
    const place = placeOf(remoteAddress, remotePort)
    this.#sockets.set(place, socket)
    const cancel = this.#init.clock.schedule(this.#init.handshakeTimeoutMs, () => { this.#cut(socket, LATE) })
    this.#deadlines.set(socket, cancel)
    socket.once('close', () => {
      this.acquit(socket)
      this.#sockets.delete(place)
    })
  }

  /** The connection that comes from there; undefined where it is gone. */
  at (address: string, port: number): Socket | undefined {
    return this.#sockets.get(placeOf(address, port))
  }

  /** It is no stranger any more. */
  acquit (socket: Socket | undefined): void {
    if (socket === undefined) return
    this.#strangers.leave(socket)
    this.lift(socket)
  }

  /** It has no deadline any more, but stays a stranger. */
  lift (socket: Socket | undefined): void {
    if (socket !== undefined) this.#deadlines.get(socket)?.()
  }

  #cut (socket: Socket, why: string): void {
    this.#init.onCut(remoteAddressOf(socket), new FileSyncError('PEER_TIMEOUT', why))
    socket.destroy()
  }

  destroyAll (): void {
    for (const socket of this.#sockets.values()) socket.destroy()
  }
}

function placeOf (address: string, port: number): string {
  return `${address} ${String(port)}`
}
