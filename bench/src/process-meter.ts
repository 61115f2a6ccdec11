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
  /** The highest resident memory without mapped files, as sampled; the server's index is a mapped file. */
  readonly clientAnonymousBytes: number
  readonly serverAnonymousBytes: number
  /**
   * What the server passed to write calls, its index included. The kernel's count of bytes for a disk is 0 on a memory file system.
   * Sockets count too: what it sent to the client.
   */
  readonly serverWrittenBytes: number
  /** The same for a client that keeps running. */
  readonly clientWrittenBytes?: number
  /** All traffic on the loopback interface during the run: headers, TLS, discovery, and other programs. */
  readonly wireBytes: number
}

/** What a running process has used up since it started. */
interface Used {
  readonly cpuMs: number
  readonly writtenBytes: number
}

interface Memory {
  readonly peakBytes: number
  readonly anonymousBytes: number
}

/**
 * Measures a server that keeps running, and a client that exits or keeps running too. Peaks of resident memory are the kernel's
 * high-water marks, so sampling misses only growth in the last 20 ms of a client that exits.
 */
export class ProcessMeter {
  readonly #server: number
  readonly #highest = new Map<number, Memory>()
  readonly #serverPids = new Set<number>()
  readonly #clientPids = new Set<number>()
  readonly #childrenBeforeMs: number
  readonly #serverBefore: Used
  readonly #loopbackBefore: number
  /** Child processes that the server had at the start. */
  readonly #lasting: ReadonlySet<number>
  #client: number | undefined
  /** Of a client that keeps running. */
  #clientBefore: Used | undefined
  #timer: NodeJS.Timeout | undefined

  constructor (server: number) {
    this.#server = server
    this.#lasting = new Set(childrenOf(server))
    resetPeak(server)
    this.#childrenBeforeMs = cpuMs('self').childrenMs
    this.#serverBefore = usedBy(server)
    this.#loopbackBefore = loopbackBytes()
  }

  /** For a client that has just been started, and will have exited when this meter finishes. */
  watch (client: number): void {
    this.#client = client
    this.#sample()
    this.#timer = setInterval(() => { this.#sample() }, SAMPLE_EVERY_MS)
  }

  /** For a client that is running, and still will be when this meter finishes. */
  watchRunning (client: number): void {
    resetPeak(client)
    this.#clientBefore = usedBy(client)
    this.watch(client)
  }

  /** Call this after the client has exited, or while it is still running. */
  async finish (): Promise<Consumption> {
    clearInterval(this.#timer)
    this.#sample()
    const wireBytes = loopbackBytes() - this.#loopbackBefore
    // rsync's daemon has one process per client, which exits shortly after the client.
    const hasOthers = (): boolean => childrenOf(this.#server).some(pid => !this.#lasting.has(pid))
    for (let tries = 0; hasOthers() && tries < 500; tries++) await sleep(10)
    const server = difference(this.#serverBefore, usedBy(this.#server))
    return {
      ...this.#clientUse(),
      serverCpuMs: server.cpuMs,
      serverWrittenBytes: server.writtenBytes,
      clientPeakBytes: this.#sum(this.#clientPids, 'peakBytes'),
      serverPeakBytes: this.#sum(this.#serverPids, 'peakBytes'),
      clientAnonymousBytes: this.#sum(this.#clientPids, 'anonymousBytes'),
      serverAnonymousBytes: this.#sum(this.#serverPids, 'anonymousBytes'),
      wireBytes,
    }
  }

  stop (): void {
    clearInterval(this.#timer)
  }

  #clientUse (): Pick<Consumption, 'clientCpuMs' | 'clientWrittenBytes'> {
    if (this.#client === undefined || this.#clientBefore === undefined) {
      // The client is the only child of this process that exited during the run.
      return { clientCpuMs: cpuMs('self').childrenMs - this.#childrenBeforeMs }
    }
    const { cpuMs: clientCpuMs, writtenBytes: clientWrittenBytes } = difference(this.#clientBefore, usedBy(this.#client))
    return { clientCpuMs, clientWrittenBytes }
  }

  #sum (pids: Iterable<number>, figure: keyof Memory): number {
    return [...pids].reduce((total, pid) => total + (this.#highest.get(pid)?.[figure] ?? 0), 0)
  }

  #sample (): void {
    for (const [root, pids] of [[this.#server, this.#serverPids], [this.#client, this.#clientPids]] as const) {
      for (const pid of root === undefined ? [] : [root, ...descendantsOf(root)]) {
        pids.add(pid)
        const now = memoryOf(pid)
        if (now !== undefined) this.#highest.set(pid, higher(now, this.#highest.get(pid)))
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

/** proc(5), io: what was passed to write calls. */
const WRITTEN = /^wchar: (\d+)$/mu

function usedBy (pid: number): Used {
  const { ownMs, childrenMs } = cpuMs(pid)
  return { cpuMs: ownMs + childrenMs, writtenBytes: Number(WRITTEN.exec(readFileSync(`/proc/${pid}/io`, 'latin1'))?.[1] ?? NaN) }
}

function difference (before: Used, after: Used): Used {
  return { cpuMs: after.cpuMs - before.cpuMs, writtenBytes: after.writtenBytes - before.writtenBytes }
}

/** "5" resets the high-water mark of resident memory: proc(5), clear_refs. */
function resetPeak (pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5')
}

/** Undefined if the process has exited. */
function memoryOf (pid: number): Memory | undefined {
  const status = readProcess(pid, 'status')
  const peak = /^VmHWM:\s*(\d+) kB$/mu.exec(status)?.[1]
  const anonymous = /^RssAnon:\s*(\d+) kB$/mu.exec(status)?.[1]
  return peak === undefined || anonymous === undefined
    ? undefined
    : { peakBytes: Number(peak) * 1024, anonymousBytes: Number(anonymous) * 1024 }
}

function higher (now: Memory, before: Memory | undefined): Memory {
  return {
    peakBytes: Math.max(now.peakBytes, before?.peakBytes ?? 0),
    anonymousBytes: Math.max(now.anonymousBytes, before?.anonymousBytes ?? 0),
  }
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
