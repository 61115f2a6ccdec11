import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

test('the example of the README runs, waits for its files to settle, and exits', () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  const [, example = ''] = /```js\n(.*?)```/su.exec(readme) ?? []
  const printed = execFileSync(process.execPath, ['--conditions=@filesync/source', '--input-type=module', '--eval', example], {
    cwd: fileURLToPath(new URL('..', import.meta.url)), encoding: 'utf8',
  })
  expect(printed).toMatch(/^2 files, 11 bytes, digest [0-9a-f]{64}\n/u)
  expect(printed).toContain("source: '.filesyncignore'")
}, 20_000)
