import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatCount, formatDuration, parseDuration, parseSize } from '@filesync/program'

const usage: unknown = expect.objectContaining({ code: 'USAGE' })

describe('durations', () => {
  test.each([
    ['0', 0], ['45', 45_000], ['1.5', 1500], ['500ms', 500], ['45s', 45_000], ['10m', 600_000], ['1h30m', 5_400_000],
    ['30d', 2_592_000_000],
    ['2W', 1_209_600_000], [' 5s ', 5000], ['36500d', 3_153_600_000_000],
  ])('%j is %i ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms)
  })

  test.each([
    '', 'soon', '-1s', '1y', '5 s x', '1e9', 'NaN', 'Infinity', '36501d', '9'.repeat(400), `${'9'.repeat(400)}d`,
  ])('%j is refused', text => {
    expect(() => parseDuration(text)).toThrow(usage)
  })

  test.each([
    [0, '0 ms'], [850, '850 ms'], [1234, '1.2 s'], [12_000, '12 s'], [59_600, '1 min'], [200_000, '3 min 20 s'], [7_500_000, '2 h 5 min'],
    [356_400_000, '4 d 3 h'], [86_399_999, '1 d'],
  ])('%i ms is shown as %j', (ms, text) => {
    expect(formatDuration(ms)).toBe(text)
  })

  test('a duration is shown with at most two units, and never with 60 of one', () => {
    fc.assert(fc.property(fc.nat(40 * 86_400_000), ms => {
      expect(formatDuration(ms)).toMatch(/^(?:\d+|\d\.\d) (?:ms|s|min|h|d)(?: [1-5]?\d (?:s|min|h))?$/u)
      expect(formatDuration(ms)).not.toMatch(/\b60 /u)
    }))
  })
})

test.each([[0, '0 files'], [1, '1 file'], [2, '2 files']])('%i is shown as %j', (amount, text) => {
  expect(formatCount(amount, 'file')).toBe(text)
})

test('shows an irregular plural', () => {
  expect([formatCount(1, 'entry', 'entries'), formatCount(0, 'entry', 'entries')]).toEqual(['1 entry', '0 entries'])
})

describe('sizes', () => {
  test.each([
    ['0', 0], ['1000', 1000], ['500k', 500_000], ['20M', 20_000_000], ['20MB', 20_000_000], ['1.5GiB', 1_610_612_736],
    ['20M/s', 20_000_000], ['2 T', 2e12],
  ])('%j is %i bytes', (text, bytes) => {
    expect(parseSize(text)).toBe(bytes)
  })

  test.each(['', 'big', '-1', '1x', '1i', '99999T', '9'.repeat(400)])('%j is refused', text => {
    expect(() => parseSize(text)).toThrow(usage)
  })
})
