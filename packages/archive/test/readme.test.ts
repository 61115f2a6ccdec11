import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

test('the example of the README runs', () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  const code = /```ts\n([\s\S]*?)```/.exec(readme)?.[1] ?? ''
  // Beside this file, so that the packages are found.
  const folder = mkdtempSync(join(import.meta.dirname, 'readme-'))
  try {
    writeFileSync(join(folder, 'example.ts'), code.replaceAll('/tmp/filesync-example', join(folder, 'archive')))
    const run = spawnSync(process.execPath, ['--conditions=@filesync/source', join(folder, 'example.ts')], { encoding: 'utf8' })
    expect(run.stderr).toBe('')
    expect(run.stdout).toMatch(/stored tree: [0-9a-f]{64}\n\[ '\.filesync', 'laptop' \]/)
  } finally {
    rmSync(folder, { recursive: true })
  }
})
