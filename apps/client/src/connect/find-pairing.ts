import { asFileSyncError, FileSyncError } from '@filesync/protocol'
import type { Clock, ErrorCode } from '@filesync/protocol'
import type { ServerCandidate } from './server-candidate.ts'
import { OfferQueue } from './offer-queue.ts'

export interface FindPairingInit<T> {
  /** Servers to ask, as they are discovered; ends when the signal is aborted, or when there are no more. */
  readonly candidates: (signal: AbortSignal) => AsyncIterable<ServerCandidate>
  /** Proves to one server that this client knows the secret, and verifies the server's proof. */
  readonly attempt: (candidate: ServerCandidate, signal: AbortSignal) => Promise<T>
  /** Uniform from 0 to 1. */
  readonly random: () => number
  readonly clock: Clock
  readonly signal: AbortSignal
}

/** Failures that explain more than an unreachable server does, the most important first. */
const INFORMATIVE: readonly ErrorCode[] = ['PAIRING_UNPROVEN', 'PAIRING_REFUSED']
/** After a refusal another server may still answer; the requests of the first two seconds reach every server that is running. */
const OTHERS_WITHIN_MS = 2_000

/**
 * Asks the servers that accept pairing until one proves that it knows the secret: several servers may show a code, but only one
 * of them shows this code. Asking reveals nothing, see docs/protocol.md under "Pairing". Rejects with the most informative
 * failure, or with the signal's reason. Resolves with undefined if no server was discovered.
 */
export async function findPairing<T> (init: FindPairingInit<T>): Promise<T | undefined> {
  const search = new PairingSearch(init)
  try {
    return await search.run()
  } finally {
    search.stop()
  }
}

class PairingSearch<T> {
  readonly #init: FindPairingInit<T>
  readonly #over = new AbortController()
  readonly #queue: OfferQueue
  readonly #failures: FileSyncError[] = []
  #cancelAdvance: () => void = () => { /* nothing is scheduled yet */ }
  #cancelEnd: () => void = () => { /* nothing is scheduled yet */ }
  #asking = 0
  #listening = true
  #isOver = false
  #succeed: (granted: T) => void = () => { /* set by run */ }
  #giveUp: () => void = () => { /* set by run */ }

  constructor (init: FindPairingInit<T>) {
    this.#init = init
    this.#queue = new OfferQueue([], init.random)
  }

  async run (): Promise<T | undefined> {
    const { signal } = this.#init
    signal.throwIfAborted()
    return await new Promise<T | undefined>((resolve, reject) => {
      const finish = (end: () => void): void => {
        if (this.#isOver) return
        this.#isOver = true
        end()
      }
      this.#succeed = granted => { finish(() => { resolve(granted) }) }
      this.#giveUp = () => {
        finish(() => {
          if (this.#failures.length === 0) resolve(undefined)
          else reject(this.#explain())
        })
      }
      const abort = (): void => { finish(() => { reject(signal.reason as Error) }) }
      signal.addEventListener('abort', abort, { once: true, signal: this.#over.signal })
      void this.#listen()
    })
  }

  stop (): void {
    this.#cancelAdvance()
    this.#cancelEnd()
    this.#over.abort(new FileSyncError('ABORTED', 'The search for the server is over.'))
  }

  async #listen (): Promise<void> {
    try {
      for await (const candidate of this.#init.candidates(AbortSignal.any([this.#init.signal, this.#over.signal]))) {
        this.#queue.add(candidate)
        this.#advance()
      }
    } catch (error) {
      this.#failures.push(asFileSyncError(error, 'DISCOVERY_UNAVAILABLE'))
    }
    this.#listening = false
    this.#advance()
  }

  /** Asks the servers that are ready, schedules itself for the next one, and ends the search if there is nothing left to try. */
  #advance (): void {
    this.#cancelAdvance()
    this.#cancelEnd()
    if (this.#isOver) return
    const { clock } = this.#init
    const nowMs = clock.monotonicMs()
    for (let offer = this.#queue.next(nowMs); offer !== undefined; offer = this.#queue.next(nowMs)) this.#ask(offer)
    const inMs = this.#queue.nextInMs(nowMs)
    if (inMs !== undefined) this.#cancelAdvance = clock.schedule(inMs, () => { this.#advance() })
    else if (this.#asking === 0) this.#endSoon()
  }

  #endSoon (): void {
    if (!this.#listening) this.#giveUp()
    else if (this.#failures.some(({ code }) => INFORMATIVE.includes(code))) {
      this.#cancelEnd = this.#init.clock.schedule(OTHERS_WITHIN_MS, () => { this.#giveUp() })
    }
  }

  #ask (candidate: ServerCandidate): void {
    this.#asking++
    this.#init.attempt(candidate, AbortSignal.any([this.#init.signal, this.#over.signal])).then(
      granted => { this.#succeed(granted) },
      (error: unknown) => {
        if (this.#isOver) return
        this.#failures.push(asFileSyncError(error, 'SERVER_UNREACHABLE'))
        this.#asking--
        this.#queue.dialFailed(candidate)
        this.#advance()
      },
    )
  }

  #explain (): FileSyncError {
    const [first] = INFORMATIVE.flatMap(code => this.#failures.filter(failure => failure.code === code))
    const failure = first ?? this.#failures.at(-1) ?? new FileSyncError('SERVER_NOT_FOUND', 'No server was found.')
    const refusals = this.#failures.filter(({ code }) => code === 'PAIRING_REFUSED').length
    if (failure.code !== 'PAIRING_REFUSED' || refusals < 2) return failure
    const all = `All ${refusals} servers that accept pairing refused it; name the right one with --server HOST:PORT.`
    return new FileSyncError('PAIRING_REFUSED', `${failure.message} ${all}`, { cause: failure })
  }
}
