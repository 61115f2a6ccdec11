import { spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'

const AT = JSON.stringify(new URL('../src/node/engine-memory.ts', import.meta.url).href)

function run (script: string, flags: readonly string[] = []): { stdout: string, stderr: string, status: number | null } {
  const whole = `const { collectAlone, leanMemory, letHeapGrow } = await import(${AT}); ${script}`
  const { stdout, stderr, status } = spawnSync(process.execPath, [...flags, '--conditions=@filesync/source', '--input-type=module', '--eval', whole], { encoding: 'utf8' })
  return { stdout, stderr, status }
}

test('a large tree changes how the engine cleans up, and its end changes it back, without a word from it', () => {
  const script = 'collectAlone(); letHeapGrow(300); leanMemory(10)(); const over = leanMemory(1_000_000); leanMemory(1_000_000)(); over(); over(); console.log("went on")'
  expect(run(script)).toEqual({ stdout: 'went on\n', stderr: '', status: 0 })
})

/** How often all of the heap was walked while garbage that had grown old was made. */
function walks (settings: string): number {
  const churn = 'const kept = []; for (let i = 0; i < 400; i++) kept[i % 20] = Array.from({ length: 20_000 }, (_, at) => [at])'
  const { stdout, status } = run(`${settings} ${churn}`, ['--trace-gc'])
  expect(status).toBe(0)
  return stdout.split('Mark-Compact').length - 1
}

test('a heap that may grow is walked less often, and as often as ever while a large tree is dealt with', () => {
  const rarely = walks('letHeapGrow(900);')
  expect(walks('letHeapGrow(20);')).toBeGreaterThan(rarely)
  if (Number.parseInt(process.versions.v8, 10) >= 14) expect(walks('letHeapGrow(900); leanMemory(1_000_000);')).toBeGreaterThan(rarely)
}, 30_000)
