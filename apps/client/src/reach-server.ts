import type { DeviceId } from '@filesync/identity'
import { asFileSyncError, FileSyncError } from '@filesync/protocol'
import type { Clock, Connection } from '@filesync/protocol'

/** Where a server may be. */
export interface Candidate {
  readonly address: string
  readonly port: number
  /** From the configuration, remembered from the last session, or heard as an offer. */
  readonly origin: 'given' | 'remembered' | 'offered'
}

/** A server that proved to be one that this client is paired with. */
export interface Reached {
  readonly connection: Connection
  readonly serverId: DeviceId
  readonly address: string
  readonly port: number
}

export interface ReachInit {
  /** Tried at once. */
  readonly known: readonly Candidate[]
  /** Offers as they are heard; ends when the signal is aborted. */
  readonly offers: (signal: AbortSignal) => AsyncIterable<Candidate>
  /** Connects and proves; rejects with IDENTITY_CHANGED where the other end is not a paired server. */
  readonly dial: (candidate: Candidate, signal: AbortSignal) => Promise<Reached>
  readonly clock: Clock
  readonly signal: AbortSignal
  /** How long to listen for offers. */
  readonly withinMs: number
}

/** Offers are hints that anyone can send, so a round follows only so many. */
const MAX_DIALS = 8

/**
 * Tries what is known and what is offered, all at once, and resolves with the first that proves itself. Rejects, when the
 * time is over, with what a person can act on: IDENTITY_CHANGED where a known address answers as somebody else, otherwise
 * what the given address failed with, or why offers cannot be heard, or SERVER_NOT_FOUND.
 */
export async function reachServer (init: ReachInit): Promise<Reached> {
  const round = new Round(init)
  try {
    return await round.run()
  } finally {
    round.stop()
  }
}

class Round {
  readonly #init: ReachInit
  readonly #over = new AbortController()
  readonly #signal: AbortSignal
  readonly #tried = new Set<string>()
  readonly #failures: { readonly candidate: Candidate, readonly error: FileSyncError }[] = []
  #discoveryFailure: FileSyncError | undefined
  #offersTried = 0
  #dialling = 0
  #listening = true
  #isSettled = false
  #settle: (reached: Reached | undefined) => void = () => { /* set by run */ }

  constructor (init: ReachInit) {
    this.#init = init
    this.#signal = AbortSignal.any([init.signal, this.#over.signal])
  }

  async run (): Promise<Reached> {
    const first = await new Promise<Reached | undefined>((resolve, reject) => {
      this.#settle = reached => {
        this.#isSettled = true
        resolve(reached)
      }
      const abort = (): void => {
        this.#isSettled = true
        reject(this.#init.signal.reason as Error)
      }
      if (this.#init.signal.aborted) { abort(); return }
      this.#init.signal.addEventListener('abort', abort, { once: true, signal: this.#over.signal })
      const cancel = this.#init.clock.schedule(this.#init.withinMs, () => { this.#settle(undefined) })
      this.#over.signal.addEventListener('abort', cancel, { once: true })
      for (const candidate of this.#init.known) this.#try(candidate)
      void this.#listen()
    })
    if (first !== undefined) return first
    throw this.#explain()
  }

  stop (): void {
    this.#over.abort(new FileSyncError('ABORTED', 'The server was found elsewhere.'))
  }

  async #listen (): Promise<void> {
    try {
      for await (const candidate of this.#init.offers(this.#signal)) this.#try(candidate)
    } catch (error) {
      // What is known is being dialled all the same.
      this.#discoveryFailure = asFileSyncError(error, 'DISCOVERY_UNAVAILABLE')
    }
    this.#listening = false
    this.#settleWhenDone()
  }

  #try (candidate: Candidate): void {
    const key = `${candidate.address} ${candidate.port}`
    if (this.#isSettled || this.#tried.has(key)) return
    if (candidate.origin === 'offered' && ++this.#offersTried > MAX_DIALS) return
    this.#tried.add(key)
    this.#dialling++
    this.#init.dial(candidate, this.#signal).then(
      reached => {
        // Two addresses of one server can answer in the same moment; one connection is enough.
        if (this.#isSettled) reached.connection.destroy(new FileSyncError('ABORTED', 'The server was reached otherwise.'))
        else this.#settle(reached)
      },
      (error: unknown) => {
        if (this.#isSettled) return
        this.#failures.push({ candidate, error: asFileSyncError(error, 'SERVER_UNREACHABLE') })
        this.#dialling--
        this.#settleWhenDone()
      },
    )
  }

  /** Nothing more can come of this round once no offers are awaited and nothing is being dialled. */
  #settleWhenDone (): void {
    if (!this.#listening && this.#dialling === 0) this.#settle(undefined)
  }

  #explain (): FileSyncError {
    const telling = this.#failures.filter(({ candidate }) => candidate.origin !== 'offered')
    const changed = telling.find(({ error }) => error.code === 'IDENTITY_CHANGED')
    if (changed !== undefined) return changed.error
    const given = this.#init.known.find(({ origin }) => origin === 'given')
    if (given !== undefined) return telling[0]?.error ?? unanswered(given)
    if (this.#discoveryFailure !== undefined) return this.#discoveryFailure
    const strangers = this.#failures.filter(({ candidate }) => candidate.origin === 'offered').map(({ candidate }) => `${candidate.address}:${candidate.port}`)
    const seen = strangers.length === 0
      ? 'No server answered on the local network. Check that the server runs and is on the same network, or name it with --server HOST:PORT.'
      : `No server that this client is paired with answered. Seen, but not usable: ${strangers.join(', ')}.`
    return new FileSyncError('SERVER_NOT_FOUND', seen)
  }
}

function unanswered ({ address, port }: Candidate): FileSyncError {
  return new FileSyncError('SERVER_UNREACHABLE', `Nothing answered at ${address}:${port} in time. Check that the server runs, and that no firewall is between.`)
}
