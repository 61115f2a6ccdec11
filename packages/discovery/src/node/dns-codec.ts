import { Buffer } from 'node:buffer'
import { AUTHORITATIVE_ANSWER, decode, encode } from 'dns-packet'
import type { Answer } from 'dns-packet'
import type { DnsCodec, DnsMessage, DnsRecord } from '../dns-sd.ts'

/** RFC 6762 section 17 allows more, but only for records that we neither send nor want. */
const MESSAGE_MAX_BYTES = 1_500
const HEADER_BYTES = 12
/** What a responder with many services answers stays below; the decoder allocates for each record that a header claims. */
const RECORDS_MAX = 128

/** DNS messages by way of dns-packet. */
export const dnsCodec: DnsCodec = {
  encode ({ kind, questions, answers }) {
    return encode({
      type: kind,
      flags: kind === 'response' ? AUTHORITATIVE_ANSWER : 0,
      questions: questions.map(({ name, type }) => ({ name, type: type as 'PTR', class: 'IN' })),
      answers: answers.map(toAnswer),
    })
  },

  decode (bytes) {
    if (!isPlausible(bytes)) return undefined
    try {
      return toMessage(decode(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)))
    } catch {
      // The decoder's only way to say that the bytes are no DNS message.
      return undefined
    }
  },
}

function isPlausible (bytes: Uint8Array): boolean {
  if (bytes.length < HEADER_BYTES || bytes.length > MESSAGE_MAX_BYTES) return false
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const records = view.getUint16(4) + view.getUint16(6) + view.getUint16(8) + view.getUint16(10)
  return records <= RECORDS_MAX
}

function toAnswer (record: DnsRecord): Answer {
  // Only our own records may replace what others cached (RFC 6762 section 10.2); the PTR is shared with other servers.
  const head = { name: record.name, ttl: record.ttlSeconds, class: 'IN' as const, flush: record.type !== 'PTR' }
  switch (record.type) {
    case 'PTR': return { ...head, type: 'PTR', data: record.target }
    case 'SRV': return { ...head, type: 'SRV', data: { port: record.port, target: record.target, priority: 0, weight: 0 } }
    case 'TXT': return { ...head, type: 'TXT', data: [...record.texts] }
    case 'A':
    case 'AAAA': return { ...head, type: record.type, data: record.address }
  }
}

function toMessage (packet: ReturnType<typeof decode>): DnsMessage {
  const records = [...packet.answers ?? [], ...packet.additionals ?? []]
  return {
    kind: packet.type === 'response' ? 'response' : 'query',
    questions: (packet.questions ?? []).map(({ name, type }) => ({ name, type })),
    answers: records.flatMap(toRecord),
  }
}

function toRecord (answer: Answer): DnsRecord[] {
  if (!('ttl' in answer) || answer.name === undefined) return []
  const head = { name: answer.name, ttlSeconds: answer.ttl ?? 0 }
  if (answer.type === 'PTR') return [{ ...head, type: 'PTR', target: answer.data }]
  if (answer.type === 'SRV') return [{ ...head, type: 'SRV', target: answer.data.target, port: answer.data.port }]
  if (answer.type === 'TXT') return [{ ...head, type: 'TXT', texts: [answer.data].flat().map(text => text.toString()) }]
  return answer.type === 'A' || answer.type === 'AAAA' ? [{ ...head, type: answer.type, address: answer.data }] : []
}
