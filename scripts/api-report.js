import { existsSync, globSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

/**
 * Writes what each entry point of each package exports to packages/NAME/etc/ENTRY.api.md, so that a change of a public interface
 * shows in review. Reads the built declarations, as an installed package has them, in whatever files they are.
 *
 * usage: node scripts/api-report.js [--check] [PACKAGE ...]
 */
const ROOT = fileURLToPath(new URL('..', import.meta.url))
const OPTIONS = {
  module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext, target: ts.ScriptTarget.ES2024, types: ['node'],
  strict: true, skipLibCheck: true, noEmit: true
}
const printer = ts.createPrinter({ removeComments: true, newLine: ts.NewLineKind.LineFeed })

/** The declaration files of a package's entry points, by the name of the report. */
function entriesOf (directory) {
  const { exports } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'))
  return Object.entries(exports).flatMap(([door, { types }]) => types === undefined
    ? []
    : [{ name: door === '.' ? 'index' : door.slice(2).replaceAll('/', '-'), file: resolve(directory, types) }])
}

/** The declarations of a symbol, without comments, and the package's own symbols that they name. */
function describe (symbol, { checker, directory }) {
  const named = new Set()
  const note = node => {
    if (ts.isIdentifier(node)) {
      const found = checker.getSymbolAtLocation(node)
      if (found !== undefined) named.add(unalias(found, checker))
    }
    ts.forEachChild(node, note)
  }
  const texts = (symbol.declarations ?? []).filter(({ parent }) => parent !== undefined).map(declaration => {
    const node = ts.isVariableDeclaration(declaration) ? declaration.parent.parent : declaration
    note(node)
    return printer.printNode(ts.EmitHint.Unspecified, node, node.getSourceFile())
      .replace(/^(export )?(declare )?/u, '').replace(/^\s*#private;\n|^\s*private .*\n/gmu, '')
  })
  const isOwn = other => other.declarations?.some(each => each.getSourceFile().fileName.startsWith(join(directory, 'dist')) &&
    ts.isSourceFile(ts.isVariableDeclaration(each) ? each.parent.parent.parent : each.parent)) === true
  return { text: [...new Set(texts)].sort().join('\n'), named: [...named].filter(isOwn) }
}

function unalias (symbol, checker) {
  return (symbol.flags & ts.SymbolFlags.Alias) === 0 ? symbol : checker.getAliasedSymbol(symbol)
}

/** What an entry point exports, and what those declarations name without exporting it, each sorted by name. */
function report (entry, program, directory) {
  const checker = program.getTypeChecker()
  const source = program.getSourceFile(entry.file)
  const door = source === undefined ? undefined : checker.getSymbolAtLocation(source)
  if (door === undefined) throw new Error(`${relative(ROOT, entry.file)} is absent or exports nothing. Build the packages first.`)
  const exported = checker.getExportsOfModule(door).map(symbol => [symbol.name, unalias(symbol, checker)])
  const known = new Set(exported.map(([, symbol]) => symbol))
  const inner = []
  const parts = exported.map(([name, symbol]) => {
    const { text, named } = describe(symbol, { checker, directory })
    inner.push(...named)
    const head = name === symbol.name ? '' : `// exported as ${name}\n`
    return { name, text: text === '' ? `// ${name}, from another package` : head + text }
  })
  const hidden = []
  for (let symbol = inner.shift(); symbol !== undefined; symbol = inner.shift()) {
    if (known.has(symbol)) continue
    known.add(symbol)
    const { text, named } = describe(symbol, { checker, directory })
    hidden.push({ name: symbol.name, text })
    inner.push(...named)
  }
  return { exported: parts.sort(byName), hidden: hidden.sort(byName) }
}

function byName (left, right) {
  return left.name < right.name ? -1 : left.name > right.name ? 1 : left.text < right.text ? -1 : 1
}

function render (title, { exported, hidden }) {
  const block = parts => `\`\`\`ts\n${parts.map(({ text }) => text).join('\n\n')}\n\`\`\`\n`
  const rest = hidden.length === 0 ? '' : `\nUsed by these, but not exported:\n\n${block(hidden)}`
  return `# API of ${title}\n\nWritten by "pnpm run api"; do not edit.\n\n${block(exported)}${rest}`
}

/** The reports of one package, by path. */
function reportsOf (directory) {
  const { name } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'))
  const entries = entriesOf(directory)
  const program = ts.createProgram(entries.map(({ file }) => file), OPTIONS)
  return new Map(entries.map(entry => {
    const title = entry.name === 'index' ? name : `${name}/${entry.name}`
    return [join(directory, 'etc', `${entry.name}.api.md`), render(title, report(entry, program, directory))]
  }))
}

/** Reports that no entry point has any more. */
function leftOver (directory, paths) {
  const etc = join(directory, 'etc')
  return existsSync(etc) ? readdirSync(etc).map(name => join(etc, name)).filter(path => path.endsWith('.api.md') && !paths.has(path)) : []
}

const names = process.argv.slice(2).filter(word => !word.startsWith('--'))
const isCheck = process.argv.includes('--check')
const directories = globSync('packages/*/package.json', { cwd: ROOT }).map(path => resolve(ROOT, dirname(path)))
  .filter(directory => names.length === 0 || names.some(name => directory.endsWith(`/packages/${name}`))).sort()
const stale = []
for (const directory of directories) {
  const reports = reportsOf(directory)
  for (const path of leftOver(directory, reports)) {
    stale.push(path)
    if (!isCheck) rmSync(path)
  }
  for (const [path, text] of reports) {
    if (existsSync(path) && readFileSync(path, 'utf8') === text) continue
    stale.push(path)
    if (isCheck) continue
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text)
  }
}
for (const path of stale) console.log(`${isCheck ? 'out of date' : 'written'}: ${relative(ROOT, path)}`)
if (isCheck && stale.length > 0) {
  console.log('Run "pnpm run api" and commit the reports, if the change of the public interface is meant.')
  process.exitCode = 1
}
