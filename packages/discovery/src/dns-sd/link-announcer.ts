import type { Clock } from '@filesync/protocol'
import type { Link } from '../link.ts'
import type { DnsMessage, DnsRecord } from './dns-message.ts'
import { nameKey } from './domain-name.ts'
import { compareProposals, recordKey, sameRecord } from './service-records.ts'
import type { ServiceRecords } from './service-records.ts'
import { TYPES_NAME } from './service-type.ts'

/** RFC 6762 section 8.1: three probes, a quarter of a second apart, after a random delay of up to as long. */
const PROBES = 3
const PROBE_INTERVAL_MS = 250
/** RFC 6762 section 8.2: how long the loser of two simultaneous probes waits. */
const LOST_PROBE_MS = 1_000
/** RFC 6762 sections 6 and 8.3: no record is multicast twice within a second; announcements are repeated once. */
const REPEAT_MS = 1_000
/** RFC 6762 section 6: an answer to a question that others may answer too is delayed, to be sent together with others. */
const SHARED_DELAY_MS = { min: 20, spread: 100 }
/** RFC 6762 section 7.2: more known answers may follow a truncated question. */
const TRUNCATED_DELAY_MS = { min: 400, spread: 100 }

export interface LinkAnnouncerInit {
  readonly link: Link
  readonly clock: Clock
  /** From 0 up to 1. */
  readonly random: () => number
  readonly probes: boolean
  /** The records as of now. */
  readonly records: () => ServiceRecords
  readonly send: (message: DnsMessage) => void
  /** Called when the name belongs to this service on this link. */
  readonly onAnnounced: () => void
}

/** An answer that is about to be sent. */
interface Pending {
  readonly answers: Map<string, DnsRecord>
  cancel: () => void
}

/** One service on one link: probes for its names, announces it, and answers questions (RFC 6762 sections 6 to 8). */
export class LinkAnnouncer {
  readonly #init: LinkAnnouncerInit
  readonly #lastSentMs = new Map<string, number>()
  #cancelStep: () => void = () => { /* nothing is scheduled yet */ }
  #pending: Pending | undefined
  #isAnnounced = false

  constructor (init: LinkAnnouncerInit) {
    this.#init = init
  }

  /** Whether the names were claimed. */
  get isAnnounced (): boolean {
    return this.#isAnnounced
  }

  /** Claims the names, again if they were claimed before. */
  start (delayMs = 0): void {
    this.stop()
    this.#isAnnounced = false
    if (!this.#init.probes) this.#announce(2)
    else this.#stepIn(delayMs + this.#init.random() * PROBE_INTERVAL_MS, () => { this.#probe(PROBES) })
  }

  /** Sends nothing more. */
  stop (): void {
    this.#cancelStep()
    this.#pending?.cancel()
    this.#pending = undefined
  }

  /** A property has changed: announces the records again (RFC 6762 section 8.4). */
  announceAgain (): void {
    if (this.#isAnnounced) this.#announce(2)
  }

  /** A message that withdraws the records (RFC 6762 section 10.1); undefined if none was announced. */
  goodbye (): DnsMessage | undefined {
    if (!this.#isAnnounced) return undefined
    const { listing, own, addresses } = this.#init.records()
    const answers = [listing, ...own, ...addresses].map(record => ({ ...record, ttlSeconds: 0 }))
    return { kind: 'response', questions: [], answers }
  }

  /** Takes a query that was heard on this link. */
  hearQuery (query: DnsMessage): void {
    const proposed = query.authorities ?? []
    if (!this.#isAnnounced) {
      this.#compareProbes(proposed)
      return
    }
    const isProbe = proposed.length > 0
    const wanted = query.questions.flatMap(({ name, type }) => this.#matching(name, type))
    // A list of known answers without a question continues one (RFC 6762 section 7.2).
    for (const known of query.answers) this.#forget(known)
    const answers = wanted.filter(record => !isKnown(record, query.answers))
    if (answers.length > 0) this.#answer(answers, { isProbe, isTruncated: query.isTruncated === true })
  }

  #stepIn (delayMs: number, step: () => void): void {
    this.#cancelStep()
    this.#cancelStep = this.#init.clock.schedule(delayMs, step)
  }

  #probe (left: number): void {
    if (left === 0) {
      this.#announce(2)
      return
    }
    const { own: [srv, txt], addresses } = this.#init.records()
    const names = new Set([srv, ...addresses].map(({ name }) => name))
    const questions = [...names].map(name => ({ name, type: 'ANY' }))
    this.#init.send({ kind: 'query', questions, answers: [], authorities: [srv, txt, ...addresses] })
    this.#stepIn(PROBE_INTERVAL_MS, () => { this.#probe(left - 1) })
  }

  #announce (times: number): void {
    const { listing, own, addresses } = this.#init.records()
    const isFirst = !this.#isAnnounced
    this.#isAnnounced = true
    this.#sendAnswers([listing, ...own, ...addresses])
    if (times > 1) this.#stepIn(REPEAT_MS, () => { this.#announce(times - 1) })
    if (isFirst) this.#init.onAnnounced()
  }

  #sendAnswers (answers: readonly DnsRecord[], additionals: readonly DnsRecord[] = []): void {
    const nowMs = this.#init.clock.monotonicMs()
    for (const record of answers) this.#lastSentMs.set(recordKey(record), nowMs)
    this.#init.send({ kind: 'response', questions: [], answers, additionals })
  }

  /** Another program probes for the same name at the same time: the greater proposal wins. */
  #compareProbes (proposed: readonly DnsRecord[]): void {
    const { own: [srv, txt] } = this.#init.records()
    const theirs = proposed.filter(({ name }) => nameKey(name) === nameKey(srv.name))
    if (theirs.length > 0 && compareProposals([srv, txt], theirs) < 0) this.start(LOST_PROBE_MS)
  }

  #matching (name: string, type: string): DnsRecord[] {
    const { listing, types, own, addresses } = this.#init.records()
    return [listing, types, ...own, ...addresses]
      .filter(record => nameKey(record.name) === nameKey(name) && (type === record.type || type === 'ANY'))
  }

  #answer (answers: readonly DnsRecord[], { isProbe, isTruncated }: { readonly isProbe: boolean, readonly isTruncated: boolean }): void {
    const { clock, random } = this.#init
    const nowMs = clock.monotonicMs()
    const minMs = isProbe ? PROBE_INTERVAL_MS : REPEAT_MS
    const fresh = answers.filter(record => nowMs - (this.#lastSentMs.get(recordKey(record)) ?? -Infinity) >= minMs)
    if (fresh.length === 0) return
    const pending = this.#pending ?? { answers: new Map<string, DnsRecord>(), cancel: () => { /* set below */ } }
    for (const record of fresh) pending.answers.set(recordKey(record), record)
    if (this.#pending !== undefined && !isProbe) return
    this.#pending?.cancel()
    this.#pending = pending
    const isUnique = fresh.every(({ flush }) => flush)
    const delay = isTruncated ? TRUNCATED_DELAY_MS : isUnique || isProbe ? { min: 0, spread: 0 } : SHARED_DELAY_MS
    pending.cancel = clock.schedule(delay.min + delay.spread * random(), () => { this.#flush() })
  }

  #flush (): void {
    const answers = [...this.#pending?.answers.values() ?? []]
    this.#pending = undefined
    if (answers.length === 0) return
    const { listing, own, addresses } = this.#init.records()
    // What the asker needs next (RFC 6763 section 12).
    const related = answers.some(({ type, name }) => type === 'PTR' && name !== TYPES_NAME && name === listing.name)
      ? [...own, ...addresses]
      : answers.some(({ type }) => type === 'SRV') ? addresses : []
    this.#sendAnswers(answers, related.filter(record => !answers.some(answer => sameRecord(answer, record))))
  }

  #forget (known: DnsRecord): void {
    for (const [key, record] of this.#pending?.answers ?? []) {
      if (isKnown(record, [known])) this.#pending?.answers.delete(key)
    }
  }
}

/** RFC 6762 section 7.1: the asker has the answer, with at least half of its time to live. */
function isKnown (record: DnsRecord, known: readonly DnsRecord[]): boolean {
  return known.some(other => sameRecord(record, other) && other.ttlSeconds >= record.ttlSeconds / 2)
}
