import { existsSync, globSync, readdirSync, readFileSync, realpathSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

/**
 * Measures what installing each package puts on a disk: its own published files, and with all that it depends on. Writes the table to
 * docs/install-size.md; with --check, fails if a package takes over 5 % more than the table says.
 *
 * usage: node scripts/install-size.js [--check]
 */
const ROOT = fileURLToPath(new URL('..', import.meta.url))
const DOCUMENT = join(ROOT, 'docs/install-size.md')
const TOLERANCE = 1.05

const manifestOf = directory => JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'))

/** Bytes of a directory's files, without packages that are nested in it. */
function sizeOf (path) {
  const found = statSync(path)
  if (!found.isDirectory()) return found.size
  return readdirSync(path).filter(name => name !== 'node_modules').reduce((sum, name) => sum + sizeOf(join(path, name)), 0)
}

/** What is published of a package of this repository. */
function publishedSize (directory) {
  const names = [...manifestOf(directory).files, 'package.json', 'README.md', 'LICENSE', 'CHANGELOG.md']
  return names.map(name => join(directory, name)).filter(path => existsSync(path)).reduce((sum, path) => sum + sizeOf(path), 0)
}

/** Where a dependency is installed; undefined for a build for another kind of machine. */
function installedAt (name, from) {
  for (let directory = realpathSync(from); ; directory = dirname(directory)) {
    const candidate = join(directory, 'node_modules', name)
    if (existsSync(candidate)) return realpathSync(candidate)
    if (dirname(directory) === directory) return undefined
  }
}

/** A package and all that it depends on, by directory. */
function closure (directory, found = new Set()) {
  if (directory === undefined || found.has(directory)) return found
  found.add(directory)
  const { dependencies, optionalDependencies } = manifestOf(directory)
  for (const name of Object.keys({ ...dependencies, ...optionalDependencies })) closure(installedAt(name, directory), found)
  return found
}

function measure () {
  return globSync('packages/*/package.json', { cwd: ROOT }).sort().map(path => {
    const directory = resolve(ROOT, dirname(path))
    if (!existsSync(join(directory, 'dist'))) throw new Error(`${dirname(path)} is not built. Build the packages first.`)
    const all = [...closure(directory)]
    const total = all.reduce((sum, each) => sum + (each.includes('node_modules') ? sizeOf(each) : publishedSize(each)), 0)
    return { name: manifestOf(directory).name, own: publishedSize(directory), total, packages: all.length }
  })
}

const kilobytes = bytes => Math.ceil(bytes / 1000)

function render (rows) {
  const lines = rows.map(({ name, own, total, packages }) => `| \`${name}\` | ${kilobytes(own)} | ${kilobytes(total)} | ${packages} |`)
  return `# Install size

What installing a package takes on Linux x64, in kilobytes: its own files, with sources and source maps, and all files with what it depends
on. A test fails if one grows by more than 5 %. Written by \`node scripts/install-size.js\`; renew it if the growth is meant.

| package | own | with dependencies | packages |
|---|---|---|---|
${lines.join('\n')}
`
}

const rows = measure()
if (process.argv.includes('--check')) {
  const stated = readFileSync(DOCUMENT, 'utf8')
  for (const { name, own, total } of rows) {
    const [, statedOwn, statedTotal] = new RegExp(`^\\| \`${name}\` \\| (\\d+) \\| (\\d+) \\|`, 'm').exec(stated) ?? []
    for (const [what, bytes, most] of [['own files', own, statedOwn], ['install size', total, statedTotal]]) {
      if (kilobytes(bytes) <= Number(most ?? 0) * TOLERANCE) continue
      console.log(`${name}: ${what} take ${kilobytes(bytes)} kB, and docs/install-size.md says ${most ?? 'nothing'}.`)
      process.exitCode = 1
    }
  }
} else {
  writeFileSync(DOCUMENT, render(rows))
}
