import { execFileSync, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { hasDescriptorPaths } from '../src/node/index.ts'

const canMount = spawnSync('unshare', ['-m', 'true']).status === 0
if (!canMount) console.warn('Skipped: a /proc that is none, because mount namespaces are not permitted here')

test('descriptors have paths only on Linux', () => {
  expect(hasDescriptorPaths()).toBe(process.platform === 'linux')
})

test.runIf(canMount)('a directory that only has the name of procfs is not trusted', () => {
  const module = fileURLToPath(new URL('../src/node/descriptor-paths.ts', import.meta.url))
  const script = `import(${JSON.stringify(module)}).then(({ hasDescriptorPaths }) => { console.log(hasDescriptorPaths()) })`
  const pretend = 'mount -t tmpfs none /proc && mkdir -p /proc/self/fd && exec "$0" -e "$1"'
  expect(execFileSync('unshare', ['-m', 'sh', '-c', pretend, process.execPath, script], { encoding: 'utf8' }).trim()).toBe('false')
})
