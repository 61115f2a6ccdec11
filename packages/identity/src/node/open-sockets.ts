import type { Socket } from 'node:net'
import { FileSyncError } from '@filesync/protocol'
import type { Clock } from '@filesync/protocol'
import { remoteAddressOf } from '@filesync/protocol/node'
import { FirstRecord } from '../first-record.ts'
import { HandshakeSlots } from '../handshake-slots.ts'
import type { HandshakeLimits } from '../handshake-slots.ts'

const TOO_MANY = 'Too many connections wait for their handshake.'
const TIMED_OUT = 'The connection did not prove its identity in time.'
const CONTESTED = 'The handshake took long, and a client from another address was waiting.'
/** An honest client sends one record, and waits for the answer. */
const MAX_BUFFERED_BYTES = 65_536

export interface OpenSocketsInit extends HandshakeLimits {
  readonly clock: Clock
  /**
   * How long a connection may take to send its first message, and from the beginning of its handshake until it must be accepted
   * or its deadline lifted. The wait for a handshake between the two is not limited.
   */
  readonly handshakeTimeoutMs: number
  /** How long it keeps one of several slots of its address while another address has none. */
  readonly contestedMs: number
  /** Begins the handshake of a connection; what it has sent is in its buffer again. */
  readonly onTurn: (socket: Socket) => void
  /** Called for each connection that is dropped here, before its address is lost. */
  readonly onDropped: (remoteAddress: string, error: FileSyncError) => void
}

interface OpenSocket {
  readonly socket: Socket
  /** When it got its slot; undefined while it waits. */
  sinceMs: number | undefined
  cancelDeadline: () => void
  /** Returns what has been read to the buffer of the socket, and stops reading it here. */
  giveBack: () => void
}

/**
 * TCP connections. Node cannot pause a listener, so all are accepted, and wait as plain sockets until they have sent their first
 * message and have a handshake slot. Each is then pending, with a deadline, until it is known to belong to a paired peer.
 */
export class OpenSockets {
  readonly #init: OpenSocketsInit
  readonly #slots: HandshakeSlots<OpenSocket>
  readonly #sockets = new Map<string, OpenSocket>()
  /** Whether a check for handshakes that take long is scheduled. */
  #isChecking = false

  constructor (init: OpenSocketsInit) {
    this.#init = init
    this.#slots = new HandshakeSlots(init)
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
    const key = keyOf(remoteAddress, remotePort)
    const open: OpenSocket = { socket, sinceMs: undefined, cancelDeadline: notYet, giveBack: notYet }
    this.#sockets.set(key, open)
    socket.once('close', () => {
      this.#accept(open)
      if (this.#sockets.get(key) === open) this.#sockets.delete(key)
    })
    this.#limitTime(open)
    this.#awaitFirstRecord(open)
    const surplus = this.#slots.arrive(open, remoteAddress)
    if (surplus !== undefined) this.#drop(surplus, TOO_MANY)
  }

  /** The connection from this address and port; undefined if it is closed. */
  find (address: string, port: number): Socket | undefined {
    return this.#sockets.get(keyOf(address, port))?.socket
  }

  /** The connection is no longer pending: it belongs to a paired peer, whose address goes before others from now on. */
  accept (socket: Socket | undefined): void {
    const open = this.#openOf(socket)
    if (socket === undefined || open === undefined) return
    this.#slots.trust(remoteAddressOf(socket))
    this.#accept(open)
  }

  /** A paired peer has come from this address. */
  trust (address: string): void {
    this.#slots.trust(address)
  }

  /** The connection has no deadline any longer, but is still pending. */
  liftDeadline (socket: Socket | undefined): void {
    this.#openOf(socket)?.cancelDeadline()
  }

  destroyAll (): void {
    for (const { socket } of this.#sockets.values()) socket.destroy()
  }

  #openOf (socket: Socket | undefined): OpenSocket | undefined {
    return socket === undefined ? undefined : this.#sockets.get(keyOf(remoteAddressOf(socket), socket.remotePort ?? 0))
  }

  #accept (open: OpenSocket): void {
    open.cancelDeadline()
    this.#slots.leave(open)
    this.#advance()
  }

  #limitTime (open: OpenSocket): void {
    const { clock, handshakeTimeoutMs } = this.#init
    open.cancelDeadline = clock.schedule(handshakeTimeoutMs, () => { this.#drop(open, TIMED_OUT) })
  }

  #awaitFirstRecord (open: OpenSocket): void {
    const { socket } = open
    const record = new FirstRecord()
    let isReady = false
    const read = (chunk: Buffer): void => {
      const isEnough = record.add(chunk)
      // It goes on reading while it waits, so that it notices when the client leaves.
      if (record.lengthBytes > MAX_BUFFERED_BYTES) socket.pause()
      if (isReady || !isEnough) return
      isReady = true
      open.cancelDeadline()
      this.#slots.ready(open)
      this.#advance()
    }
    socket.on('data', read)
    open.giveBack = () => {
      socket.off('data', read).pause()
      // The handshake reads the buffer first, and then what arrives from now on.
      socket.unshift(Buffer.concat(record.chunks))
    }
  }

  /** Begins as many handshakes as there are slots. */
  #advance (): void {
    const { clock, contestedMs, onTurn } = this.#init
    for (let open = this.#slots.next(); open !== undefined; open = this.#slots.next()) {
      open.sinceMs = clock.monotonicMs()
      this.#limitTime(open)
      open.giveBack()
      onTurn(open.socket)
    }
    if (!this.#slots.hasReady || this.#isChecking) return
    this.#isChecking = true
    clock.schedule(contestedMs, () => { this.#endContested() })
  }

  /** Ends handshakes that take long, if they keep an address from its first one. */
  #endContested (): void {
    const { clock, contestedMs } = this.#init
    this.#isChecking = false
    for (let open = this.#slots.contested(); open !== undefined; open = this.#slots.contested()) {
      if (clock.monotonicMs() - (open.sinceMs ?? Infinity) < contestedMs) break
      this.#drop(open, CONTESTED)
      this.#slots.leave(open)
      this.#advance()
    }
    this.#advance()
  }

  #drop ({ socket }: OpenSocket, why: string): void {
    this.#init.onDropped(remoteAddressOf(socket), new FileSyncError('PEER_TIMEOUT', why))
    socket.destroy()
  }
}

function keyOf (address: string, port: number): string {
  return `${address} ${String(port)}`
}

function notYet (): void {
  // Replaced as soon as the connection is added.
}
