import { connect, createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'

/** A relay between clients and a server that may be another process each time. Counts what one side sends, the clients by default. */
export class CountingRelay {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #counted: 'clients' | 'server'
  /** Where the server listens on 127.0.0.1. */
  targetPort = 0
  #sentBytes = 0
  readonly #waiting = new Set<{ readonly atBytes: number, readonly resolve: () => void }>()

  private constructor (counted: 'clients' | 'server') {
    this.#counted = counted
    this.#server = createServer(client => { this.#join(client) })
  }

  static async open (counted: 'clients' | 'server' = 'clients'): Promise<CountingRelay> {
    const relay = new CountingRelay(counted)
    await new Promise<void>((resolve, reject) => { relay.#server.once('error', reject).listen(0, '127.0.0.1', resolve) })
    return relay
  }

  get port (): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** What the counted side has sent until now, with TLS and frames. */
  get sentBytes (): number {
    return this.#sentBytes
  }

  /** Resolves when the counted side has sent this much in all, or with the signal. */
  async passed (atBytes: number, signal?: AbortSignal): Promise<void> {
    if (this.#sentBytes >= atBytes || signal?.aborted === true) return
    await new Promise<void>(resolve => {
      const one = { atBytes, resolve }
      this.#waiting.add(one)
      signal?.addEventListener('abort', () => {
        this.#waiting.delete(one)
        resolve()
      }, { once: true })
    })
  }

  /** Breaks all connections, as a network that goes away. */
  cut (): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  async close (): Promise<void> {
    const closed = new Promise<void>(resolve => { this.#server.close(() => { resolve() }) })
    this.cut()
    await closed
  }

  #join (client: Socket): void {
    const server = connect(this.targetPort, '127.0.0.1')
    for (const [socket, other] of [[client, server], [server, client]] as const) {
      this.#sockets.add(socket)
      socket.pipe(other)
      // Where one end dies, the other learns of it, as it would without a relay.
      socket.on('error', () => { other.destroy() })
      socket.once('close', () => {
        this.#sockets.delete(socket)
        if (socket.readableEnded) other.end()
        else other.destroy()
      })
    }
    const counted = this.#counted === 'clients' ? client : server
    counted.on('data', (piece: Uint8Array) => { this.#count(piece.length) })
  }

  #count (bytes: number): void {
    this.#sentBytes += bytes
    for (const one of this.#waiting) {
      if (this.#sentBytes < one.atBytes) continue
      this.#waiting.delete(one)
      one.resolve()
    }
  }
}
