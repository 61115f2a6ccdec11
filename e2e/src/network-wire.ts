import { execFileSync, spawn, spawnSync } from 'node:child_process'
import type { ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import type { Finished } from './programs.ts'

const INTERFACE = 'fst0'
/** Names that scripts/loopback-only.js takes for the test's own. */
const INTERFACES = [INTERFACE, 'fst1', 'docker0'].join()

function ip (...words: string[]): string {
  return execFileSync('ip', words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

/** Why machines cannot be made here; undefined where they can. */
export function whyNoMachines (): string | undefined {
  if (process.platform !== 'linux') return 'network namespaces exist on Linux only'
  try {
    const wire = new Wire()
    try {
      wire.machine('10.0.0.1/24')
    } finally {
      wire.remove()
    }
    return undefined
  } catch (error) {
    return `network namespaces cannot be made here (root and iproute2 are needed): ${(error as Error).message.trim()}`
  }
}

/** Why there is no firewall to test with; undefined where there is one. */
export function whyNoFirewall (): string | undefined {
  return spawnSync('nft', ['--version']).status === 0 ? undefined : 'the command nft is not here (Debian: apt install nftables)'
}

export interface RunOptions {
  readonly input?: string
  readonly env?: Readonly<Record<string, string>>
}

/** A program that runs on a machine. */
export class Running {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>
  readonly lines: string[] = []
  #stderr = ''
  #wake: () => void = () => { /* nobody waits yet */ }
  readonly #ended: Promise<number>

  constructor (child: ChildProcessByStdio<Writable, Readable, Readable>) {
    this.#child = child
    child.stderr.setEncoding('utf8').on('data', (text: string) => { this.#stderr += text })
    createInterface({ input: child.stdout }).on('line', line => {
      this.lines.push(line)
      this.#wake()
    })
    this.#ended = once(child, 'close').then(([code]) => {
      this.#wake()
      return typeof code === 'number' ? code : -1
    })
  }

  /** The first line of its output, as JSON, that fits; of those printed and those to come. */
  async line (fits: (value: Record<string, unknown>) => boolean): Promise<Record<string, unknown>> {
    for (;;) {
      const found = this.lines.map(line => JSON.parse(line) as Record<string, unknown>).find(fits)
      if (found !== undefined) return found
      if (this.#child.exitCode !== null || this.#child.signalCode !== null)
        throw new Error(`The program ended: ${this.lines.join('\n')}\n${this.#stderr}`)
      await new Promise<void>(resolve => { this.#wake = resolve })
    }
  }

  async finished (): Promise<Finished> {
    return { code: await this.#ended, stdout: this.lines.join('\n'), stderr: this.#stderr }
  }

  async stop (signal: NodeJS.Signals = 'SIGTERM'): Promise<number> {
    this.#child.kill(signal)
    return await this.#ended
  }
}

/** A machine of its own: a namespace with one interface, fst0, on the wire. */
export class Machine {
  readonly namespace: string
  readonly #running = new Set<Running>()
  /** A file that replaces /etc/hosts. */
  hosts: string | undefined

  constructor (namespace: string) {
    this.namespace = namespace
  }

  ip (...words: string[]): string {
    return ip('-n', this.namespace, ...words)
  }

  /** Drops what fits, on its way in or out; see nft(8). */
  drop (hook: 'input' | 'output', ...matches: readonly string[]): void {
    const rules = matches.map(match => `add rule inet ${hook} c ${match} drop`)
    const text = [`add table inet ${hook}`, `add chain inet ${hook} c { type filter hook ${hook} priority 0; }`, ...rules, ''].join('\n')
    execFileSync('ip', ['netns', 'exec', this.namespace, 'nft', '-f', '-'], { input: text })
  }

  /** Makes it a router between the subnets that it has addresses in. */
  enableForwarding (): void {
    execFileSync('ip', ['netns', 'exec', this.namespace, 'sh', '-c', 'echo 1 >/proc/sys/net/ipv4/ip_forward'])
  }

  /** Starts one of the programs, or another script. */
  start (script: string, args: readonly string[], { input = '', env = {} }: RunOptions = {}): Running {
    // A process in a namespace of "ip netns exec" has mounts of its own, so what is mounted here ends with it.
    const mount = this.hosts === undefined ? [] : ['sh', '-c', 'mount --bind "$0" /etc/hosts && exec "$@"', this.hosts]
    const command = [
      'netns',
      'exec',
      this.namespace,
      ...mount,
      process.execPath,
      ...(script.endsWith('.ts') ? ['--conditions=@filesync/source'] : []),
      script,
      ...args,
    ]
    const child = spawn('ip', command, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...env, FILESYNC_TEST_INTERFACES: INTERFACES },
    })
    child.stdin.on('error', () => { /* it ended before it read */ })
    child.stdin.end(input)
    const running = new Running(child)
    this.#running.add(running)
    void running.finished().then(() => { this.#running.delete(running) })
    return running
  }

  /** Runs one to its end. */
  async run (script: string, args: readonly string[], options: RunOptions = {}): Promise<Finished> {
    return await this.start(script, args, options).finished()
  }

  async stop (signal?: NodeJS.Signals): Promise<void> {
    await Promise.all([...this.#running].map(async running => await running.stop(signal)))
  }
}

let wires = 0

/** Machines on one wire. Everything is in namespaces, the bridge too: nothing is connected to the network of this machine. */
export class Wire {
  readonly #name: string = `fse-${process.pid}-${wires++}`
  readonly #machines: Machine[] = []

  constructor () {
    ip('netns', 'add', this.#name)
    ip('-n', this.#name, 'link', 'add', 'fstbr', 'type', 'bridge', 'stp_state', '0')
    ip('-n', this.#name, 'link', 'set', 'fstbr', 'up')
  }

  /** A machine with these addresses, as in `10.0.0.1/24`. */
  machine (...cidrs: readonly string[]): Machine {
    const port = `port${this.#machines.length}`
    const machine = new Machine(`${this.#name}-${this.#machines.length}`)
    ip('netns', 'add', machine.namespace)
    this.#machines.push(machine)
    ip('-n', this.#name, 'link', 'add', port, 'type', 'veth', 'peer', 'name', INTERFACE, 'netns', machine.namespace)
    ip('-n', this.#name, 'link', 'set', port, 'master', 'fstbr', 'up')
    machine.ip('link', 'set', 'lo', 'up')
    machine.ip('link', 'set', INTERFACE, 'addrgenmode', 'none')
    for (const cidr of cidrs) machine.ip('address', 'add', cidr, 'dev', INTERFACE, ...cidr.includes(':') ? ['nodad'] : [])
    machine.ip('link', 'set', INTERFACE, 'up')
    return machine
  }

  /** Ends all programs. */
  async stop (signal?: NodeJS.Signals): Promise<void> {
    await Promise.all(this.#machines.map(async machine => { await machine.stop(signal) }))
  }

  /** Removes all namespaces. */
  remove (): void {
    for (const { namespace } of this.#machines) ip('netns', 'delete', namespace)
    ip('netns', 'delete', this.#name)
  }
}
