import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'

const ROOT = new URL('../../', import.meta.url)
const DOCUMENT = readFileSync(new URL('docs/guarantees.md', ROOT), 'utf8')
const PROMISES = 10

interface NamedTest {
  readonly file: string
  readonly name: string
}

/** The promises of a document, each with the tests that it names. */
function promisesOf (document: string): { readonly title: string, readonly tests: readonly NamedTest[] }[] {
  return document.split(/^## /mu).slice(1).map(section => ({
    title: section.split('\n', 1)[0] ?? '',
    // A long title is wrapped.
    tests: [...section.matchAll(/^- `([^`]+)`:\s+"((?:.|\n {2})+?)"$/gmu)]
      .map(([, file = '', name = '']) => ({ file, name: name.replaceAll('\n  ', ' ') })),
  }))
}

/** What is wrong with a promise; empty where all of its tests exist. */
function faultsOf ({ tests }: { readonly tests: readonly NamedTest[] }): string[] {
  if (tests.length === 0) return ['it names no test']
  return tests.flatMap(({ file, name }) => {
    const url = new URL(file, ROOT)
    if (!existsSync(url)) return [`there is no ${file}`]
    return namesTest(readFileSync(url, 'utf8'), name) ? [] : [`${file} has no test "${name}"`]
  })
}

// A test that is skipped or to be done holds nothing.
function namesTest (source: string, name: string): boolean {
  const spellings = [`'${name.replaceAll('\'', '\\\'')}'`, `"${name}"`, `\`${name}\``]
  return spellings.some(spelling => {
    const before = source.split(spelling).slice(0, -1)
    return before.some(text => /(?:^|\n)[ ]*(?:test|it)\b(?!\.(?:skip|todo|fails)\()[^\n]*\(\s*$/u.test(text))
  })
}

describe('docs/guarantees.md', () => {
  const promises = promisesOf(DOCUMENT)

  test('numbers all promises', () => {
    expect(promises.map(({ title }) => title.split('.', 1)[0])).toEqual(Array.from({ length: PROMISES }, (_, i) => String(i + 1)))
  })

  test.each(promises)('$title', promise => {
    expect(faultsOf(promise)).toEqual([])
  })

  test('a promise without a test, with a test that is not there, or with one that is skipped does not pass', () => {
    const faults = (tests: readonly NamedTest[]): string[] => faultsOf({ tests })
    expect(faults([])).toEqual(['it names no test'])
    expect(faults([{ file: 'e2e/test/none.test.ts', name: 'x' }])).toEqual(['there is no e2e/test/none.test.ts'])
    expect(faults([{ file: 'e2e/test/chaos.test.ts', name: 'another' }])).toHaveLength(1)
    expect(namesTest('test.skip(\'x\', () => {})', 'x')).toBe(false)
    expect(namesTest('  test.runIf(may)(\'x\', () => {})', 'x')).toBe(true)
    expect(namesTest('const y = 1\ntest(\n  \'x\',\n  () => {})', 'x')).toBe(true)
    expect(namesTest('expect(\'x\')', 'x')).toBe(false)
  })

  test('a title may be wrapped', () => {
    expect(promisesOf('## 1. p\n\n- `a.test.ts`:\n  "b\n  c"\n- `d.test.ts`: "e"\n')[0]?.tests).toEqual([
      { file: 'a.test.ts', name: 'b c' }, { file: 'd.test.ts', name: 'e' },
    ])
  })
})
