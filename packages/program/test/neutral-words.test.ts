import { globSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const APPS = /filesync-(?:server|client)|FILESYNC|--(?:server|state-dir|metrics|interface|bind|archive)\b/u

/** Texts in the code of a package, without its comments, imports and names. */
function textsOf (source: string): string[] {
  const code = source.replace(/^\s*(?:import|export) .* from .*$|^\s*(?:\/\/|\/?\*).*$/gmu, '')
  return [...code.matchAll(/'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`/gu)].map(([text]) => text)
}

test.each(['program', 'discovery'])('no text of %s names a command, option or environment variable of the programs', name => {
  const root = fileURLToPath(new URL(`../../${name}/src/`, import.meta.url))
  const found = globSync('**/*.ts', { cwd: root }).flatMap(file => textsOf(readFileSync(`${root}${file}`, 'utf8'))
    .filter(text => APPS.test(text))
    .map(text => `${file}: ${text}`))
  expect(found).toEqual([])
})
