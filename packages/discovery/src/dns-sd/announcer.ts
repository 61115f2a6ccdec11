import type { Clock, FileSyncError } from '@filesync/protocol'
import { isOnLink, sameAddress } from '../address.ts'
import type { BusEvent, DatagramBus } from '../datagram-bus.ts'
import { FaultReport } from '../fault-report.ts'
import { linkKey } from '../link.ts'
import type { Link } from '../link.ts'
import { readBus } from '../read-bus.ts'
import type { Heard } from '../reply-policy.ts'
import { decodeMessage, encodeMessage } from './dns-message.ts'
import type { DnsMessage, DnsRecord } from './dns-message.ts'
import { nameKey } from './domain-name.ts'
import { LinkAnnouncer } from './link-announcer.ts'
import { sameRecord, serviceRecords } from './service-records.ts'
import type { AnnouncedService } from './service-records.ts'
import { nextHost, nextName } from './service-type.ts'

/** RFC 6762 section 8.1: after this many conflicts in a row, five seconds are waited before the next name is tried. */
const CONFLICTS_BEFORE_PAUSE = 15
const CONFLICT_PAUSE_MS = 5_000

export interface AnnounceServiceInit {
  /** On the group of RFC 6762, or another one. Owned, and closed at the end. */
  readonly bus: DatagramBus
  /** The port of the group: what comes from another one is not answered, because the answer would be unicast. */
  readonly groupPort: number
  /** With the name and host that are tried first, and the properties as of now. */
  readonly service: () => AnnouncedService
  /** False for a name that nobody else can have; then it is announced at once. */
  readonly probes: boolean
  readonly clock: Clock
  /** From 0 up to 1. */
  readonly random: () => number
  /** Ends the announcement, after a goodbye. */
  readonly signal: AbortSignal
  /** Called with DISCOVERY_UNAVAILABLE for a link that cannot be used, once per cause. */
  readonly onProblem?: ((error: FileSyncError) => void) | undefined
  /** Called when another service has the name already, with the one that is used instead. */
  readonly onRename?: ((name: string) => void) | undefined
}

/** A service on all links of a bus. Renames it if another one has its name (RFC 6762 section 9). */
export class ServiceAnnouncer {
  readonly #init: AnnounceServiceInit
  readonly #faults: FaultReport
  readonly #links = new Map<string, LinkAnnouncer>()
  readonly #own = new Map<string, Link>()
  #name: string | undefined
  #host: string | undefined
  #conflicts = 0
  #onSettled: (() => void)[] = []

  constructor (init: AnnounceServiceInit) {
    this.#init = init
    this.#faults = new FaultReport(init.onProblem)
  }

  /** The name, which differs from the one asked for after a conflict. */
  get name (): string {
    return this.#name ?? this.#init.service().name
  }

  /** Announces until the signal is aborted, then says goodbye. */
  async run (): Promise<void> {
    const { bus, signal } = this.#init
    const ended = new AbortController()
    const sayGoodbye = (): void => { void this.#sayGoodbye().then(() => { ended.abort() }) }
    if (signal.aborted) sayGoodbye()
    else signal.addEventListener('abort', sayGoodbye, { once: true })
    try {
      await readBus(bus, ended.signal, event => { this.#take(event) })
    } finally {
      signal.removeEventListener('abort', sayGoodbye)
      for (const announcer of this.#links.values()) announcer.stop()
      this.#links.clear()
      this.#settle()
    }
  }

  /** Resolves when the name is claimed on every link that is up; at once if none is. */
  async settled (): Promise<void> {
    while (this.#init.bus.links.some(link => this.#links.get(linkKey(link))?.isAnnounced !== true)) {
      await new Promise<void>(resolve => { this.#onSettled.push(resolve) })
    }
  }

  /** The properties have changed. */
  changed (): void {
    for (const announcer of this.#links.values()) announcer.announceAgain()
  }

  async #sayGoodbye (): Promise<void> {
    await Promise.allSettled([...this.#links].map(async ([key, announcer]) => {
      const message = announcer.goodbye()
      announcer.stop()
      const link = this.#own.get(key)
      if (message !== undefined && link !== undefined) await this.#init.bus.send(encodeMessage(message), link)
    }))
  }

  #take (event: BusEvent): void {
    this.#faults.note(event)
    if (event.kind === 'up') this.#use(event.link)
    if (event.kind === 'down') {
      this.#links.get(linkKey(event.link))?.stop()
      this.#links.delete(linkKey(event.link))
      this.#own.delete(linkKey(event.link))
      this.#settle()
    }
    if (event.kind === 'datagram') this.#hear(event)
  }

  #use (link: Link): void {
    const { bus, clock, random, probes } = this.#init
    const announcer = new LinkAnnouncer({
      link,
      clock,
      random,
      probes,
      records: () => serviceRecords(this.#service(), link, [...this.#own.values()]),
      send: message => { this.#faults.watch(link, bus.send(encodeMessage(message), link)) },
      onAnnounced: () => { this.#settle() },
    })
    this.#links.set(linkKey(link), announcer)
    this.#own.set(linkKey(link), link)
    announcer.start()
  }

  #service (): AnnouncedService {
    const service = this.#init.service()
    return { ...service, name: this.#name ?? service.name, host: this.#host ?? service.host }
  }

  #settle (): void {
    for (const resolve of this.#onSettled.splice(0)) resolve()
  }

  #hear (heard: Heard): void {
    const { link, source } = heard
    if (source.port !== this.#init.groupPort || !isOnLink(source.address, link)) return
    const announcer = this.#links.get(linkKey(link))
    const message = decodeMessage(heard.bytes)
    if (announcer === undefined || message === undefined) return
    if (message.kind === 'query') announcer.hearQuery(message)
    else if (this.#init.probes) this.#checkConflict(message, heard, announcer)
  }

  /**
   * Another service with this name or host. What is announced already is probed for again first (RFC 6762 section 9): then
   * the one that answers has the name. Two services differ in SRV, so a change of our own properties is not taken for a conflict.
   */
  #checkConflict (message: DnsMessage, { link, source }: Heard, announcer: LinkAnnouncer): void {
    const { own: [srv], addresses } = serviceRecords(this.#service(), link, [...this.#own.values()])
    const claims = [...message.answers, ...message.additionals ?? []].filter(({ ttlSeconds }) => ttlSeconds > 0)
    const isNameTaken = claims.some(record => record.type === 'SRV' && nameKey(record.name) === nameKey(srv.name) &&
      !sameRecord(record, srv))
    const isOwn = (text: string): boolean => [...this.#own.values()].some(({ address }) => sameAddress(address, text))
    // Our own packets come back, on every interface of one segment.
    const isHostTaken = !isOwn(source.address) && claims.some(record => isAddress(record) && !isOwn(record.address) &&
      addresses.some(({ name }) => nameKey(name) === nameKey(record.name)))
    if (!isNameTaken && !isHostTaken) return
    if (announcer.isAnnounced) {
      announcer.start()
      return
    }
    this.#rename(isNameTaken, isHostTaken)
  }

  #rename (isNameTaken: boolean, isHostTaken: boolean): void {
    const { name, host } = this.#service()
    if (isNameTaken) this.#name = nextName(name)
    if (isHostTaken) this.#host = nextHost(host)
    this.#conflicts++
    if (isNameTaken) this.#init.onRename?.(this.name)
    const delayMs = this.#conflicts % CONFLICTS_BEFORE_PAUSE === 0 ? CONFLICT_PAUSE_MS : 0
    for (const announcer of this.#links.values()) announcer.start(delayMs)
  }
}

function isAddress (record: DnsRecord): record is DnsRecord & { readonly type: 'A' | 'AAAA' } {
  return record.type === 'A' || record.type === 'AAAA'
}
