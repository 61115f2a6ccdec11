import { recordData } from './dns-message.ts'
import type { DnsRecord } from './dns-message.ts'
import { nameKey } from './domain-name.ts'

/** A record that goes away is kept for a second, in which its owner may repeat it (RFC 6762 sections 10.1 and 10.2). */
const RESCUE_MS = 1_000
/** RFC 6762 section 5.2: at which share of the time to live a record is asked for again, with up to 2 % more by chance. */
const REFRESH_AT = [0.8, 0.85, 0.9, 0.95]
const REFRESH_SPREAD = 0.02
/** Records of one name and type; a host has few addresses, and an instance one SRV and TXT. */
const MAX_ALIKE: Readonly<Record<DnsRecord['type'], number>> = { PTR: 256, SRV: 4, TXT: 4, A: 16, AAAA: 16 }
/** Of all, so that nobody fills the memory. */
const MAX_RECORDS = 4_096
/** RFC 2181 section 8 allows 68 years; a day is enough until the record is asked for again. */
const MAX_TTL_SECONDS = 86_400

export interface CachedRecord {
  readonly record: DnsRecord
  readonly receivedMs: number
  expiresMs: number
  /** How often it was asked for again. */
  refreshes: number
}

/** The records that were heard on one interface, until they expire (RFC 6762 section 10). */
export class RecordCache {
  readonly #random: () => number
  /** By name and type, and then by what they say, the latest last. */
  readonly #records = new Map<string, Map<string, CachedRecord>>()
  #count = 0

  constructor (random: () => number) {
    this.#random = random
  }

  /** The records of a name and type, the latest first. */
  get (name: string, type: DnsRecord['type']): readonly CachedRecord[] {
    return [...this.#records.get(keyOf(name, type))?.values() ?? []].reverse()
  }

  /** Whether there is any of a name and type. */
  has (name: string, type: DnsRecord['type']): boolean {
    return this.#records.has(keyOf(name, type))
  }

  /** Whether an instance is listed under a type. */
  lists (type: string, instance: string): boolean {
    return this.#records.get(keyOf(type, 'PTR'))?.has(nameKey(instance)) === true
  }

  /** Takes a record that was heard. False if it was not kept: it is a goodbye to nothing, or there is no room. */
  put (record: DnsRecord, nowMs: number): boolean {
    const key = keyOf(record.name, record.type)
    const alike = this.#records.get(key) ?? new Map<string, CachedRecord>()
    if (record.flush) {
      // What came within the last second belongs to the same announcement.
      for (const other of alike.values()) if (nowMs - other.receivedMs > RESCUE_MS) expireSoon(other, nowMs)
    }
    const data = dataKey(record)
    const known = alike.get(data)
    if (record.ttlSeconds === 0) {
      if (known !== undefined) expireSoon(known, nowMs)
      return known !== undefined
    }
    if (known === undefined && (alike.size >= MAX_ALIKE[record.type] || this.#count >= MAX_RECORDS)) return false
    if (known === undefined) this.#count++
    else alike.delete(data)
    const ttlMs = Math.min(record.ttlSeconds, MAX_TTL_SECONDS) * 1_000
    alike.set(data, { record, receivedMs: nowMs, expiresMs: nowMs + ttlMs, refreshes: 0 })
    this.#records.set(key, alike)
    return true
  }

  /** Forgets one record. */
  remove (record: DnsRecord): void {
    const key = keyOf(record.name, record.type)
    const alike = this.#records.get(key)
    if (alike?.delete(dataKey(record)) !== true) return
    this.#count--
    if (alike.size === 0) this.#records.delete(key)
  }

  /** Removes the records that have expired, and returns them. */
  expire (nowMs: number): DnsRecord[] {
    const gone = [...this.#all()].filter(({ expiresMs }) => expiresMs <= nowMs).map(({ record }) => record)
    for (const record of gone) this.remove(record)
    return gone
  }

  /** The records to ask for again now; each is returned once for each share of its time to live. */
  due (nowMs: number): DnsRecord[] {
    const due: DnsRecord[] = []
    for (const cached of this.#all()) {
      let isDue = false
      while (refreshMs(cached, 0) <= nowMs) {
        cached.refreshes++
        isDue = true
      }
      if (isDue) due.push(cached.record)
    }
    return due
  }

  /** When something expires or is to be asked for again next; Infinity if nothing is kept. */
  nextMs (): number {
    let nextMs = Infinity
    for (const cached of this.#all()) nextMs = Math.min(nextMs, cached.expiresMs, refreshMs(cached, this.#random()))
    return nextMs
  }

  * #all (): Generator<CachedRecord> {
    for (const alike of this.#records.values()) yield * alike.values()
  }
}

/** How long a record lives on, in whole seconds, as a known answer (RFC 6762 section 7.1); undefined in its second half. */
export function remainingSeconds ({ record, receivedMs, expiresMs }: CachedRecord, nowMs: number): number | undefined {
  const leftMs = expiresMs - nowMs
  const isFresh = leftMs > (expiresMs - receivedMs) / 2 && leftMs > record.ttlSeconds * 500
  return isFresh ? Math.floor(leftMs / 1_000) : undefined
}

function refreshMs ({ record, receivedMs, expiresMs, refreshes }: CachedRecord, random: number): number {
  const share = REFRESH_AT[refreshes]
  const ttlMs = Math.min(record.ttlSeconds, MAX_TTL_SECONDS) * 1_000
  // A record that was withdrawn is not asked for again.
  if (share === undefined || expiresMs < receivedMs + ttlMs) return Infinity
  return receivedMs + ttlMs * (share + REFRESH_SPREAD * random)
}

function expireSoon (cached: CachedRecord, nowMs: number): void {
  cached.expiresMs = Math.min(cached.expiresMs, nowMs + RESCUE_MS)
}

function keyOf (name: string, type: DnsRecord['type']): string {
  return `${type} ${nameKey(name)}`
}

/** Equal for records of one name and type that say the same. */
function dataKey (record: DnsRecord): string {
  switch (record.type) {
    case 'PTR': return nameKey(record.target)
    case 'SRV': return `${record.port} ${nameKey(record.target)}`
    case 'TXT': return recordData(record).join()
    case 'A':
    case 'AAAA': return record.address
  }
}
