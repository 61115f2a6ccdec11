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
function ip (...words: string[]): string {
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

/** A task that runs on a host, and what it has printed so far. */
export class Running {
  readonly lines: Line[] = []
  readonly #tell: (words: object) => void
  #waiting: (() => void)[] = []

  constructor (tell: (words: object) => void) {
    this.#tell = tell
  }

  /** Takes one more line. */
  push (line: Line): void {
    this.lines.push(line)
    for (const wake of this.#waiting.splice(0)) wake()
  }

  /** Waits for the first line that fits, of those printed and those to come. */
  async line (fits: (line: Line) => boolean): Promise<Line> {
    for (;;) {
      const found = this.lines.find(fits)
      if (found !== undefined) return found
      if (this.lines.at(-1)?.event === 'ended') throw new Error(`the task ended after ${JSON.stringify(this.lines)}`)
      await new Promise<void>(resolve => { this.#waiting.push(resolve) })
    }
  }

  /** Waits until it has ended, and returns what it printed. */
  async end (): Promise<Line[]> {
    await this.line(({ event }) => event === 'ended')
    return this.lines.slice(0, -1)
  }

  /** Ends it. */
  async stop (): Promise<void> {
    this.#tell({ stop: true })
    await this.end()
  }
}

/** A machine of its own: a namespace with one interface, fst0, on the segment's wire, and one program that does tasks in it. */
export class Host {
  readonly namespace: string
  readonly #child: ChildProcessByStdio<Writable, Readable, null>
  readonly #tasks: Running[] = []

  constructor (namespace: string) {
    this.namespace = namespace
    const args = ['netns', 'exec', namespace, process.execPath, '--conditions=@filesync/source', program]
    const env = { ...process.env, FILESYNC_TEST_INTERFACES: INTERFACES.join() }
    this.#child = spawn('ip', args, { env, stdio: ['pipe', 'pipe', 'inherit'] })
    createInterface({ input: this.#child.stdout }).on('line', text => {
      const line = JSON.parse(text) as Line & { task: number }
      this.#tasks[line.task]?.push(line)
    })
  }

  ip (...words: string[]): string {
    return ip('-n', this.namespace, ...words)
  }

  /** Runs a command here to its end, and returns what it prints. */
  run (command: readonly string[], more: { readonly input?: string, readonly env?: NodeJS.ProcessEnv } = {}): string {
    return execFileSync('ip', ['netns', 'exec', this.namespace, ...command], {
      encoding: 'utf8',
      env: { ...process.env, ...more.env },
      input: more.input ?? '',
    })
  }

  /** Starts a task of namespaced-program.ts. */
  start (task: object): Running {
    const number = this.#tasks.length
    const tell = (words: object): void => { this.#child.stdin.write(`${JSON.stringify({ task: number, ...words })}\n`) }
    const running = new Running(tell)
    this.#tasks.push(running)
    tell(task)
    return running
  }

  /** Ends all tasks, and takes addresses, routes and the firewall away. */
  async reset (): Promise<void> {
    await Promise.all(this.#tasks.map(async task => { if (task.lines.at(-1)?.event !== 'ended') await task.stop() }))
    this.ip('link', 'set', 'fst0', 'down')
    this.ip('address', 'flush', 'dev', 'fst0')
    this.ip('route', 'flush', 'table', 'main')
    if (hasNft()) this.run(['nft', 'flush', 'ruleset'])
  }

  /** Ends the program: it does when its input does. */
  async stop (): Promise<void> {
    const exited = once(this.#child, 'exit')
    this.#child.stdin.end()
    await exited
  }
}

let segments = 0

/** Hosts on one wire. Everything, including the bridge, is in separate namespaces; nothing is joined to this machine's network. */
export class Segment {
  readonly #name: string = `fst-${process.pid}-${segments++}`
  readonly #hosts: Host[] = []
  #used = 0

  constructor () {
    ip('netns', 'add', this.#name)
    ip('-n', this.#name, 'link', 'add', 'fstbr', 'type', 'bridge', 'stp_state', '0')
    ip('-n', this.#name, 'link', 'set', 'fstbr', 'up')
  }

  /** A host with this address, as in `10.0.0.1/24`; without one, it has an IPv6 link-local one only. */
  host (cidr?: string): Host {
    const host = this.#hosts[this.#used] ?? this.#attach()
    this.#used++
    host.ip('link', 'set', 'fst0', 'addrgenmode', cidr === undefined ? 'eui64' : 'none')
    if (cidr !== undefined) host.ip('address', 'add', cidr, 'dev', 'fst0')
    host.ip('link', 'set', 'fst0', 'up')
    return host
  }

  #attach (): Host {
    const index = this.#hosts.length
    const namespace = `${this.#name}-${index}`
    ip('netns', 'add', namespace)
    ip('-n', this.#name, 'link', 'add', `port${index}`, 'type', 'veth', 'peer', 'name', 'fst0', 'netns', namespace)
    ip('-n', this.#name, 'link', 'set', `port${index}`, 'master', 'fstbr', 'up')
    ip('-n', namespace, 'link', 'set', 'lo', 'up')
    const host = new Host(namespace)
    this.#hosts.push(host)
    return host
  }

  /** Makes all hosts free again. */
  async reset (): Promise<void> {
    await Promise.all(this.#hosts.slice(0, this.#used).map(host => host.reset()))
    this.#used = 0
  }

  /** Ends all programs and removes all namespaces. */
  async remove (): Promise<void> {
    await Promise.all(this.#hosts.map(host => host.stop()))
    for (const { namespace } of this.#hosts) ip('netns', 'delete', namespace)
    ip('netns', 'delete', this.#name)
  }
}
