import { spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'

test('a large tree changes how the engine cleans up, without a word from it', () => {
  const at = new URL('../src/lean-memory.ts', import.meta.url).href
  const script = `const { leanMemory } = await import(${JSON.stringify(at)}); leanMemory(10); leanMemory(1_000_000); console.log('went on')`
  const { stdout, stderr, status } = spawnSync(process.execPath, ['--conditions=@filesync/source', '--input-type=module', '--eval', script], { encoding: 'utf8' })
  expect({ stdout, stderr, status }).toEqual({ stdout: 'went on\n', stderr: '', status: 0 })
})
