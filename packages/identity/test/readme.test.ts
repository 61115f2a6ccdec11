import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { temporaryDir } from './support/machines.ts'

test('the example of the README prints what it says', async () => {
  const root = fileURLToPath(new URL('..', import.meta.url))
  const [, example = '', output] = /```js\n(.*?)```.*?```text\n(.*?)```/su.exec(await readFile(`${root}README.md`, 'utf8')) ?? []
  const run = promisify(execFile)
  const { stdout } = await run(process.execPath, ['--conditions=@filesync/source', '--input-type=module', '--eval', example], {
    cwd: root, env: { ...process.env, TMPDIR: await temporaryDir() },
  })
  expect(stdout).toBe(output)
})
