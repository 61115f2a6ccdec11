import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const DOCUMENTS = [
  'README.md',
  'CONTRIBUTING.md',
  ...readdirSync(join(ROOT, 'docs'))
    .filter(name => name.endsWith('.md'))
    .map(name => `docs/${name}`),
]
/** What `pnpm bench` writes is in no checkout. */
const PATH = /`((?!bench\/results)(?:packages|apps|e2e|bench|demo|docs|scripts)\/[\w./-]+)`/gu
const LINK = /\]\(([\w./-]+)(?:#[\w-]+)?\)/gu

test.each(DOCUMENTS)('every path that %s names exists', document => {
  const text = readFileSync(join(ROOT, document), 'utf8')
  const paths = [
    ...Array.from(text.matchAll(PATH), ([, path = '']) => path),
    ...Array.from(text.matchAll(LINK), ([, path = '']) => join(dirname(document), path)),
  ]
  expect(paths.filter(path => !existsSync(join(ROOT, path)))).toEqual([])
})
