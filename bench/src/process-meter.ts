import { readFileSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { errnoOf } from '@filesync/protocol'

/** Linux counts processor time in ticks of a hundredth of a second, whatever the kernel's own tick is. */
const MS_PER_TICK = 10
const SAMPLE_EVERY_MS = 20

/** What two programs took. */
export interface Consumption {
  readonly clientCpuMs: number
  readonly serverCpuMs: number
  readonly clientPeakBytes: number
  readonly serverPeakBytes: number
  /** Everything that went over the loopback interface meanwhile: headers, TLS, looking for the server, other programs' traffic. */
  readonly wireBytes: number
}

/**
 * Watches a server that goes on running and a client that ends meanwhile. Peaks are the kernel's high-water marks of
 * resident memory, so that sampling misses nothing but the growth of the client's last 20 ms.
 */
export class ProcessMeter {
  readonly #server: number
  readonly #peaks = new Map<number, number>()
  readonly #serverPids = new Set<number>()
  readonly #clientPids = new Set<number>()
  readonly #childrenBeforeMs: number
  readonly #serverBeforeMs: number
  readonly #loopbackBefore: number
  /** Children that the server keeps for as long as it runs. */
  readonly #lasting: ReadonlySet<number>
  #client: number | undefined
  #timer: NodeJS.Timeout | undefined

  constructor (server: number) {
    this.#server = server
    this.#lasting = new Set(childrenOf(server))
    // "5" resets the high-water mark: proc(5), clear_refs.
    writeFileSync(`/proc/${server}/clear_refs`, '5')
    this.#childrenBeforeMs = cpuMs('self').childrenMs
    this.#serverBeforeMs = serverMs(server)
    this.#loopbackBefore = loopbackBytes()
  }

  watch (client: number): void {
    this.#client = client
    this.#sample()
    this.#timer = setInterval(() => { this.#sample() }, SAMPLE_EVERY_MS)
  }

  /** To be called when the client has ended. */
  async finish (): Promise<Consumption> {
    clearInterval(this.#timer)
    this.#sample()
    const wireBytes = loopbackBytes() - this.#loopbackBefore
    // rsync's daemon has a process for each client, which ends a moment after the client does.
    const hasOthers = (): boolean => childrenOf(this.#server).some(pid => !this.#lasting.has(pid))
    for (let tries = 0; hasOthers() && tries < 500; tries++) await sleep(10)
    const sum = (pids: Iterable<number>): number => [...pids].reduce((total, pid) => total + (this.#peaks.get(pid) ?? 0), 0)
    return {
      // The client is the only child of this process that ended meanwhile.
      clientCpuMs: cpuMs('self').childrenMs - this.#childrenBeforeMs,
      serverCpuMs: serverMs(this.#server) - this.#serverBeforeMs,
      clientPeakBytes: sum(this.#clientPids),
      serverPeakBytes: sum(this.#serverPids),
      wireBytes,
    }
  }

  stop (): void {
    clearInterval(this.#timer)
  }

  #sample (): void {
    for (const [root, pids] of [[this.#server, this.#serverPids], [this.#client, this.#clientPids]] as const) {
      for (const pid of root === undefined ? [] : [root, ...descendantsOf(root)]) {
        pids.add(pid)
        const bytes = peakBytes(pid)
        if (bytes !== undefined) this.#peaks.set(pid, Math.max(bytes, this.#peaks.get(pid) ?? 0))
      }
    }
  }
}

/** Processor time of a running process, and of those of its children that have ended. */
export function cpuMs (pid: number | 'self'): { ownMs: number, childrenMs: number } {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  // The name in parentheses may hold anything; the numbers follow its end. Field 14 of proc(5) is the twelfth of them.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ').map(Number)
  const ticks = (at: number): number => (fields[at] ?? NaN) * MS_PER_TICK
  return { ownMs: ticks(11) + ticks(12), childrenMs: ticks(13) + ticks(14) }
}

function serverMs (pid: number): number {
  const { ownMs, childrenMs } = cpuMs(pid)
  return ownMs + childrenMs
}

function peakBytes (pid: number): number | undefined {
  const kib = /^VmHWM:\s*(\d+) kB$/mu.exec(readProcess(pid, 'status'))?.[1]
  return kib === undefined ? undefined : Number(kib) * 1024
}

function descendantsOf (pid: number): number[] {
  return childrenOf(pid).flatMap(child => [child, ...descendantsOf(child)])
}

function childrenOf (pid: number): number[] {
  return readProcess(pid, `task/${pid}/children`).split(' ').filter(text => text !== '').map(Number)
}

/** Empty where the process has ended. */
function readProcess (pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1')
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes(errnoOf(error))) return ''
    throw error
  }
}

function loopbackBytes (): number {
  const line = readFileSync('/proc/net/dev', 'latin1').split('\n').find(text => text.trim().startsWith('lo:'))
  return Number(line?.trim().split(/[:\s]+/u)[1] ?? NaN)
}
