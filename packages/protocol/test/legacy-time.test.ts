import { describe, expect, it } from 'vitest'
import { formatLegacyTime, parseLegacyTime, sameMicrosecond } from '../src/legacy/index.ts'
import type { TimeZone } from '../src/index.ts'
import { localZone } from '../src/node/index.ts'

const UTC: TimeZone = { toUtcMs: wallMs => wallMs, toWallMs: utcMs => utcMs }
const EAST: TimeZone = { toUtcMs: wallMs => wallMs - 7_200_000, toWallMs: utcMs => utcMs + 7_200_000 }

describe('naive local timestamps', () => {
  it.each([
    ['1970-01-01T00:00:00', 0n],
    ['2026-11-22T17:00:00.123456', 1_795_366_800_123_456_000n],
    ['2026-11-22 17:00:00.5', 1_795_366_800_500_000_000n],
    ['2024-02-29T23:59:59.999999', 1_709_251_199_999_999_000n],
    ['1969-12-31T23:59:59.000001', -999_999_000n],
    ['1900-03-01T00:00:00', -2_203_891_200_000_000_000n],
  ])('reads %s', (text, ns) => {
    expect(parseLegacyTime(text, UTC)).toBe(ns)
    expect(parseLegacyTime(text, EAST)).toBe(ns - 7_200_000_000_000n)
    expect(parseLegacyTime(formatLegacyTime(ns, EAST), EAST)).toBe(ns)
  })

  it.each([
    '', 'now', '2026-11-22', '2026-13-01T00:00:00', '2025-02-29T00:00:00', '1900-02-29T00:00:00', '2026-01-01T24:00:00',
    '0000-01-01T00:00:00', '2026-01-01T00:00:00Z', '2026-01-01T00:00:00+02:00',
  ])(
    'refuses "%s"', text => { expect(parseLegacyTime(text, UTC)).toBeUndefined() })

  it('clamps times to the range of a listing', () => {
    expect(parseLegacyTime('9999-12-31T23:59:59', UTC)).toBe(2n ** 63n - 1n)
    expect(parseLegacyTime('0001-01-01T00:00:00', UTC)).toBe(-(2n ** 63n))
  })

  it('always writes microseconds, and truncates finer digits', () => {
    expect(formatLegacyTime(0n, UTC)).toBe('1970-01-01T00:00:00.000000')
    expect(formatLegacyTime(1_795_366_800_123_456_999n, UTC)).toBe('2026-11-22T17:00:00.123456')
    expect(formatLegacyTime(-1n, UTC)).toBe('1969-12-31T23:59:59.999999')
    expect(sameMicrosecond(1_000_000_999n, 1_000_000_000n)).toBe(true)
    expect(sameMicrosecond(1_000_001_000n, 1_000_000_000n)).toBe(false)
  })

  it('agrees with the local time of this machine', () => {
    for (const utcMs of [0, 1_700_000_000_123, 1_719_800_000_000, -86_400_000, 253_402_214_400_000]) {
      const at = new Date(utcMs)
      const two = (value: number): string => String(value).padStart(2, '0')
      const text = formatLegacyTime(BigInt(utcMs) * 1_000_000n, localZone)
      const date = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`
      expect(text.slice(0, 19)).toBe(`${date}T${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`)
      expect(localZone.toUtcMs(localZone.toWallMs(utcMs))).toBe(utcMs)
    }
  })
})
