import { describe, expect, it } from 'vitest'
import { decodeMessage, encodeMessage, LIMITS, safePageDigest, toHex } from '../src/index.ts'
import type { Digest, Message, QuestionedPage, SafeAnswer, SafePageEntry, SafeQuestion, TimesRun } from '../src/index.ts'
import { hashBytes } from '../src/node/index.ts'
import { refusal } from './support/refusal.ts'

const digest = new Uint8Array(32).fill(7) as Digest
const file = { path: 'a/b', kind: 'FILE' as const, digest }
const question = (more: object = {}): Message => ({ type: 'SAFE_QUESTION', fresh: false, files: [file], ...more })

describe('a page of a safe check', () => {
  const largest: QuestionedPage = {
    path: 'x'.repeat(LIMITS.pathBytes), first: 'f'.repeat(LIMITS.nameBytes), last: 'l'.repeat(LIMITS.nameBytes),
    files: LIMITS.pageEntries, digest,
  }
  const times: TimesRun = [1, Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER]

  it('has the digest of its records', () => {
    const digestOf = (text: string): Digest => hashBytes(new TextEncoder().encode(text))
    const entries: SafePageEntry[] = [
      { kind: 'file', name: 'a', sizeBytes: 3, digest: digestOf('one') },
      { kind: 'symlink', name: 'ü', sizeBytes: 0, digest: digestOf('a') },
    ]
    // Kind, length of the name, name, size, digest.
    expect(toHex(safePageDigest(entries, bytes => bytes as Digest))).toBe(
      `00${'0001'}61${'0000000000000003'}${toHex(digestOf('one'))}02${'0002'}c3bc${'0000000000000000'}${toHex(digestOf('a'))}`
    )
    expect(toHex(safePageDigest(entries, hashBytes))).toBe('585c8926b5e0f7cfe8b45784f6d9f378ddb4166c5f809539eba1720b9a8bb9af')
  })

  it.each<[string, Message]>([
    ['question', { type: 'SAFE_PAGES_QUESTION', fresh: true, pages: Array.from({ length: LIMITS.pagesPerQuestion }, () => largest) }],
    ['answer', {
      type: 'SAFE_PAGES_ANSWER',
      pages: Array.from({ length: LIMITS.pagesPerQuestion }, () => (
        { runs: Array.from({ length: LIMITS.pageEntries }, () => times), read: 'CACHE' as const }
      )),
    }],
  ])('fits a frame in the largest %s', (_, message) => {
    const payload = encodeMessage(message)
    expect(payload.length).toBeLessThan(LIMITS.messageFrameBytes)
    expect(decodeMessage(payload)).toEqual(message)
  })

  it.each([
    ['has no files', { files: 0 }],
    ['has too many files', { files: LIMITS.pageEntries + 1 }],
    ['has no first name', { first: '' }],
    ['has a name that is too long', { last: 'x'.repeat(LIMITS.nameBytes + 1) }],
    ['has a digest that is too short', { digest: digest.slice(1) }],
    ['has a path that is too long', { path: 'x'.repeat(LIMITS.pathBytes + 1) }],
  ])('is refused where it %s', (_, more) => {
    const message = { type: 'SAFE_PAGES_QUESTION', fresh: false, pages: [{ ...largest, ...more }] } as Message
    expect(refusal(() => decodeMessage(encodeMessage(message)))).toBe('MESSAGE_INVALID')
  })

  it.each([
    ['answers for no page', []],
    ['has a run of no files', [{ runs: [[0, 1, 1]] }]],
    ['has a time before all times', [{ runs: [[1, -1, 0]] }]],
    ['has a run of too many files', [{ runs: [[LIMITS.pageEntries + 1, 1, 1]] }]],
    ['has a run without times', [{ runs: [[1]] }]],
    ['has too many runs', [{ runs: Array.from({ length: LIMITS.pageEntries + 1 }, () => times) }]],
  ])('has no answer that %s', (_, pages) => {
    const message = { type: 'SAFE_PAGES_ANSWER', pages } as unknown as Message
    expect(refusal(() => decodeMessage(encodeMessage(message)))).toBe('MESSAGE_INVALID')
  })
})

describe('a safe check', () => {
  it('fits a frame at its maximum size', () => {
    const largest = question({ files: Array.from(
      { length: LIMITS.filesPerQuestion }, () => ({ ...file, kind: 'SYMLINK', path: 'x'.repeat(LIMITS.pathBytes) })
    ) })
    const payload = encodeMessage(largest)
    expect(payload.length).toBeLessThan(LIMITS.messageFrameBytes)
    expect((decodeMessage(payload) as SafeQuestion).files).toHaveLength(LIMITS.filesPerQuestion)
  })

  it.each([
    ['asks nothing', { files: [] }],
    ['asks too much', { files: Array.from({ length: LIMITS.filesPerQuestion + 1 }, () => file) }],
    ['names the root', { files: [{ ...file, path: '' }] }],
    ['has a path that is too long', { files: [{ ...file, path: 'x'.repeat(LIMITS.pathBytes + 1) }] }],
    ['has a path that is no text', { files: [{ ...file, path: 7 }] }],
    ['asks for something else', { files: [{ ...file, kind: 'DIRECTORY' }] }],
    ['has a digest that is too short', { files: [{ ...file, digest: digest.slice(1) }] }],
    ['does not say how fresh', { fresh: 'very' }],
  ])('is refused where it %s', (_, more) => {
    expect(refusal(() => decodeMessage(encodeMessage(question(more))))).toBe('MESSAGE_INVALID')
  })

  it.each([
    ['judges nothing', { files: [] }],
    ['has a time before all times', { files: [{ verdict: 'SAFE', storedAtMs: -1 }] }],
    ['judges more than can be asked', { files: Array.from({ length: LIMITS.filesPerQuestion + 1 }, () => ({ verdict: 'SAFE' })) }],
  ])('has no answer that %s', (_, more) => {
    expect(refusal(() => decodeMessage(encodeMessage({ type: 'SAFE_ANSWER', ...more } as Message)))).toBe('MESSAGE_INVALID')
  })

  it('reads unknown verdicts of a newer server as not safe, and unknown places as the cache', () => {
    const files = [{ verdict: 'PERHAPS' }, { verdict: 'SAFE', read: 'TAPE' }] as unknown as SafeAnswer['files']
    expect(decodeMessage(encodeMessage({ type: 'SAFE_ANSWER', files }))).toEqual({
      type: 'SAFE_ANSWER', files: [{ verdict: 'OTHER' }, { verdict: 'SAFE', read: 'CACHE' }],
    })
  })
})
