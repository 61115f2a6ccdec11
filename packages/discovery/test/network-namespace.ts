import { execFileSync, spawn, spawnSync } from 'node:child_process'
import type { ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import process from 'node:process'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'

const program = fileURLToPath(new URL('./namespaced-program.ts', import.meta.url))
/** Names that scripts/loopback-only.js takes for the test's own. */
const INTERFACES = ['fst0', 'fst1']

/** Runs one `ip` command; rejects with what it says. */
export function ip (...words: string[]): string {
  return execFileSync('ip', words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

/** Why namespaces cannot be made here; undefined where they can. */
export function whyNoNamespaces (): string | undefined {
  if (process.platform !== 'linux') return 'network namespaces exist on Linux only'
  const name = `fst-try-${process.pid}`
  try {
    ip('netns', 'add', name)
    try {
      ip('-n', name, 'link', 'add', 'fst0', 'type', 'veth', 'peer', 'name', 'fst1')
      ip('-n', name, 'link', 'add', 'fstbr', 'type', 'bridge')
    } finally {
      ip('netns', 'delete', name)
    }
    return undefined
  } catch (error) {
    return `network namespaces cannot be made here (root and iproute2 are needed): ${(error as Error).message.trim()}`
  }
}

/** Whether there is a firewall to test with. */
export function hasNft (): boolean {
  return spawnSync('nft', ['--version']).status === 0
}

/** What a program in a namespace prints, one JSON value a line. */
export interface Line {
  readonly event: string
  readonly [key: string]: unknown
}

/** A program that runs in a host, and what it has printed so far. */
export class Running {
  readonly lines: Line[] = []
  readonly #child: ChildProcessByStdio<Writable, Readable, null>
  readonly #exited: Promise<unknown>
  #waiting: (() => void)[] = []
  #ended = false

  constructor (child: ChildProcessByStdio<Writable, Readable, null>) {
    this.#child = child
    this.#exited = once(child, 'exit')
    createInterface({ input: child.stdout }).on('line', line => {
      this.lines.push(JSON.parse(line) as Line)
      this.#wakeAll()
    }).on('close', () => {
      this.#ended = true
      this.#wakeAll()
    })
  }

  /** Waits for the first line that fits, of those printed and those to come. */
  async line (fits: (line: Line) => boolean): Promise<Line> {
    for (;;) {
      const found = this.lines.find(fits)
      if (found !== undefined) return found
      if (this.#ended) throw new Error(`the program ended after ${JSON.stringify(this.lines)}`)
      await new Promise<void>(resolve => { this.#waiting.push(resolve) })
    }
  }

  #wakeAll (): void {
    for (const wake of this.#waiting.splice(0)) wake()
  }

  /** Waits until it has ended by itself. */
  async end (): Promise<Line[]> {
    await this.#exited
    return this.lines
  }

  /** Ends it: the program stops when its input does. */
  async stop (): Promise<void> {
    this.#child.stdin.end()
    await this.#exited
  }
}

/** A machine of its own: a namespace with one interface, fst0, on the segment's wire. */
export class Host {
  readonly namespace: string
  readonly running: Running[] = []

  constructor (namespace: string) {
    this.namespace = namespace
  }

  ip (...words: string[]): string {
    return ip('-n', this.namespace, ...words)
  }

  /** Runs a command here to its end, and returns what it prints. */
  run (command: readonly string[], more: { readonly input?: string, readonly env?: NodeJS.ProcessEnv } = {}): string {
    return execFileSync('ip', ['netns', 'exec', this.namespace, ...command], { encoding: 'utf8', env: { ...process.env, ...more.env }, input: more.input ?? '' })
  }

  /** Starts test/namespaced-program.ts here. */
  start (task: object): Running {
    const args = ['netns', 'exec', this.namespace, process.execPath, '--conditions=@filesync/source', program, JSON.stringify(task)]
    const env = { ...process.env, FILESYNC_TEST_INTERFACES: INTERFACES.join() }
    const running = new Running(spawn('ip', args, { env, stdio: ['pipe', 'pipe', 'inherit'] }))
    this.running.push(running)
    return running
  }
}

let segments = 0

/** Hosts on one wire. Everything lies in namespaces of its own, the bridge too: nothing is joined to this machine's network. */
export class Segment {
  readonly #name: string = `fst-${process.pid}-${segments++}`
  readonly #hosts: Host[] = []

  constructor () {
    ip('netns', 'add', this.#name)
    ip('-n', this.#name, 'link', 'add', 'fstbr', 'type', 'bridge', 'stp_state', '0')
    ip('-n', this.#name, 'link', 'set', 'fstbr', 'up')
  }

  /** Attaches a host with this address, as in `10.0.0.1/24`; without one, it has IPv6 link-local ones only. */
  host (cidr?: string): Host {
    const index = this.#hosts.length
    const host = new Host(`${this.#name}-${index}`)
    ip('netns', 'add', host.namespace)
    this.#hosts.push(host)
    ip('-n', this.#name, 'link', 'add', `port${index}`, 'type', 'veth', 'peer', 'name', 'fst0', 'netns', host.namespace)
    ip('-n', this.#name, 'link', 'set', `port${index}`, 'master', 'fstbr', 'up')
    host.ip('link', 'set', 'lo', 'up')
    if (cidr !== undefined) {
      host.ip('link', 'set', 'fst0', 'addrgenmode', 'none')
      host.ip('address', 'add', cidr, 'dev', 'fst0')
    }
    host.ip('link', 'set', 'fst0', 'up')
    return host
  }

  /** Ends all programs and removes all namespaces. */
  async remove (): Promise<void> {
    await Promise.all(this.#hosts.flatMap(({ running }) => running).map(each => each.stop()))
    for (const { namespace } of this.#hosts) ip('netns', 'delete', namespace)
    ip('netns', 'delete', this.#name)
  }
}
