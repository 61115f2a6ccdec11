import { formatAddress, parseAddress } from '../address.ts'
import { LABEL_MAX_BYTES, labelBytes, NAME_MAX_BYTES, nameKey, readLabel, splitName } from './domain-name.ts'

interface RecordHead {
  readonly name: string
  readonly ttlSeconds: number
  /** Whether it replaces what was cached under its name and type (RFC 6762 section 10.2); false for shared records. */
  readonly flush: boolean
}

/** One resource record, as far as DNS-SD needs it. */
export type DnsRecord = RecordHead & (
  | { readonly type: 'PTR', readonly target: string }
  | { readonly type: 'SRV', readonly target: string, readonly port: number }
  | { readonly type: 'TXT', readonly texts: readonly Uint8Array[] }
  | { readonly type: 'A' | 'AAAA', readonly address: string }
)

export interface DnsQuestion {
  readonly name: string
  /** `PTR`, `SRV`, `TXT`, `A`, `AAAA` or `ANY`; a number for other types. */
  readonly type: string
}

/** A message of multicast DNS. Records of types that DNS-SD does not need are left out. */
export interface DnsMessage {
  readonly kind: 'query' | 'response'
  readonly questions: readonly DnsQuestion[]
  readonly answers: readonly DnsRecord[]
  /** What a probe proposes (RFC 6762 section 8.2). */
  readonly authorities?: readonly DnsRecord[] | undefined
  readonly additionals?: readonly DnsRecord[] | undefined
  /** Whether more known answers follow (RFC 6762 section 7.2). */
  readonly isTruncated?: boolean | undefined
}

const TYPES: Readonly<Record<string, number>> = { A: 1, PTR: 12, TXT: 16, AAAA: 28, SRV: 33, ANY: 255 }
const NAMES: ReadonlyMap<number, string> = new Map(Object.entries(TYPES).map(([name, code]) => [code, name]))
const CLASS_IN = 1
const TOP_BIT = 0x8000
const FLAG_RESPONSE = 0x8000
const FLAG_AUTHORITATIVE = 0x0400
const FLAG_TRUNCATED = 0x0200
const HEADER_BYTES = 12
/** RFC 6762 section 17. */
const MESSAGE_MAX_BYTES = 9_000
/** More than a responder with many services sends; a header may claim 65,535 of each kind. */
const RECORDS_MAX = 256

/** Encodes a message (RFC 1035 section 4, with the bits of RFC 6762), names compressed. */
export function encodeMessage (message: DnsMessage): Uint8Array {
  const { questions, answers, authorities = [], additionals = [] } = message
  const writer = new Writer()
  const kind = message.kind === 'response' ? FLAG_RESPONSE | FLAG_AUTHORITATIVE : 0
  writer.u16(0)
  writer.u16(kind | (message.isTruncated === true ? FLAG_TRUNCATED : 0))
  for (const { length } of [questions, answers, authorities, additionals]) writer.u16(length)
  for (const { name, type } of questions) {
    writer.name(name)
    writer.u16(TYPES[type] ?? Number(type))
    writer.u16(CLASS_IN)
  }
  for (const record of [...answers, ...authorities, ...additionals]) writer.record(record)
  return Uint8Array.from(writer.bytes)
}

/** The data of a record without compression, which decides between two probes and whether two records are the same. */
export function recordData (record: DnsRecord): Uint8Array {
  const writer = new Writer(false)
  writer.data(record)
  return Uint8Array.from(writer.bytes)
}

class Writer {
  readonly bytes: number[] = []
  readonly #offsets: Map<string, number> | undefined

  constructor (isCompressing = true) {
    this.#offsets = isCompressing ? new Map() : undefined
  }

  u16 (value: number): void {
    this.bytes.push((value >> 8) & 0xff, value & 0xff)
  }

  name (name: string): void {
    const labels = splitName(name)
    for (const [index, label] of labels.entries()) {
      const rest = nameKey(labels.slice(index).join('.'))
      const known = this.#offsets?.get(rest)
      if (known !== undefined) {
        this.u16(0xc000 | known)
        return
      }
      if (this.bytes.length < 0x4000) this.#offsets?.set(rest, this.bytes.length)
      const bytes = labelBytes(label).subarray(0, LABEL_MAX_BYTES)
      this.bytes.push(bytes.length, ...bytes)
    }
    this.bytes.push(0)
  }

  record (record: DnsRecord): void {
    this.name(record.name)
    this.u16(TYPES[record.type] ?? 0)
    this.u16(CLASS_IN | (record.flush ? TOP_BIT : 0))
    this.u16(record.ttlSeconds >>> 16)
    this.u16(record.ttlSeconds & 0xffff)
    const at = this.bytes.length
    this.u16(0)
    this.data(record)
    const length = this.bytes.length - at - 2
    this.bytes[at] = length >> 8
    this.bytes[at + 1] = length & 0xff
  }

  data (record: DnsRecord): void {
    switch (record.type) {
      case 'PTR': this.name(record.target); break
      case 'SRV':
        for (const value of [0, 0, record.port]) this.u16(value)
        this.name(record.target)
        break
      case 'TXT':
        // An empty TXT record is one empty text (RFC 6763 section 6.1).
        for (const text of record.texts.length === 0 ? [new Uint8Array()] : record.texts) this.bytes.push(text.length, ...text)
        break
      case 'A':
      case 'AAAA': this.bytes.push(...parseAddress(record.address) ?? [])
    }
  }
}

/** Decodes a message; undefined if the bytes are not one. Never throws. */
export function decodeMessage (bytes: Uint8Array): DnsMessage | undefined {
  if (bytes.length < HEADER_BYTES || bytes.length > MESSAGE_MAX_BYTES) return undefined
  const reader = new Reader(bytes)
  const [, flags, ...counts] = Array.from({ length: 6 }, () => reader.u16()) as [number, number, number, number, number, number]
  // Other operations than a query, and errors, are ignored (RFC 6762 sections 18.3 and 18.11).
  if ((flags & 0x780f) !== 0 || counts.reduce((sum, count) => sum + count) > RECORDS_MAX) return undefined
  try {
    const questions = Array.from({ length: counts[0] }, () => reader.question())
    const [answers, authorities, additionals] = counts.slice(1).map(count =>
      Array.from({ length: count }, () => reader.record()).filter(record => record !== undefined))
    return {
      kind: (flags & FLAG_RESPONSE) === 0 ? 'query' : 'response',
      questions, answers: answers ?? [], authorities, additionals, isTruncated: (flags & FLAG_TRUNCATED) !== 0,
    }
  } catch (error) {
    if (error instanceof Malformed) return undefined
    throw error
  }
}

class Malformed extends Error {}

class Reader {
  readonly #bytes: Uint8Array
  #at = 0

  constructor (bytes: Uint8Array) {
    this.#bytes = bytes
  }

  u8 (): number {
    const byte = this.#bytes[this.#at++]
    if (byte === undefined) throw new Malformed()
    return byte
  }

  u16 (): number {
    return this.u8() << 8 | this.u8()
  }

  take (count: number): Uint8Array {
    if (this.#at + count > this.#bytes.length) throw new Malformed()
    return this.#bytes.subarray(this.#at, this.#at += count)
  }

  name (): string {
    const labels: string[] = []
    let sizeBytes = 0
    let end: number | undefined
    for (let length = this.u8(); length > 0; length = this.u8()) {
      if (length >= 0xc0) {
        const from = this.#at - 1
        const target = (length & 0x3f) << 8 | this.u8()
        // Only backwards, so that no name is endless.
        if (target >= from) throw new Malformed()
        end ??= this.#at
        this.#at = target
        continue
      }
      if (length > LABEL_MAX_BYTES || (sizeBytes += length + 1) > NAME_MAX_BYTES) throw new Malformed()
      labels.push(readLabel(this.take(length)))
    }
    if (end !== undefined) this.#at = end
    return labels.join('.')
  }

  question (): DnsQuestion {
    const name = this.name()
    const type = this.u16()
    // The top bit asks for an answer by unicast; an answer to the group is as good (RFC 6762 section 5.4).
    this.u16()
    return { name, type: NAMES.get(type) ?? String(type) }
  }

  record (): DnsRecord | undefined {
    const name = this.name()
    const type = NAMES.get(this.u16())
    const kind = this.u16()
    const ttlSeconds = this.u16() * 0x1_0000 + this.u16()
    const length = this.u16()
    const end = this.#at + length
    if (end > this.#bytes.length) throw new Malformed()
    const head = { name, ttlSeconds, flush: (kind & TOP_BIT) !== 0 }
    const record = (kind & ~TOP_BIT) === CLASS_IN ? this.#data(head, type, { length, end }) : undefined
    this.#at = end
    return record
  }

  #data (
    head: RecordHead, type: string | undefined, { length, end }: { readonly length: number, readonly end: number }
  ): DnsRecord | undefined {
    switch (type) {
      case 'PTR': return { ...head, type, target: this.name() }
      case 'SRV': {
        this.take(4)
        return { ...head, type, port: this.u16(), target: this.name() }
      }
      case 'TXT': {
        const texts: Uint8Array[] = []
        while (this.#at < end) texts.push(this.take(Math.min(this.u8(), end - this.#at)).slice())
        return { ...head, type, texts: texts.filter(text => text.length > 0) }
      }
      case 'A': return length === 4 ? { ...head, type, address: formatAddress(this.take(4)) } : undefined
      case 'AAAA': return length === 16 ? { ...head, type, address: formatAddress(this.take(16)) } : undefined
      case undefined:
      default: return undefined
    }
  }
}
