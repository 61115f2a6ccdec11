import { backOffMs, encodeDiscover } from '@filesync/protocol'
import type { Clock, DiscoverPurpose, FileSyncError } from '@filesync/protocol'
import type { BusEvent, DatagramBus } from './datagram-bus.ts'
import { readServers, serverQuestion } from './filesync-type.ts'
import { EventQueue } from './event-queue.ts'
import { FaultReport } from './fault-report.ts'
import { freshNonce } from './nonce.ts'
import { CANDIDATES_PER_ROUND, OfferTable } from './offer-table.ts'
import type { FoundServer } from './offer-table.ts'
import { readBus } from './read-bus.ts'

/** The delay before the first question is repeated, in case it was lost. */
const FIRST_DELAY_MS = 250
/** The longest delay between questions; DNS-SD announcements still arrive at once. */
const LONGEST_DELAY_MS = 8_000

/** RFC 6762 section 5.2: the interval between questions by DNS-SD at least doubles, up to an hour. */
const DNS_INTERVAL_MS = { first: 1_000, longest: 3_600_000 }

const WAITING_SERVERS = CANDIDATES_PER_ROUND

export interface FindInit {
  /** Asks from ports of its own. Taken over, and closed at the end. */
  readonly bus: DatagramBus
  /** On the group of RFC 6762, to find servers by DNS-SD too. Owned, and closed at the end. */
  readonly dnsBus?: DatagramBus | undefined
  readonly want: DiscoverPurpose
  /** Id prefixes of paired servers: all but four places of a round are reserved for them. */
  readonly pinned?: readonly string[] | undefined
  readonly randomBytes: (count: number) => Uint8Array
  readonly clock: Clock
  readonly signal: AbortSignal
  /** Called with DISCOVERY_UNAVAILABLE for a link that cannot be used, once per cause. */
  readonly onProblem?: ((error: FileSyncError) => void) | undefined
}

/**
 * Asks for servers over every link, at once and then at increasing intervals, and again when a link comes up. Yields a server
 * when it is first heard, has changed, or is back after a silence; at most 256 between two questions, 4 per address. Anybody can
 * send offers, so callers should connect to a few at a time. Ends when the signal is aborted, or when the reader stops.
 */
export async function * findServers (init: FindInit): AsyncGenerator<FoundServer, void, undefined> {
  const search = new Search(init)
  const stopped = new AbortController()
  const signal = AbortSignal.any([init.signal, stopped.signal])
  const hearing = search.run(signal)
  // Its rejection is handled where it is awaited below.
  hearing.catch(() => { search.found.close() })
  try {
    for (let server = await search.found.next(); server !== undefined; server = await search.found.next()) yield server
  } finally {
    stopped.abort()
    await hearing
  }
}

class Search {
  /** What the reader has not taken yet, up to a bound that no honest network reaches. */
  readonly found: EventQueue<FoundServer> = new EventQueue<FoundServer>(WAITING_SERVERS)
  readonly #init: FindInit
  readonly #table: OfferTable
  readonly #faults: FaultReport
  /** Questions since the last change of the links; determines the back-off. */
  #questions = 0
  #dnsDueMs = 0
  #dnsIntervalMs = DNS_INTERVAL_MS.first
  #cancelAsk: () => void = () => { /* nothing is scheduled yet */ }

  constructor (init: FindInit) {
    this.#init = init
    this.#table = new OfferTable(init.pinned)
    this.#faults = new FaultReport(init.onProblem)
  }

  async run (signal: AbortSignal): Promise<void> {
    const { bus, dnsBus } = this.#init
    try {
      this.#askIn(0)
      await Promise.all([
        readBus(bus, signal, event => { this.#take(event) }),
        dnsBus === undefined ? undefined : readBus(dnsBus, signal, event => { this.#takeDns(event) }),
      ])
    } finally {
      this.#cancelAsk()
      this.found.close()
    }
  }

  #ask (): void {
    const { bus, want, randomBytes } = this.#init
    const nonce = freshNonce(randomBytes)
    this.#table.startRound(nonce)
    const question = encodeDiscover({ v: 2, nonce, want })
    for (const link of bus.links) this.#faults.watch(link, bus.send(question, link))
    this.#askByDns()
    const random = (randomBytes(1)[0] ?? 0) / 256
    this.#askIn(backOffMs(++this.#questions, { firstMs: FIRST_DELAY_MS, maxMs: LONGEST_DELAY_MS }, random))
  }

  #askByDns (): void {
    const { dnsBus, clock } = this.#init
    const nowMs = clock.monotonicMs()
    if (dnsBus === undefined || nowMs < this.#dnsDueMs) return
    this.#dnsDueMs = nowMs + this.#dnsIntervalMs
    this.#dnsIntervalMs = Math.min(2 * this.#dnsIntervalMs, DNS_INTERVAL_MS.longest)
    for (const link of dnsBus.links) this.#faults.watch(link, dnsBus.send(serverQuestion(), link))
  }

  #askIn (delayMs: number): void {
    this.#cancelAsk()
    this.#cancelAsk = this.#init.clock.schedule(delayMs, () => { this.#ask() })
  }

  #askAgain (): void {
    this.#questions = 0
    this.#dnsDueMs = 0
    this.#dnsIntervalMs = DNS_INTERVAL_MS.first
    // Not within this turn: several links that come up together are asked together.
    this.#askIn(0)
  }

  #take (event: BusEvent): void {
    this.#faults.note(event)
    if (event.kind === 'up') this.#askAgain()
    if (event.kind === 'down') this.#table.forgetInterface(event.link.interfaceName)
    if (event.kind === 'datagram') this.#yield(this.#table.hear(event))
  }

  #takeDns (event: BusEvent): void {
    this.#faults.note(event)
    if (event.kind === 'up') this.#askAgain()
    if (event.kind !== 'datagram') return
    for (const service of readServers(event)) {
      if (service.gone) this.#table.forget(service.server)
      else this.#yield(this.#table.admit(service.server))
    }
  }

  #yield (server: FoundServer | undefined): void {
    // What had no room is news again when it is next heard.
    if (server !== undefined && !this.found.offer(server)) this.#table.forget(server)
  }
}
