import { readFileSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { errnoOf } from '@filesync/protocol'

/** Linux reports processor time in ticks of 10 ms, independent of the kernel's own tick. */
const MS_PER_TICK = 10
const SAMPLE_EVERY_MS = 20

/** What a client and a server consumed. */
export interface Consumption {
  readonly clientCpuMs: number
  readonly serverCpuMs: number
  readonly clientPeakBytes: number
  readonly serverPeakBytes: number
  /** All traffic on the loopback interface during the run: headers, TLS, discovery, and other programs. */
  readonly wireBytes: number
}

/**
 * Measures a server that keeps running and a client that exits. Peaks are the kernel's high-water marks of resident memory, so
 * sampling misses only growth in the last 20 ms of the client.
 */
export class ProcessMeter {
  readonly #server: number
  readonly #peaks = new Map<number, number>()
  readonly #serverPids = new Set<number>()
  readonly #clientPids = new Set<number>()
  readonly #childrenBeforeMs: number
  readonly #serverBeforeMs: number
  readonly #loopbackBefore: number
  /** Child processes that the server had at the start. */
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

  /** Call this after the client has exited. */
  async finish (): Promise<Consumption> {
    clearInterval(this.#timer)
    this.#sample()
    const wireBytes = loopbackBytes() - this.#loopbackBefore
    // rsync's daemon has one process per client, which exits shortly after the client.
    const hasOthers = (): boolean => childrenOf(this.#server).some(pid => !this.#lasting.has(pid))
    for (let tries = 0; hasOthers() && tries < 500; tries++) await sleep(10)
    const sum = (pids: Iterable<number>): number => [...pids].reduce((total, pid) => total + (this.#peaks.get(pid) ?? 0), 0)
    return {
      // The client is the only child of this process that exited during the run.
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

/** Processor time of a running process, and of its children that have exited. */
export function cpuMs (pid: number | 'self'): { ownMs: number, childrenMs: number } {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  // The name in parentheses may contain anything; the numbers follow it. Field 14 of proc(5) is the twelfth number.
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

/** Empty if the process has exited. */
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
