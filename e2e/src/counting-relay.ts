import { connect, createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'

/** A relay between clients and a server that may be another process each time. Counts what the clients send. */
export class CountingRelay {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  /** Where the server listens on 127.0.0.1. */
  targetPort = 0
  #sentBytes = 0
  readonly #waiting = new Set<{ readonly atBytes: number, readonly resolve: () => void }>()

  private constructor () {
    this.#server = createServer(client => { this.#join(client) })
  }

  static async open (): Promise<CountingRelay> {
    const relay = new CountingRelay()
    await new Promise<void>((resolve, reject) => { relay.#server.once('error', reject).listen(0, '127.0.0.1', resolve) })
    return relay
  }

  get port (): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** What all clients have sent until now, with TLS and frames. */
  get sentBytes (): number {
    return this.#sentBytes
  }

  /** Resolves when clients have sent this much in all, or with the signal. */
  async passed (atBytes: number, signal: AbortSignal): Promise<void> {
    if (this.#sentBytes >= atBytes || signal.aborted) return
    await new Promise<void>(resolve => {
      const one = { atBytes, resolve }
      this.#waiting.add(one)
      signal.addEventListener('abort', () => {
        this.#waiting.delete(one)
        resolve()
      }, { once: true })
    })
  }

  async close (): Promise<void> {
    const closed = new Promise<void>(resolve => { this.#server.close(() => { resolve() }) })
    for (const socket of this.#sockets) socket.destroy()
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
    client.on('data', (piece: Uint8Array) => { this.#count(piece.length) })
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
