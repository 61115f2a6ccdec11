import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

test('the example of the README runs, and ends by itself', { timeout: 30_000 }, async () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  const example = /```js\n(.*?)```/su.exec(readme)?.[1] ?? ''
  const args = ['--conditions=@filesync/source', '--input-type=module', '--eval', example]
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { cwd: fileURLToPath(new URL('..', import.meta.url)) })
  expect(stderr).toBe('')
  expect(stdout).toMatch(/^found 127\.0\.0\.1 port 4433 over lo0?\n$/u)
})
