import { encodeDiscover, encodeDiscoverV1 } from '@filesync/protocol'
import { describe, expect, test } from 'vitest'
import { ReplyPolicy } from '../src/reply-policy.ts'
import type { Heard } from '../src/reply-policy.ts'
import { memoryLink } from '../src/testing/memory-network.ts'

const link = memoryLink('10.0.0.1/16')
let count = 0

function question (address = '10.0.7.7', port = 50_000): Heard {
  return { bytes: encodeDiscover({ v: 2, nonce: String(count++).padStart(16, '0'), want: 'sync' }), link, source: { address, port } }
}

function text (bytes: string): Uint8Array {
  return new TextEncoder().encode(bytes)
}

function padded (fields: object): Uint8Array {
  return text(JSON.stringify({ type: 'DISCOVER', v: 2, n: 'A'.repeat(16), want: 'sync', pad: 'x'.repeat(256), ...fields }))
}

describe('what is answered', () => {
  test('a padded question from the subnet', () => {
    const heard = question()
    expect(new ReplyPolicy({ legacy: false }).judge(heard, 0)).toMatchObject({ answer: true, question: { v: 2, want: 'sync' } })
  })

  test("the original's question where the original's protocol is spoken, and only there", () => {
    const heard = { ...question(), bytes: encodeDiscoverV1() }
    expect(heard.bytes).toHaveLength(19)
    expect(new ReplyPolicy({ legacy: false }).judge(heard, 0)).toEqual({ answer: false, because: 'legacy' })
    expect(new ReplyPolicy({ legacy: true }).judge(heard, 0)).toEqual({ answer: true, question: { v: 1 } })
  })

  test.each<[string, Partial<Heard>, string]>([
    ['of 64 KiB', { bytes: new Uint8Array(65_507).fill(0x20) }, 'size'],
    ['one byte too long', { bytes: padded({ pad: 'x'.repeat(1_400) }) }, 'size'],
    ['not JSON', { bytes: new Uint8Array(256).fill(0xff) }, 'not a question'],
    ['deep JSON', { bytes: text('['.repeat(1_400)) }, 'not a question'],
    ['an answer', { bytes: padded({ type: 'OFFER', port: 1, tls: 5000, id: '0'.repeat(16) }) }, 'not a question'],
    ['without a nonce', { bytes: padded({ n: undefined }) }, 'not a question'],
    ['with a huge nonce', { bytes: padded({ n: 'A'.repeat(1_000) }) }, 'not a question'],
    ['with a nonce that is a number', { bytes: padded({ n: 1234 }) }, 'not a question'],
    ['of a later version', { bytes: padded({ v: 3 }) }, 'not a question'],
    ['from port 53', { source: { address: '10.0.7.7', port: 53 } }, 'source port'],
    ['from port 9999', { source: { address: '10.0.7.7', port: 9999 } }, 'source port'],
    ['from port 0', { source: { address: '10.0.7.7', port: 0 } }, 'source port'],
    ['from another subnet', { source: { address: '10.1.7.7', port: 50_000 } }, 'off-link'],
    ['from no address', { source: { address: 'evil', port: 50_000 } }, 'off-link'],
  ])('not one %s', (_, change, because) => {
    expect(new ReplyPolicy({ legacy: false }).judge({ ...question(), ...change }, 0)).toEqual({ answer: false, because })
  })

  test('not one that is shorter than its answer may be', () => {
    const short = text('{"type":"DISCOVER","v":2,"n":"AAAAAAAAAAAAAAAA","want":"sync"}')
    expect(new ReplyPolicy({ legacy: true }).judge({ ...question(), bytes: short }, 0).answer).toBe(false)
  })

  test('a doubled datagram once', () => {
    const policy = new ReplyPolicy({ legacy: false })
    const heard = question()
    expect(policy.judge(heard, 0).answer).toBe(true)
    expect(policy.judge(heard, 1)).toEqual({ answer: false, because: 'repeated' })
    expect(policy.judge(question(), 2).answer).toBe(true)
  })
})

/** The most answers in any span of one second, of those at these times. */
function densest (times: readonly number[]): number {
  return Math.max(0, ...times.map((start, index) => times.slice(index).filter(time => time < start + 1_000).length))
}

describe('how much is answered', () => {
  test('one source gets 5 a second', () => {
    const policy = new ReplyPolicy({ legacy: false })
    const times = Array.from({ length: 10_000 }, (_, index) => index).filter(nowMs => policy.judge(question(), nowMs).answer)
    expect(densest(times)).toBe(5)
    expect(times).toHaveLength(50)
  })

  test('programs of one machine do not count as one source', () => {
    const policy = new ReplyPolicy({ legacy: false })
    const loopback = memoryLink('127.0.0.1/8', 'lo')
    const answers = Array.from({ length: 20 }, (_, index) => policy.judge({ ...question('127.0.0.1', 50_000 + index), link: loopback }, 0))
    expect(answers.every(({ answer }) => answer)).toBe(true)
  })

  test('10,000 forged sources at once get 50 in all', () => {
    const policy = new ReplyPolicy({ legacy: false })
    const answers = Array.from({ length: 10_000 }, (_, index) => policy.judge(question(`10.0.${index >> 8}.${index & 255}`), 0))
    expect(answers.filter(({ answer }) => answer)).toHaveLength(50)
    expect(policy.judge(question('10.0.99.99'), 1_000).answer).toBe(true)
  })

  test('a lasting flood of 1,000 a second never gets more than 50 in any second', () => {
    const policy = new ReplyPolicy({ legacy: false })
    const times = Array.from({ length: 10_000 }, (_, index) => index).filter(
      nowMs => policy.judge(question(`10.0.0.${nowMs % 250}`), nowMs).answer
    )
    expect(densest(times)).toBeLessThanOrEqual(50)
  })

  test('a real client is served in the middle of a flood from a whole subnet of 250 addresses', () => {
    const policy = new ReplyPolicy({ legacy: false })
    for (let nowMs = 0; nowMs < 20_000; nowMs++) {
      policy.judge(question(`10.0.0.${nowMs % 250}`), nowMs)
      if (nowMs > 10_000 && nowMs % 1_000 === 0) expect(policy.judge(question(`10.0.1.${nowMs / 1_000}`), nowMs).answer).toBe(true)
    }
  })
})
