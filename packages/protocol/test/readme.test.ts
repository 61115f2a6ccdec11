import { readFileSync } from 'node:fs'
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

it('the example of the README runs and prints the documented output', () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  const [, example = ''] = /```ts\n(.*?)```/su.exec(readme) ?? []
  const [, promised] = /^\/\/ (.*)$/mu.exec(example) ?? []
  expect(promised).toBeDefined()
  const printed = execFileSync(process.execPath, ['--conditions=@filesync/source', '--input-type=module-typescript', '--eval', example], {
    cwd: fileURLToPath(new URL('..', import.meta.url)), encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'],
  })
  expect(printed.trim()).toBe(promised)
})
