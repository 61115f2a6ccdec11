import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createEventLog, jsonLine, printable } from '@filesync/program'

// Independent of the expression under test, by Unicode property: controls, formats, surrogates, separators.
const OBEYED = /[\p{Cc}\p{Bidi_Control}\p{Cs}\p{Zl}\p{Zp}]/u

/** Strings with many characters that need escaping. */
const hostile = fc.string({
  unit: fc.oneof(
    fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
    fc.constantFrom('\u001b', '\r', '\n', '\u009b', '\u202e', '\u2066', '\u200f', '\ud800', '\udfff', '\ufeff', 'a', '/'),
  ),
})

test('escapes everything that a terminal obeys', () => {
  fc.assert(fc.property(hostile, text => { expect(printable(text)).not.toMatch(OBEYED) }))
})

test('JSON for a terminal is one line that parses to the same value', () => {
  fc.assert(fc.property(fc.dictionary(hostile, hostile), value => {
    const line = jsonLine(value)
    expect(JSON.parse(line)).toEqual(JSON.parse(JSON.stringify(value)))
    expect(line.slice(0, -1)).not.toMatch(OBEYED)
    expect(line.endsWith('\n')).toBe(true)
  }))
})

test.each([
  ['plain.txt', 'plain.txt'],
  ['Grüße 日本 👩‍🔬', 'Grüße 日本 👩‍🔬'],
  ['\u001b[2Jgone', '\\u{1b}[2Jgone'],
  ['invoice\u202Efdp.exe', 'invoice\\u{202e}fdp.exe'],
  ['a\nb', 'a\\u{a}b'],
  ['half\ud83d', 'half\\u{d83d}'],
  ['tag\u{e0041}', 'tag\\u{e0041}'],
])('%j is shown as %j', (text, shown) => {
  expect(printable(text)).toBe(shown)
})

test('the log escapes texts from peers, in text and in JSON', () => {
  const lines: string[] = []
  const init = { write: (line: string) => { lines.push(line) }, now: () => '2026-01-02T03:04:05.678Z' }
  const event = { event: 'refused', address: '\u009b31m' }
  createEventLog({ ...init, json: false })(event, 'refused \u001b[31m')
  createEventLog({ ...init, json: true })(event, 'refused')
  expect(lines).toEqual([
    '2026-01-02 03:04:05.678Z refused \\u{1b}[31m\n',
    '{"event":"refused","address":"\\u009b31m","time":"2026-01-02T03:04:05.678Z"}\n',
  ])
})
