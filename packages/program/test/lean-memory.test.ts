import { spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'

const AT = JSON.stringify(new URL('../src/node/lean-memory.ts', import.meta.url).href)

function run (script: string): { stdout: string, stderr: string, status: number | null } {
  const whole = `const { leanMemory, letHeapGrow } = await import(${AT}); ${script}`
  const { stdout, stderr, status } = spawnSync(process.execPath, ['--conditions=@filesync/source', '--input-type=module', '--eval', whole], { encoding: 'utf8' })
  return { stdout, stderr, status }
}

test('a large tree changes how the engine cleans up, and its end changes it back, without a word from it', () => {
  const script = 'letHeapGrow(300); leanMemory(10)(); const over = leanMemory(1_000_000); leanMemory(1_000_000)(); over(); over(); console.log("went on")'
  expect(run(script)).toEqual({ stdout: 'went on\n', stderr: '', status: 0 })
})

test('the engine holds less garbage while a large tree is dealt with', () => {
  const churn = 'const kept = []; let highest = 0; for (let i = 0; i < 300; i++) { kept[i % 20] = Array.from({ length: 20_000 }, (_, at) => [at]); highest = Math.max(highest, process.memoryUsage().heapTotal) } console.log(highest)'
  const plain = Number(run(`letHeapGrow(300); ${churn}`).stdout)
  const lean = Number(run(`letHeapGrow(300); leanMemory(1_000_000); ${churn}`).stdout)
  expect(plain).toBeGreaterThan(0)
  if (Number.parseInt(process.versions.v8, 10) >= 14) expect(lean).toBeLessThan(0.8 * plain)
})
