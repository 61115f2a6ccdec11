import { execFile } from 'node:child_process'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

test('the example of the README runs', async () => {
  const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8')
  const example = /```ts\n(.*?)```/su.exec(readme)?.[1] as string
  const file = fileURLToPath(new URL('./readme-example.mts', import.meta.url))
  await writeFile(file, example)
  try {
    const { stdout } = await promisify(execFile)(process.execPath, ['--conditions=@filesync/source', file])
    expect(stdout).toBe('listing 0 is known to both\nreceived: Dear reader\nstored 1 file, 11 bytes\n')
  } finally {
    await rm(file)
  }
}, 30_000)
