import { asFileSyncError, FileSyncError } from '@filesync/protocol'
import type { Clock, ErrorCode } from '@filesync/protocol'
import type { Candidate } from './candidate.ts'
import { OfferQueue } from './offer-queue.ts'

export interface FindPairingInit<T> {
  /** Servers that may be meant, as they are heard; ends when the signal is aborted, or when there are no more. */
  readonly candidates: (signal: AbortSignal) => AsyncIterable<Candidate>
  /** Proves to one server that this client was given the secret, and has it prove the same. */
  readonly attempt: (candidate: Candidate, signal: AbortSignal) => Promise<T>
  /** Uniform from 0 to 1. */
  readonly random: () => number
  readonly clock: Clock
  readonly signal: AbortSignal
}

/** What says more than that a server cannot be reached, the most important first. */
const TELLING: readonly ErrorCode[] = ['PAIRING_UNPROVEN', 'PAIRING_REFUSED']
/** After a refusal others may still be heard; the questions of the first two seconds reach every server that is there. */
const OTHERS_WITHIN_MS = 2_000

/**
 * Asks the servers that pair at the moment until one proves that it knows the secret: several may show a code, and only one
 * of them shows this. Asking gives nothing away, see docs/protocol.md under "Pairing". Rejects with the most telling failure,
 * or with the signal's reason; resolves with undefined where no server was heard.
 */
export async function findPairing<T> (init: FindPairingInit<T>): Promise<T | undefined> {
  const search = new Search(init)
  try {
    return await search.run()
  } finally {
    search.stop()
  }
}

class Search<T> {
  readonly #init: FindPairingInit<T>
  readonly #over = new AbortController()
  readonly #queue: OfferQueue
  readonly #failures: FileSyncError[] = []
  #cancelAdvance: () => void = () => { /* nothing is scheduled yet */ }
  #cancelEnd: () => void = () => { /* nothing is scheduled yet */ }
  #asking = 0
  #listening = true
  #isSettled = false
  #grant: (granted: T) => void = () => { /* set by run */ }
  #give: () => void = () => { /* set by run */ }

  constructor (init: FindPairingInit<T>) {
    this.#init = init
    this.#queue = new OfferQueue([], init.random)
  }

  async run (): Promise<T | undefined> {
    const { signal } = this.#init
    signal.throwIfAborted()
    return await new Promise<T | undefined>((resolve, reject) => {
      const settle = (end: () => void): void => {
        if (this.#isSettled) return
        this.#isSettled = true
        end()
      }
      this.#grant = granted => { settle(() => { resolve(granted) }) }
      this.#give = () => {
        settle(() => {
          if (this.#failures.length === 0) resolve(undefined)
          else reject(this.#explain())
        })
      }
      const abort = (): void => { settle(() => { reject(signal.reason as Error) }) }
      signal.addEventListener('abort', abort, { once: true, signal: this.#over.signal })
      void this.#listen()
    })
  }

  stop (): void {
    this.#cancelAdvance()
    this.#cancelEnd()
    this.#over.abort(new FileSyncError('ABORTED', 'The server was found elsewhere.'))
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

  /** Asks who is ready, comes again when others are, and ends where nothing more can come of it. */
  #advance (): void {
    this.#cancelAdvance()
    this.#cancelEnd()
    if (this.#isSettled) return
    const { clock } = this.#init
    const nowMs = clock.monotonicMs()
    for (let offer = this.#queue.take(nowMs); offer !== undefined; offer = this.#queue.take(nowMs)) this.#ask(offer)
    const inMs = this.#queue.nextInMs(nowMs)
    if (inMs !== undefined) this.#cancelAdvance = clock.schedule(inMs, () => { this.#advance() })
    else if (this.#asking === 0) this.#endSoon()
  }

  #endSoon (): void {
    if (!this.#listening) this.#give()
    else if (this.#failures.some(({ code }) => TELLING.includes(code))) this.#cancelEnd = this.#init.clock.schedule(OTHERS_WITHIN_MS, () => { this.#give() })
  }

  #ask (candidate: Candidate): void {
    this.#asking++
    this.#init.attempt(candidate, AbortSignal.any([this.#init.signal, this.#over.signal])).then(
      granted => { this.#grant(granted) },
      (error: unknown) => {
        if (this.#isSettled) return
        this.#failures.push(asFileSyncError(error, 'SERVER_UNREACHABLE'))
        this.#asking--
        this.#queue.failed(candidate)
        this.#advance()
      },
    )
  }

  #explain (): FileSyncError {
    const [first] = TELLING.flatMap(code => this.#failures.filter(failure => failure.code === code))
    const failure = first ?? this.#failures.at(-1) ?? new FileSyncError('SERVER_NOT_FOUND', 'No server was found.')
    const refusals = this.#failures.filter(({ code }) => code === 'PAIRING_REFUSED').length
    if (failure.code !== 'PAIRING_REFUSED' || refusals < 2) return failure
    const all = `None of the ${refusals} servers that pair at the moment took it; --server HOST:PORT names one.`
    return new FileSyncError('PAIRING_REFUSED', `${failure.message} ${all}`, { cause: failure })
  }
}
