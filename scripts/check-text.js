import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/**
 * Fails on lines over 140 columns, and on the words that docs/glossary.md retires, in code and documentation.
 *
 * usage: node scripts/check-text.js [PATH ...]
 */
const COLUMNS = 140
const TEXT = /\.(ts|js|mjs|mts|md)$/
/** The one use of a retired word that is a term of the field. */
const NETWORK_PHRASE = /behind (a|the) (firewall|NAT|proxy)/g
/** A row of a table cannot be wrapped, and a block of code in a document shows what a program prints. */
const TABLE_COLUMNS = 280
/** The glossary and this script name what is retired. Tools write the change logs and the reports of the interfaces. */
const EXEMPT = /^(docs\/glossary\.md|scripts\/check-text\.js|\.changeset\/|.*CHANGELOG\.md|packages\/\w+\/etc\/)/

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
    const most = isDocument && line.startsWith('|') ? TABLE_COLUMNS : COLUMNS
    if (columns > most && !isFenced) faults.push(`${file}:${at + 1}: ${columns} columns`)
    const word = retired.exec(line.replaceAll(NETWORK_PHRASE, ''))?.[0]
    if (word !== undefined) faults.push(`${file}:${at + 1}: "${word}" is retired`)
  }
}
for (const fault of faults) console.log(fault)
if (faults.length > 0) {
  console.log(`${faults.length} lines to mend: at most ${COLUMNS} columns, and no word that docs/glossary.md retires`)
  process.exitCode = 1
}
