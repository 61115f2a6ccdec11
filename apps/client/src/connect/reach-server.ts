import type { DeviceId } from '@filesync/identity'
import { asFileSyncError, FileSyncError } from '@filesync/protocol'
import type { Clock, Connection } from '@filesync/protocol'
import type { Candidate } from './candidate.ts'
import { OfferQueue } from './offer-queue.ts'

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
  /** Offers as they are heard; ends when the signal is aborted. Tells what hinders the hearing, such as a broken interface. */
  readonly offers: (signal: AbortSignal, onProblem: (error: FileSyncError) => void) => AsyncIterable<Candidate>
  /** Connects and proves; rejects with IDENTITY_CHANGED where the other end is not a paired server. */
  readonly dial: (candidate: Candidate, signal: AbortSignal) => Promise<Reached>
  /** Uniform from 0 to 1. */
  readonly random: () => number
  readonly clock: Clock
  readonly signal: AbortSignal
  /** How long to listen for offers. */
  readonly withinMs: number
}

/** Of the troubles with hearing offers, what a message tells. */
export const MAX_TROUBLES_TOLD = 3

/**
 * Tries what is known and what is offered, every server at once, and resolves with the first that proves itself. At most 8
 * offers are followed at a time, in random order. Rejects, when the time is over, with what a person can act on: IDENTITY_CHANGED where a known address answers as somebody else, otherwise
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
  readonly #troubles: FileSyncError[] = []
  readonly #queue: OfferQueue
  #cancelAdvance: () => void = () => { /* nothing is scheduled yet */ }
  #discoveryFailure: FileSyncError | undefined
  #dialling = 0
  #listening = true
  #isSettled = false
  #settle: (reached: Reached | undefined) => void = () => { /* set by run */ }

  constructor (init: ReachInit) {
    this.#init = init
    this.#queue = new OfferQueue(init.known, init.random)
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
      for (const candidate of this.#init.known) this.#dial(candidate)
      void this.#listen()
    })
    if (first !== undefined) return first
    throw this.#explain()
  }

  stop (): void {
    this.#cancelAdvance()
    this.#over.abort(new FileSyncError('ABORTED', 'The server was found elsewhere.'))
  }

  async #listen (): Promise<void> {
    try {
      for await (const candidate of this.#init.offers(this.#signal, error => { this.#troubles.push(error) })) {
        if (this.#tried.has(keyOf(candidate))) continue
        this.#tried.add(keyOf(candidate))
        this.#queue.add(candidate)
        this.#advance()
      }
    } catch (error) {
      // What is known is being dialled all the same.
      this.#discoveryFailure = asFileSyncError(error, 'DISCOVERY_UNAVAILABLE')
    }
    this.#listening = false
    this.#settleWhenDone()
  }

  /** Dials what is ready, and comes again when more is. */
  #advance (): void {
    this.#cancelAdvance()
    if (this.#isSettled) return
    const { clock } = this.#init
    for (let offer = this.#queue.take(clock.monotonicMs()); offer !== undefined; offer = this.#queue.take(clock.monotonicMs())) this.#dial(offer)
    const inMs = this.#queue.nextInMs(clock.monotonicMs())
    if (inMs !== undefined) this.#cancelAdvance = clock.schedule(inMs, () => { this.#advance() })
  }

  #dial (candidate: Candidate): void {
    this.#tried.add(keyOf(candidate))
    this.#dialling++
    this.#init.dial(candidate, this.#signal).then(
      reached => {
        // Two addresses of one server can answer in the same moment; one connection is enough.
        if (this.#isSettled) void reached.connection.close(new FileSyncError('ABORTED', 'The server was reached otherwise.'))
        else this.#settle(reached)
      },
      (error: unknown) => {
        if (this.#isSettled) return
        this.#failures.push({ candidate, error: asFileSyncError(error, 'SERVER_UNREACHABLE') })
        this.#dialling--
        if (candidate.origin === 'offered') this.#queue.failed(candidate)
        // A server that was about to start says by an offer when it is there.
        else this.#tried.delete(keyOf(candidate))
        this.#advance()
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
    return new FileSyncError('SERVER_NOT_FOUND', [this.#describeSeen(), ...this.#troubles.slice(0, MAX_TROUBLES_TOLD).map(({ message }) => message)].join(' '))
  }

  #describeSeen (): string {
    const seen = this.#failures.filter(({ candidate }) => candidate.origin === 'offered')
      .map(({ candidate, error }) => `${candidate.address}:${candidate.port} (${UNUSABLE[error.code] ?? error.code})`)
    return seen.length === 0
      ? 'No server that this client is paired with answered on the local network. Check that it runs and is on the same network, or name it with --server HOST:PORT; "filesync-client doctor" looks for the reason.'
      : `No server that this client is paired with answered. Seen, but not usable: ${seen.join(', ')}.`
  }
}

const UNUSABLE: Readonly<Record<string, string>> = {
  IDENTITY_CHANGED: 'has another key',
  SERVER_UNREACHABLE: 'takes no connection',
  PEER_UNPROVEN: 'is not a FileSync server',
}

function keyOf ({ address, port }: Candidate): string {
  return `${address} ${port}`
}

function unanswered ({ address, port }: Candidate): FileSyncError {
  return new FileSyncError('SERVER_UNREACHABLE', `Nothing answered at ${address}:${port} in time. Check that the server runs, and that no firewall is between.`)
}
