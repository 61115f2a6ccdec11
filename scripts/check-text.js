import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/**
 * Fails on lines over 140 columns, and on the words that docs/glossary.md retires, in code and documentation.
 *
 * usage: node scripts/check-text.js [PATH ...]
 */
const COLUMNS = 140
const TEXT = /\.(ts|js|mjs|mts|md)$/
/** A row of a table cannot be wrapped, and a block of code in a document shows what a program prints. */
const TABLE_COLUMNS = 280
/** The glossary names what it retires. Notes on changes are made from others, and by a tool. */
const EXEMPT = /^(docs\/glossary\.md|\.changeset\/|.*CHANGELOG\.md)/

function retiredWords () {
  const glossary = readFileSync(new URL('../docs/glossary.md', import.meta.url), 'utf8')
  const table = glossary.slice(glossary.indexOf('## Retired words'))
  const words = [...table.matchAll(/^\| (`[^|]*`) \|/gm)].flatMap(([, cell]) => [...cell.matchAll(/`([^`]+)`/g)].map(([, word]) => word))
  return new RegExp(`(?<![\\w-])(${words.join('|')})(?![\\w-])`, 'i')
}

const retired = retiredWords()
const files = execFileSync('git', ['ls-files', '-z', '--', ...process.argv.slice(2)], { encoding: 'utf8' }).split('\0')
const faults = []
for (const file of files.filter(name => TEXT.test(name) && !EXEMPT.test(name))) {
  let isFenced = false
  for (const [at, line] of readFileSync(file, 'utf8').split('\n').entries()) {
    const isDocument = file.endsWith('.md')
    if (isDocument && line.startsWith('```')) isFenced = !isFenced
    const columns = [...line].length
    if (columns > (isDocument && line.startsWith('|') ? TABLE_COLUMNS : COLUMNS) && !isFenced) faults.push(`${file}:${at + 1}: ${columns} columns`)
    const word = retired.exec(line.replaceAll(/behind (a|the) (firewall|NAT|proxy)/g, ''))?.[0]
    if (word !== undefined) faults.push(`${file}:${at + 1}: "${word}" is retired`)
  }
}
for (const fault of faults) console.log(fault)
if (faults.length > 0) {
  console.log(`${faults.length} lines to mend: at most ${COLUMNS} columns, and no word that docs/glossary.md retires`)
  process.exitCode = 1
}
