import { describe, expect, it } from 'vitest'
import { decodeMessage, encodeMessage, LIMITS } from '../src/index.ts'
import type { Digest, Message, SafeAnswer, SafeQuestion } from '../src/index.ts'
import { refusal } from './support/refusal.ts'

const digest = new Uint8Array(32).fill(7) as Digest
const file = { path: 'a/b', kind: 'FILE' as const, digest }
const question = (more: object = {}): Message => ({ type: 'SAFE_QUESTION', fresh: false, files: [file], ...more })

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
