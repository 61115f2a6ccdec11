import { connect, createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'

/** A relay between a client and a server that counts what the server sends, and can break all connections after some of it. */
export class DownloadRelay {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  /** Where the server listens on 127.0.0.1. */
  targetPort = 0
  /** What the server has sent, with TLS and frames. */
  receivedBytes = 0
  #at: { readonly bytes: number, readonly resolve: () => void } | undefined

  private constructor () {
    this.#server = createServer(client => { this.#join(client) })
  }

  static async open (): Promise<DownloadRelay> {
    const relay = new DownloadRelay()
    await new Promise<void>((resolve, reject) => { relay.#server.once('error', reject).listen(0, '127.0.0.1', resolve) })
    return relay
  }

  get port (): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Resolves once the server has sent this much in all. Only one such wait at a time. */
  async received (bytes: number): Promise<void> {
    if (this.receivedBytes >= bytes) return
    await new Promise<void>(resolve => { this.#at = { bytes, resolve } })
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
      socket.on('error', () => { other.destroy() })
      socket.once('close', () => {
        this.#sockets.delete(socket)
        if (socket.readableEnded) other.end()
        else other.destroy()
      })
    }
    server.on('data', (piece: Uint8Array) => {
      this.receivedBytes += piece.length
      if (this.#at !== undefined && this.receivedBytes >= this.#at.bytes) {
        this.#at.resolve()
        this.#at = undefined
      }
    })
  }
}
