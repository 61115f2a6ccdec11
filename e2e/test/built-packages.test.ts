import { globSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const PACKAGES = globSync(['packages/*/package.json', 'apps/*/package.json'], { cwd: ROOT }).map(dirname).sort()
const { fixed } = readJson('.changeset/config.json') as { readonly fixed: readonly (readonly string[])[] }

function readJson (path: string): unknown {
  return JSON.parse(readFileSync(join(ROOT, path), 'utf8'))
}

function nameOf (directory: string): string {
  return (readJson(`${directory}/package.json`) as { readonly name: string }).name
}

/** The directories whose sources are in the built files of a package, itself among them. */
function carried (directory: string): Set<string> {
  const dist = join(ROOT, directory, 'dist')
  return new Set(globSync('**/*.js.map', { cwd: dist }).flatMap(map => {
    const { sources } = readJson(join(directory, 'dist', map)) as { readonly sources: readonly string[] }
    return sources.map(source => relative(ROOT, resolve(dist, dirname(map), source)).split('/src/')[0] ?? '')
  }))
}

test.each(PACKAGES)('%s carries code only of itself, and of packages that are never released without it', directory => {
  const found = carried(directory)
  expect(found).toContain(directory)
  // A fix in a package that another one carries would not reach those who use that one.
  for (const other of found) {
    if (other === directory) continue
    expect(PACKAGES, `${directory} carries code of ${other}`).toContain(other)
    const names = [nameOf(directory), nameOf(other)]
    expect(
      fixed.some(group => names.every(name => group.includes(name))),
      `${names.join(' and ')} belong into one group of "fixed" in .changeset/config.json`
    ).toBe(true)
  }
})

test('the threads that read directories are built with what they need of the protocol, which makes them start fast', () => {
  expect([...carried('packages/scanner')].sort()).toEqual(['packages/protocol', 'packages/scanner'])
  expect(readFileSync(join(ROOT, 'packages/scanner/dist/node/reader-worker.js'), 'utf8')).not.toContain('@filesync/protocol"')
})
