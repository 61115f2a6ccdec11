import { spawnSync } from 'node:child_process'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

// Other machines install other native builds, of other sizes.
test.runIf(process.platform === 'linux' && process.arch === 'x64')('no package takes more room than docs/install-size.md says', () => {
  const script = fileURLToPath(new URL('../../scripts/install-size.js', import.meta.url))
  const { stdout, stderr } = spawnSync(process.execPath, [script, '--check'], { encoding: 'utf8' })
  expect(stdout + stderr).toBe('')
})
