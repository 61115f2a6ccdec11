import type { DeviceId } from '@filesync/identity'
import { asFileSyncError, FileSyncError } from '@filesync/protocol'
import type { Clock, Connection } from '@filesync/protocol'
import type { ServerCandidate } from './server-candidate.ts'
import { OfferQueue } from './offer-queue.ts'

/** A paired server that has proven its identity. */
export interface ReachedServer {
  readonly connection: Connection
  readonly serverId: DeviceId
  readonly address: string
  readonly port: number
}

export interface RaceServersInit {
  /** Dialled immediately. */
  readonly known: readonly ServerCandidate[]
  /** Offers as they arrive; ends when the signal is aborted. Reports what keeps offers from arriving, such as a broken interface. */
  readonly offers: (signal: AbortSignal, onProblem: (error: FileSyncError) => void) => AsyncIterable<ServerCandidate>
  /**
   * Connects and verifies the identity; rejects with IDENTITY_CHANGED if the other end is not a paired server. Calls `onOpen` when
   * the other end has accepted the connection, and then limits the time itself.
   */
  readonly dial: (candidate: ServerCandidate, signal: AbortSignal, onOpen: () => void) => Promise<ReachedServer>
  /** Uniform from 0 to 1. */
  readonly random: () => number
  readonly clock: Clock
  readonly signal: AbortSignal
  /** How long to wait for offers, and for connections that the other end has not accepted. */
  readonly timeoutMs: number
}

/** How many of the problems with receiving offers an error message shows. */
export const MAX_PROBLEMS_SHOWN = 3

/**
 * Dials all known and offered addresses in parallel, and resolves with the first server that proves its identity. Offers are
 * dialled at most 8 at a time, in random order. After the timeout it waits only for connections that are open: a server to which
 * many clients come at once answers them one after the other. Then it rejects with what a person can act on: IDENTITY_CHANGED if
 * a known address answers with another identity, otherwise the error of the given address, or why no offers can be received, or
 * SERVER_NOT_FOUND.
 */
export async function raceServers (init: RaceServersInit): Promise<ReachedServer> {
  const race = new ServerRace(init)
  try {
    return await race.run()
  } finally {
    race.stop()
  }
}

class ServerRace {
  readonly #init: RaceServersInit
  readonly #over = new AbortController()
  readonly #signal: AbortSignal
  readonly #tried = new Set<string>()
  readonly #failures: { readonly candidate: ServerCandidate, readonly error: FileSyncError }[] = []
  readonly #problems: FileSyncError[] = []
  readonly #queue: OfferQueue
  #cancelAdvance: () => void = () => { /* nothing is scheduled yet */ }
  #discoveryFailure: FileSyncError | undefined
  #dialling = 0
  /** Dials whose connection the other end has accepted. */
  readonly #open = new Set<object>()
  #isLate = false
  #listening = true
  #isOver = false
  #finish: (reached: ReachedServer | undefined) => void = () => { /* set by run */ }

  constructor (init: RaceServersInit) {
    this.#init = init
    this.#queue = new OfferQueue(init.known, init.random)
    this.#signal = AbortSignal.any([init.signal, this.#over.signal])
  }

  async run (): Promise<ReachedServer> {
    const first = await new Promise<ReachedServer | undefined>((resolve, reject) => {
      this.#finish = reached => {
        this.#isOver = true
        resolve(reached)
      }
      const abort = (): void => {
        this.#isOver = true
        reject(this.#init.signal.reason as Error)
      }
      if (this.#init.signal.aborted) { abort(); return }
      this.#init.signal.addEventListener('abort', abort, { once: true, signal: this.#over.signal })
      const cancel = this.#init.clock.schedule(this.#init.timeoutMs, () => {
        this.#isLate = true
        this.#finishIfDone()
      })
      this.#over.signal.addEventListener('abort', cancel, { once: true })
      for (const candidate of this.#init.known) this.#dial(candidate)
      void this.#listen()
    })
    if (first !== undefined) return first
    throw this.#explain()
  }

  stop (): void {
    this.#cancelAdvance()
    this.#over.abort(new FileSyncError('ABORTED', 'The server was found at another address.'))
  }

  async #listen (): Promise<void> {
    try {
      for await (const candidate of this.#init.offers(this.#signal, error => { this.#problems.push(error) })) {
        if (this.#tried.has(keyOf(candidate))) continue
        this.#tried.add(keyOf(candidate))
        this.#queue.add(candidate)
        this.#advance()
      }
    } catch (error) {
      // The known addresses are still dialled.
      this.#discoveryFailure = asFileSyncError(error, 'DISCOVERY_UNAVAILABLE')
    }
    this.#listening = false
    this.#finishIfDone()
  }

  /** Dials the offers that are ready, and schedules itself for the next one. */
  #advance (): void {
    this.#cancelAdvance()
    if (this.#isOver || this.#isLate) return
    const { clock } = this.#init
    for (;;) {
      const offer = this.#queue.next(clock.monotonicMs())
      if (offer === undefined) break
      this.#dial(offer)
    }
    const inMs = this.#queue.nextInMs(clock.monotonicMs())
    if (inMs !== undefined) this.#cancelAdvance = clock.schedule(inMs, () => { this.#advance() })
  }

  #dial (candidate: ServerCandidate): void {
    this.#tried.add(keyOf(candidate))
    this.#dialling++
    const dial = {}
    // Called again if the connection is made again.
    this.#init.dial(candidate, this.#signal, () => { this.#open.add(dial) }).finally(() => { this.#open.delete(dial) }).then(
      reached => {
        // Two addresses of one server can answer at the same moment; one connection is enough.
        if (this.#isOver) void reached.connection.close(new FileSyncError('ABORTED', 'The server was reached at another address.'))
        else this.#finish(reached)
      },
      (error: unknown) => {
        if (this.#isOver) return
        this.#failures.push({ candidate, error: asFileSyncError(error, 'SERVER_UNREACHABLE') })
        this.#dialling--
        if (candidate.origin === 'offered') this.#queue.dialFailed(candidate)
        // A server that is still starting sends an offer when it is ready.
        else this.#tried.delete(keyOf(candidate))
        this.#advance()
        this.#finishIfDone()
      },
    )
  }

  /** Ends the race if no more offers can arrive and nothing is being dialled, or after the timeout if no connection is open. */
  #finishIfDone (): void {
    if (this.#isLate ? this.#open.size === 0 : !this.#listening && this.#dialling === 0) this.#finish(undefined)
  }

  #explain (): FileSyncError {
    const fromKnown = this.#failures.filter(({ candidate }) => candidate.origin !== 'offered')
    const changed = fromKnown.find(({ error }) => error.code === 'IDENTITY_CHANGED')
    if (changed !== undefined) return changed.error
    const given = this.#init.known.find(({ origin }) => origin === 'given')
    if (given !== undefined) return fromKnown[0]?.error ?? unanswered(given)
    if (this.#discoveryFailure !== undefined) return this.#discoveryFailure
    const problems = this.#problems.slice(0, MAX_PROBLEMS_SHOWN).map(({ message }) => message)
    return new FileSyncError('SERVER_NOT_FOUND', [this.#describeSeen(), ...problems].join(' '))
  }

  #describeSeen (): string {
    const seen = this.#failures.filter(({ candidate }) => candidate.origin === 'offered')
      .map(({ candidate, error }) => `${candidate.address}:${candidate.port} (${UNUSABLE[error.code] ?? error.code})`)
    return seen.length === 0
      ? 'No paired server answered on the local network. Check that it is running and on the same network, ' +
        'or name it with --server HOST:PORT; "filesync-client doctor" searches for the reason.'
      : `No paired server could be used. Seen: ${seen.join(', ')}.`
  }
}

const UNUSABLE: Readonly<Record<string, string>> = {
  IDENTITY_CHANGED: 'has another key',
  SERVER_UNREACHABLE: 'does not accept connections',
  PEER_UNPROVEN: 'is not a FileSync server',
}

function keyOf ({ address, port }: ServerCandidate): string {
  return `${address} ${port}`
}

function unanswered ({ address, port }: ServerCandidate): FileSyncError {
  return new FileSyncError('SERVER_UNREACHABLE', `Nothing answered at ${address}:${port} in time. ` +
    'Check that the server is running and that no firewall blocks the connection.')
}
