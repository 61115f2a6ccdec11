import type { DnsMessage, DnsQuestion, DnsRecord } from './dns-message.ts'
import { nameKey } from './domain-name.ts'
import type { ServiceEvent } from './find-services.ts'
import { readService, serviceText } from './found.ts'
import type { Place, Service } from './found.ts'
import { RecordCache, remainingSeconds } from './record-cache.ts'

/** RFC 6762 section 5.2: the first question after 20 to 120 ms, then after a second, and each time twice as long, up to an hour. */
const FIRST_QUESTION_MS = { min: 20, spread: 100 }
const SECOND_QUESTION_MS = 1_000
const LONGEST_INTERVAL_MS = 3_600_000
/** How often a record that is missing is asked for before the service is given up until it is listed again. */
const MAX_QUESTIONS = 5
/** From then on a service without TXT counts as one with an empty one. */
const PATIENT_QUESTIONS = 2
/** How long questions for what is missing are gathered: one announcement may be several messages. */
const GATHER_MS = 20
/** Questions or known answers in one message: each has at most 78 bytes, and 1,472 fit into a packet of Ethernet. */
const ITEMS_A_MESSAGE = 18
const ORDER: readonly DnsRecord['type'][] = ['PTR', 'SRV', 'TXT', 'A', 'AAAA']

interface Asking {
  questions: number
  dueMs: number
}

interface Reported {
  readonly instance: string
  readonly service: Service
  readonly text: string
}

/** The services of one type on one interface: what is cached, what is asked, and what the reader knows. */
export class InterfaceBrowser {
  readonly #place: Place
  readonly #random: () => number
  readonly #cache: RecordCache
  /** Instances that lack a record. */
  readonly #asking = new Map<string, Asking>()
  readonly #reported = new Map<string, Reported>()
  /** Instances that may differ from what was reported. */
  readonly #dirty = new Set<string>()
  #askMs = Infinity
  #intervalMs = SECOND_QUESTION_MS
  #isCleared = false

  constructor ({ place, random, nowMs }: { readonly place: Place, readonly random: () => number, readonly nowMs: number }) {
    this.#place = place
    this.#random = random
    this.#cache = new RecordCache(random)
    this.askSoon(nowMs)
  }

  /** Whether the interface is down and all that was found there was reported as gone. */
  get isDone (): boolean {
    return this.#isCleared && this.#reported.size === 0
  }

  get #type (): string {
    return `${this.#place.type}.local`
  }

  /** A link of the interface came up: starts to ask from the beginning. */
  askSoon (nowMs: number): void {
    this.#isCleared = false
    this.#askMs = nowMs + FIRST_QUESTION_MS.min + FIRST_QUESTION_MS.spread * this.#random()
    this.#intervalMs = SECOND_QUESTION_MS
  }

  /** The interface went down. */
  clear (): void {
    this.#isCleared = true
    this.#askMs = Infinity
    this.#cache.expire(Infinity)
    this.#asking.clear()
    for (const { instance } of this.#reported.values()) this.#dirty.add(instance)
  }

  /** Takes a response. Keeps what belongs to services of this type; the rest is of no use here. */
  hear (message: DnsMessage, nowMs: number): void {
    const records = [...message.answers, ...message.additionals ?? []]
    for (const type of ORDER) {
      const found = records.filter(record => record.type === type)
      if (found.length === 0) continue
      const wanted = this.#wanted(type)
      for (const record of found) {
        const instances = wanted.get(nameKey(record.name))
        if (instances === undefined) continue
        this.#keep(record, nowMs)
        for (const instance of record.type === 'PTR' ? [record.target] : instances) this.#check(instance, nowMs)
      }
    }
  }

  /** Does what is due, and returns the messages to send. */
  work (nowMs: number): DnsMessage[] {
    const gone = this.#cache.expire(nowMs)
    if (gone.length > 0) {
      for (const { instance } of this.#reported.values()) this.#dirty.add(instance)
      for (const record of gone) this.#forget(record)
      for (const instance of this.#instances()) this.#check(instance, nowMs)
    }
    const questions = new Map<string, DnsQuestion>()
    const ask = ({ name, type }: DnsQuestion): void => { questions.set(`${type} ${nameKey(name)}`, { name, type }) }
    if (nowMs >= this.#askMs) {
      ask({ name: this.#type, type: 'PTR' })
      this.#askMs = nowMs + this.#intervalMs
      this.#intervalMs = Math.min(2 * this.#intervalMs, LONGEST_INTERVAL_MS)
    }
    for (const record of this.#cache.due(nowMs)) ask(record)
    for (const question of this.#missing(nowMs)) ask(question)
    return questions.size === 0 ? [] : this.#query([...questions.values()], nowMs)
  }

  /** When there is something to do next. */
  nextMs (nowMs: number): number {
    const asking = [...this.#asking.values()].filter(({ questions }) => questions < MAX_QUESTIONS).map(({ dueMs }) => dueMs)
    return Math.max(nowMs, Math.min(this.#askMs, this.#cache.nextMs(), ...asking))
  }

  /** The next difference between what was reported and what is. */
  nextChange (): ServiceEvent | undefined {
    for (const instance of this.#dirty) {
      this.#dirty.delete(instance)
      const key = nameKey(instance)
      const reported = this.#reported.get(key)
      const service = this.#read(instance)
      if (service === undefined) {
        this.#reported.delete(key)
        if (reported !== undefined) return { kind: 'gone', service: reported.service }
        continue
      }
      const text = serviceText(service)
      if (text === reported?.text) continue
      this.#reported.set(key, { instance, service, text })
      return { kind: reported === undefined ? 'up' : 'changed', service }
    }
    return undefined
  }

  /** The names whose records of a type are of use, as keys, with the instances that they belong to. */
  #wanted (type: DnsRecord['type']): ReadonlyMap<string, readonly string[]> {
    if (type === 'PTR') return new Map([[nameKey(this.#type), []]])
    const instances = this.#instances()
    if (type === 'SRV' || type === 'TXT') return new Map(instances.map(instance => [nameKey(instance), [instance]]))
    const wanted = new Map<string, string[]>()
    for (const instance of instances) {
      for (const { record } of this.#cache.get(instance, 'SRV')) {
        if (record.type === 'SRV') wanted.set(nameKey(record.target), [...wanted.get(nameKey(record.target)) ?? [], instance])
      }
    }
    return wanted
  }

  #keep (record: DnsRecord, nowMs: number): void {
    if (record.type === 'PTR' && (this.#asking.get(nameKey(record.target))?.questions ?? 0) >= MAX_QUESTIONS) {
      this.#asking.delete(nameKey(record.target))
    }
    if (this.#cache.put(record, nowMs)) return
    // Listings that never resolve make room, so that invented ones cannot keep out a real one.
    const isFull = record.type === 'PTR' && record.ttlSeconds > 0
    const invented = isFull ? this.#cache.get(this.#type, 'PTR').findLast(cached => this.#isUnresolved(cached.record)) : undefined
    if (invented === undefined) return
    this.#cache.remove(invented.record)
    this.#forget(invented.record)
    this.#cache.put(record, nowMs)
  }

  /** An instance is no longer listed: nothing is asked about it, and it matters only if it was reported. */
  #forget (record: DnsRecord): void {
    if (record.type !== 'PTR') return
    this.#asking.delete(nameKey(record.target))
    if (!this.#reported.has(nameKey(record.target))) this.#dirty.delete(record.target)
  }

  #isUnresolved (record: DnsRecord): boolean {
    return record.type === 'PTR' && !this.#cache.has(record.target, 'SRV')
  }

  /** Names of the instances that are listed. */
  #instances (): string[] {
    return this.#cache.get(this.#type, 'PTR').flatMap(({ record }) => record.type === 'PTR' ? [record.target] : [])
  }

  #read (instance: string): Service | undefined {
    const isPatient = (this.#asking.get(nameKey(instance))?.questions ?? 0) < PATIENT_QUESTIONS
    const found = readService(instance, this.#cache, { place: this.#place, isPatient })
    return found === undefined || 'missing' in found ? undefined : found
  }

  /** Notes what may have changed of an instance, and what is missing. */
  #check (instance: string, nowMs: number): void {
    const found = readService(instance, this.#cache, { place: this.#place, isPatient: true })
    if (found !== undefined || this.#reported.has(nameKey(instance))) this.#dirty.add(instance)
    const key = nameKey(instance)
    if (found === undefined || !('missing' in found)) this.#asking.delete(key)
    else if (!this.#asking.has(key)) this.#asking.set(key, { questions: 0, dueMs: nowMs + GATHER_MS })
  }

  #missing (nowMs: number): DnsQuestion[] {
    return this.#instances().flatMap(instance => {
      const asking = this.#asking.get(nameKey(instance))
      if (asking === undefined || asking.dueMs > nowMs || asking.questions >= MAX_QUESTIONS) return []
      const found = readService(instance, this.#cache, { place: this.#place, isPatient: true })
      asking.dueMs = nowMs + SECOND_QUESTION_MS * 2 ** asking.questions++
      // From some question on, one without TXT counts.
      this.#dirty.add(instance)
      return found !== undefined && 'missing' in found ? found.missing : []
    })
  }

  /** Questions with what is known already (RFC 6762 section 7.1), in as many messages as it takes (section 7.2). */
  #query (questions: readonly DnsQuestion[], nowMs: number): DnsMessage[] {
    const isListing = ({ name, type }: DnsQuestion): boolean => type === 'PTR' && nameKey(name) === nameKey(this.#type)
    const messages: DnsMessage[] = chunks(questions.filter(question => !isListing(question)))
      .map(some => ({ kind: 'query', questions: some, answers: [] }))
    const listing = questions.find(isListing)
    if (listing === undefined) return messages
    const known = this.#cache.get(this.#type, 'PTR').flatMap(cached => {
      const ttlSeconds = remainingSeconds(cached, nowMs)
      return ttlSeconds === undefined ? [] : [{ ...cached.record, ttlSeconds, flush: false }]
    })
    const lists = known.length === 0 ? [[]] : chunks(known)
    return [...messages, ...lists.map((answers, index): DnsMessage => ({
      kind: 'query', questions: index === 0 ? [listing] : [], answers, isTruncated: index < lists.length - 1,
    }))]
  }
}

function chunks <T>(items: readonly T[]): T[][] {
  return Array.from({ length: Math.ceil(items.length / ITEMS_A_MESSAGE) }, (_, at) =>
    items.slice(at * ITEMS_A_MESSAGE, (at + 1) * ITEMS_A_MESSAGE))
}
