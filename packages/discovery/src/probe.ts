import { asFileSyncError, decodeDiscover, encodeDiscover, isFileSyncError } from '@filesync/protocol'
import type { FileSyncError } from '@filesync/protocol'
import type { BusEvent, DatagramBus } from './datagram-bus.ts'
import { readServers, serverQuestion } from './filesync-type.ts'
import { linkKey } from './link.ts'
import type { Link } from './link.ts'
import { freshNonce } from './nonce.ts'
import { OfferTable } from './offer-table.ts'
import type { FoundServer } from './offer-table.ts'
import { readBus } from './read-bus.ts'

/** Of a round: a person reads them. */
const SHOWN_SERVERS = 8

export interface ProbeInit {
  readonly ask: DatagramBus
  readonly listen: DatagramBus
  readonly dnsBus: DatagramBus
  readonly randomBytes: (count: number) => Uint8Array
}

/** Asks, and notes what comes of it: on which links the question is heard, who answers, and what fails. */
export class Probe {
  readonly #init: ProbeInit
  readonly #table = new OfferTable([], SHOWN_SERVERS)
  readonly #services = new Map<string, FoundServer>()
  readonly #nonces = new Set<string>()
  /** Links that cannot be listened on or asked over. */
  readonly faults: FileSyncError[] = []
  /** Links that DISCOVER cannot leave over; the errors, and the keys. */
  readonly sendFaults: FileSyncError[] = []
  readonly failing: Set<string> = new Set<string>()
  /** Keys of the links that a question of ours was heard on. */
  readonly heardOn: Set<string> = new Set<string>()
  readonly offers: FoundServer[] = []
  /** Links that DNS-SD cannot be used over. */
  readonly dnsFaults: FileSyncError[] = []

  constructor (init: ProbeInit) {
    this.#init = init
  }

  /** The links that a server on this machine would be found over. */
  get links (): readonly Link[] {
    return this.#init.listen.links
  }

  /** Servers announced by DNS-SD. */
  get services (): readonly FoundServer[] {
    return [...this.#services.values()]
  }

  /** Hears until the signal is aborted. */
  async run (signal: AbortSignal): Promise<void> {
    const { ask, listen, dnsBus } = this.#init
    await Promise.all([
      readBus(ask, signal, event => { this.#hearOffer(event) }),
      readBus(listen, signal, event => { this.#hearQuestion(event) }),
      readBus(dnsBus, signal, event => { this.#hearService(event) }),
    ])
  }

  /** Sends one question of each kind over every link. */
  ask (): void {
    const { ask, dnsBus, randomBytes } = this.#init
    const nonce = freshNonce(randomBytes)
    this.#nonces.add(nonce)
    this.#table.startRound(nonce)
    const question = encodeDiscover({ v: 2, nonce, want: 'sync' })
    for (const link of ask.links) ask.send(question, link).catch((error: unknown) => { this.#noteFailure(link, error) })
    for (const link of dnsBus.links) {
      dnsBus.send(serverQuestion(), link)
        .catch((error: unknown) => { note(this.dnsFaults, asFileSyncError(error, 'DISCOVERY_UNAVAILABLE')) })
    }
  }

  #noteFailure (link: Link, error: unknown): void {
    if (this.failing.has(linkKey(link))) return
    this.failing.add(linkKey(link))
    this.sendFaults.push(asFileSyncError(error, 'DISCOVERY_UNAVAILABLE'))
  }

  #hearOffer (event: BusEvent): void {
    if (event.kind === 'fault') note(this.faults, event.error)
    if (event.kind !== 'datagram') return
    const server = this.#table.hear(event)
    if (server !== undefined) this.offers.push(server)
  }

  #hearQuestion (event: BusEvent): void {
    if (event.kind === 'fault') note(this.faults, event.error)
    if (event.kind !== 'datagram') return
    try {
      const question = decodeDiscover(event.bytes)
      if (question.v === 2 && this.#nonces.has(question.nonce)) this.heardOn.add(linkKey(event.link))
    } catch (error) {
      if (!isFileSyncError(error)) throw error
    }
  }

  #hearService (event: BusEvent): void {
    if (event.kind === 'fault') note(this.dnsFaults, event.error)
    if (event.kind !== 'datagram') return
    for (const { server, gone } of readServers(event)) {
      const key = `${server.idPrefix} ${server.address} ${server.port}`
      if (gone) this.#services.delete(key)
      else if (this.#services.size < 64) this.#services.set(key, server)
    }
  }
}

/** Two buses on one link fail in the same way, which is recorded once. */
function note (faults: FileSyncError[], error: FileSyncError): void {
  if (!faults.some(known => known.message === error.message)) faults.push(error)
}
