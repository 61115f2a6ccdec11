import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fakeTerminal } from '@filesync/program/testing'
import type { RelativePath } from '@filesync/protocol'
import type { TransferProgress } from '@filesync/transfer'
import { createProgressLine, describeProgress } from '../src/status/progress-line.ts'

const progress: TransferProgress = {
  carriedBytes: 1,
  files: 3, bytes: 1_500_000, filesWanted: 10, bytesWanted: 20_000_000, isTotalKnown: false, filesStored: 0, bytesStored: 0,
  bytesPerSecond: 2_000_000, remainingMs: 9_250, path: 'a/\u001b[31mb' as RelativePath, isCompressing: false,
}

test('replaces the line on a terminal and clears it at the end', () => {
  const terminal = fakeTerminal({}, true)
  const line = createProgressLine(terminal.stderr, false)
  line.clear()
  line.show('one')
  line.show('two')
  line.clear()
  line.clear()
  expect(terminal.complained()).toBe('\r\u001b[2Kone\r\u001b[2Ktwo\r\u001b[2K')
})

test.each([[false, false], [true, true]])('shows nothing with a terminal %j and --quiet %j', (isTTY, quiet) => {
  const terminal = fakeTerminal({}, isTTY)
  const line = createProgressLine(terminal.stderr, quiet)
  line.show('one')
  line.clear()
  expect(terminal.complained()).toBe('')
})

/** What a terminal of 80 columns shows of a text. */
function shown (text: string): string {
  const terminal = fakeTerminal({}, true)
  createProgressLine(terminal.stderr, false).show(text)
  return terminal.complained().slice('\r\u001b[2K'.length)
}

test.each([
  ['x'.repeat(79), 'x'.repeat(79)],
  ['x'.repeat(80), `${'x'.repeat(78)}…`],
  ['日'.repeat(39), '日'.repeat(39)],
  ['日'.repeat(40), `${'日'.repeat(39)}…`],
  [`${'x'.repeat(78)}👍`, `${'x'.repeat(78)}…`],
  ['e\u0301'.repeat(79), 'e\u0301'.repeat(79)],
])('truncates %j to the width of the terminal', (text, cut) => {
  expect(shown(text)).toBe(cut)
})

test('never splits a character', () => {
  fc.assert(fc.property(fc.string({ unit: 'grapheme', maxLength: 200 }), text => {
    expect(shown(text).isWellFormed()).toBe(true)
    expect(shown(text) === text || shown(text).endsWith('…')).toBe(true)
  }))
})

test('describes only what is known of the progress', () => {
  expect(describeProgress(progress)).toBe('3/10+ files  1.50 MB of 20.0 MB+  2.00 MB/s  9.3 s left  a/\\u{1b}[31mb')
  expect(
    describeProgress({ ...progress, isTotalKnown: true, remainingMs: undefined, path: undefined })
  ).toBe('3/10 files  1.50 MB of 20.0 MB  2.00 MB/s')
})
