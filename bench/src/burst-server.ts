import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Bench } from './bench.ts'
import type { Children, Started } from './children.ts'

const SERVER = fileURLToPath(new URL('../../apps/server/dist/main.js', import.meta.url))
const CLIENT = fileURLToPath(new URL('../../apps/client/dist/main.js', import.meta.url))
/** In a namespace of its own, so nothing else has these addresses. */
const ADDRESS_PREFIX = '10.77'

/** How a program is run in a network namespace that has many addresses, and these addresses. */
interface Namespace {
  readonly command: readonly string[]
  readonly addresses: readonly string[]
}

/** A namespace with so many addresses on its loopback interface; undefined if the system does not permit it. */
export async function namespaceCommand (
  { children, home }: Pick<Bench, 'children' | 'home'>, count: number,
): Promise<Namespace | undefined> {
  const { code } = await children.start('unshare', ['-rn', 'ip', 'link', 'set', 'lo', 'up']).ended.catch(() => ({ code: -1 }))
  if (code !== 0) return undefined
  const addresses = Array.from({ length: count }, (_, n) => `${ADDRESS_PREFIX}.${n >> 7}.${1 + (n & 127)}`)
  const setUp = join(home, 'addresses')
  writeFileSync(setUp, ['link set lo up', ...addresses.map(address => `addr add ${address}/32 dev lo`), ''].join('\n'))
  return { addresses, command: ['unshare', '-rn', 'sh', '-c', 'ip -batch "$0" && exec "$@"', setUp] }
}

/**
 * A server for many clients. If the system permits it, server and clients are in a network namespace with many addresses: Linux
 * connects to an own address from the same address, so that each client can have one.
 */
export class BurstServer {
  readonly archive: string
  readonly address = '127.0.0.1'
  readonly #stateDir: string
  readonly #children: Children
  readonly #server: Started
  /** The addresses of the namespace; undefined if there is none. */
  readonly addresses: readonly string[] | undefined
  port = 0

  private constructor ({ home, children }: Bench, namespace: Namespace | undefined) {
    this.archive = join(home, 'archive')
    this.#stateDir = join(home, 'server')
    this.#children = children
    this.addresses = namespace?.addresses
    const [program = '', ...args] = [
      ...namespace?.command ?? [], process.execPath, SERVER, 'start', '--archive', this.archive, '--state-dir', this.#stateDir,
      '--json-logs', '--interface', 'lo', '--bind', namespace === undefined ? this.address : '0.0.0.0', '--port', '0', '--interval', '3600',
    ]
    this.#server = children.start(program, args)
  }

  /** @param count how many addresses to try to have */
  static async open (bench: Bench, count: number): Promise<BurstServer> {
    mkdirSync(join(bench.home, 'archive'))
    const server = new BurstServer(bench, await namespaceCommand(bench, count))
    try {
      await server.#untilListening()
      return server
    } catch (error) {
      await server.close()
      throw error
    }
  }

  get pid (): number {
    return this.#server.pid
  }

  /** Makes an enrollment token, and returns the file that has it. */
  async createToken (uses: number): Promise<string> {
    const path = join(this.#stateDir, '..', 'token')
    const args = ['token', 'create', '--uses', String(uses), '--state-dir', this.#stateDir]
    const { stdout } = await this.#children.run(process.execPath, [SERVER, ...args])
    writeFileSync(path, stdout, { mode: 0o600 })
    return path
  }

  /** Starts the client program where it can reach this server. */
  startClient (args: readonly string[]): Started {
    if (this.addresses === undefined) return this.#children.start(process.execPath, [CLIENT, ...args])
    const inside = ['--user', '--net', '--preserve-credentials', '--target', String(this.pid)]
    return this.#children.start('nsenter', [...inside, process.execPath, CLIENT, ...args])
  }

  async close (): Promise<void> {
    await this.#children.stop(this.#server)
  }

  async #untilListening (): Promise<void> {
    for await (const line of this.#server.lines) {
      const { event, port } = JSON.parse(line) as { event?: string, port?: number }
      if (event !== 'listening') continue
      this.port = port ?? 0
      return
    }
    const { code, stderr } = await this.#server.ended
    throw new Error(`filesync-server start ended with ${code}: ${stderr}`)
  }
}
