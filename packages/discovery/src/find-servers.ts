import { backOffMs, encodeDiscover } from '@filesync/protocol'
import type { Clock, DiscoverPurpose, FileSyncError } from '@filesync/protocol'
import type { BusEvent, DatagramBus } from './datagram-bus.ts'
import { readService, SERVICE_QUESTION } from './dns-sd.ts'
import type { DnsCodec } from './dns-sd.ts'
import { EventQueue } from './event-queue.ts'
import { FaultReport } from './fault-report.ts'
import { freshNonce } from './nonce.ts'
import { CANDIDATES_PER_ROUND, OfferTable } from './offer-table.ts'
import type { FoundServer } from './offer-table.ts'
import { readBus } from './read-bus.ts'

/** The first question is repeated after this, in case it was lost. */
const FIRST_DELAY_MS = 250
/** A client that has looked for long asks this seldom; DNS-SD announcements still reach it at once. */
const LONGEST_DELAY_MS = 8_000

const WAITING_SERVERS = CANDIDATES_PER_ROUND

/** The second way to be found. */
export interface DnsSdInit {
  /** On the group of RFC 6762. Taken over, and closed at the end. */
  readonly bus: DatagramBus
  readonly codec: DnsCodec
}

export interface FindInit {
  /** Asks from ports of its own. Taken over, and closed at the end. */
  readonly bus: DatagramBus
  readonly dnsSd?: DnsSdInit | undefined
  readonly want: DiscoverPurpose
  /** Id prefixes of servers that the client is paired with: all but four places of a round are theirs, whatever others answer. */
  readonly pinned?: readonly string[] | undefined
  readonly randomBytes: (count: number) => Uint8Array
  readonly clock: Clock
  readonly signal: AbortSignal
  /** A link that cannot be used: DISCOVERY_UNAVAILABLE. Told once for each cause. */
  readonly onProblem?: ((error: FileSyncError) => void) | undefined
}

/**
 * Asks for servers over every link, at once and then less and less often, and anew whenever a link comes up. Yields each
 * server when it is first heard, changed, or is back after a silence; at most 256 between two questions, 4 of each address. Anybody
 * can send offers, so who follows them does that a few at a time. Ends when the signal is aborted, or when the reader stops.
 */
export async function * findServers (init: FindInit): AsyncGenerator<FoundServer, void, undefined> {
  const search = new Search(init)
  const stopped = new AbortController()
  const signal = AbortSignal.any([init.signal, stopped.signal])
  const hearing = search.run(signal)
  // The rejection is seen below, where the hearing is awaited.
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
  /** Since there was last a reason to hope. */
  #questions = 0
  #cancelAsk: () => void = () => { /* nothing is scheduled yet */ }

  constructor (init: FindInit) {
    this.#init = init
    this.#table = new OfferTable(init.pinned)
    this.#faults = new FaultReport(init.onProblem)
  }

  async run (signal: AbortSignal): Promise<void> {
    const { bus, dnsSd } = this.#init
    try {
      this.#askIn(0)
      await Promise.all([
        readBus(bus, signal, event => { this.#take(event) }),
        dnsSd === undefined ? undefined : readBus(dnsSd.bus, signal, event => { this.#takeDns(event, dnsSd.codec) }),
      ])
    } finally {
      this.#cancelAsk()
      this.found.close()
    }
  }

  #ask (): void {
    const { bus, dnsSd, want, randomBytes } = this.#init
    const nonce = freshNonce(randomBytes)
    this.#table.startRound(nonce)
    const question = encodeDiscover({ v: 2, nonce, want })
    for (const link of bus.links) this.#faults.watch(link, bus.send(question, link))
    if (dnsSd !== undefined) {
      const query = dnsSd.codec.encode({ kind: 'query', questions: [SERVICE_QUESTION], answers: [] })
      for (const link of dnsSd.bus.links) this.#faults.watch(link, dnsSd.bus.send(query, link))
    }
    const random = (randomBytes(1)[0] ?? 0) / 256
    this.#askIn(backOffMs(++this.#questions, { firstMs: FIRST_DELAY_MS, maxMs: LONGEST_DELAY_MS }, random))
  }

  #askIn (delayMs: number): void {
    this.#cancelAsk()
    this.#cancelAsk = this.#init.clock.schedule(delayMs, () => { this.#ask() })
  }

  #askAnew (): void {
    this.#questions = 0
    // Not within this turn: several links that come up together are asked together.
    this.#askIn(0)
  }

  #take (event: BusEvent): void {
    this.#faults.note(event)
    if (event.kind === 'up') this.#askAnew()
    if (event.kind === 'down') this.#table.forgetInterface(event.link.interfaceName)
    if (event.kind === 'datagram') this.#yield(this.#table.hear(event))
  }

  #takeDns (event: BusEvent, codec: DnsCodec): void {
    this.#faults.note(event)
    if (event.kind === 'up') this.#askAnew()
    if (event.kind !== 'datagram') return
    for (const service of readService(event, codec)) {
      if (service.gone) this.#table.forget(service.server)
      else this.#yield(this.#table.admit(service.server))
    }
  }

  #yield (server: FoundServer | undefined): void {
    // What had no room is news again when it is next heard.
    if (server !== undefined && !this.found.offer(server)) this.#table.forget(server)
  }
}
