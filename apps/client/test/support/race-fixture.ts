import { toDeviceId } from '@filesync/identity'
import { FileSyncError, openConnection } from '@filesync/protocol'
import type { Connection } from '@filesync/protocol'
import { ManualClock, memoryStreamPair } from '@filesync/protocol/testing'
import { expect } from 'vitest'
import { raceServers } from '../../src/connect/race-servers.ts'
import type { RaceServersInit, ReachedServer } from '../../src/connect/race-servers.ts'
import type { ServerCandidate } from '../../src/connect/server-candidate.ts'

export const TIMEOUT_MS = 10_000

const SERVER_ID = toDeviceId(new Uint8Array(32).fill(7))

/** A candidate on this machine. */
export function at (port: number, origin: ServerCandidate['origin']): ServerCandidate {
  return { address: '127.0.0.1', port, origin }
}

/** An offer with the id prefix of a server. */
export function offer (idPrefix: string, address: string, port: number): ServerCandidate {
  return { address, port, origin: 'offered', idPrefix }
}

export function error (code: FileSyncError['code'], message: string = 'So it is.'): FileSyncError {
  return new FileSyncError(code, message)
}

/** Matches an error by its code and message. */
export function code (name: string, message: RegExp = /./u): unknown {
  return expect.objectContaining({ code: name, message: expect.stringMatching(message) as unknown })
}

/** One attempt at an address, ended by the test. */
interface Attempt {
  readonly candidate: ServerCandidate
  readonly signal: AbortSignal
  /** The other end accepts the connection. */
  open (): void
  prove (): Connection
  fail (error: unknown): void
}

/** Offers that a test makes. */
class FakeOffers {
  readonly #waiting: ServerCandidate[] = []
  #wake: () => void = () => { /* nothing listens yet */ }
  failure: Error | undefined
  isStopped = false

  make (...candidates: ServerCandidate[]): void {
    this.#waiting.push(...candidates)
    this.#wake()
  }

  async * listen (signal: AbortSignal): AsyncGenerator<ServerCandidate, void, undefined> {
    signal.addEventListener('abort', () => { this.#wake() })
    while (!signal.aborted) {
      if (this.failure !== undefined) throw this.failure
      const next = this.#waiting.shift()
      if (next !== undefined) yield next
      else await new Promise<void>(resolve => { this.#wake = resolve })
    }
    this.isStopped = true
  }
}

/** A race on a manual clock, with offers and attempts that the test controls. */
export class RaceFixture {
  readonly clock: ManualClock = new ManualClock()
  readonly stop: AbortController = new AbortController()
  readonly offers: FakeOffers = new FakeOffers()
  readonly attempts: Attempt[] = []

  race (known: readonly ServerCandidate[], init: Partial<RaceServersInit> = {}): Promise<ReachedServer> {
    const racing = raceServers({
      known,
      offers: signal => this.offers.listen(signal),
      dial: async (candidate, signal, onOpen) => await this.#dial(candidate, signal, onOpen),
      random: () => 0,
      clock: this.clock,
      signal: this.stop.signal,
      timeoutMs: TIMEOUT_MS,
      ...init,
    })
    racing.catch(() => { /* awaited by the test */ })
    return racing
  }

  get addresses (): string[] {
    return this.attempts.map(({ candidate }) => candidate.address)
  }

  get ports (): number[] {
    return this.attempts.map(({ candidate }) => candidate.port)
  }

  async #dial (candidate: ServerCandidate, signal: AbortSignal, onOpen: () => void): Promise<ReachedServer> {
    return await new Promise<ReachedServer>((resolve, reject) => {
      signal.addEventListener('abort', () => { reject(signal.reason as Error) })
      const prove = (): Connection => {
        const connection = openConnection({ stream: memoryStreamPair()[0], clock: this.clock })
        resolve({ connection, serverId: SERVER_ID, address: candidate.address, port: candidate.port })
        return connection
      }
      this.attempts.push({ candidate, signal, open: onOpen, fail: reject, prove })
    })
  }
}

/** Lets reactions to settled promises run. */
export async function settle (): Promise<void> {
  await new Promise(resolve => { setImmediate(resolve) })
}
