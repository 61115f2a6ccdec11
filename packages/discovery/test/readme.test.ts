import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

test('the example of the README runs, and ends by itself', { timeout: 30_000 }, async () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  const example = /```ts\n(.*?)```/su.exec(readme)?.[1] ?? ''
  const args = ['--conditions=@filesync/source', '--input-type=module', '--eval', example]
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { cwd: fileURLToPath(new URL('..', import.meta.url)) })
  expect(stderr).toBe('')
  expect(stdout).toBe([
    "up Lamp, 2nd floor [ '127.0.0.1' ] 4433 { color: 'red' }",
    "changed Lamp, 2nd floor [ '127.0.0.1' ] 4433 { color: 'green' }",
    "gone Lamp, 2nd floor [ '127.0.0.1' ] 4433 { color: 'green' }",
    '',
  ].join('\n'))
})
