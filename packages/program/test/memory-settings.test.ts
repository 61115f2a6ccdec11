import { spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'

const AT = JSON.stringify(new URL('../src/node/memory.ts', import.meta.url).href)

function run (script: string, flags: readonly string[] = []): { stdout: string, stderr: string, status: number | null } {
  const whole = `const { disableParallelCollection, saveMemory, setHeapGrowth } = await import(${AT}); ${script}`
  const args = [...flags, '--conditions=@filesync/source', '--input-type=module', '--eval', whole]
  const { stdout, stderr, status } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  return { stdout, stderr, status }
}

test('the engine accepts all settings and their reversal without a warning', () => {
  const script = `
    disableParallelCollection()
    setHeapGrowth(300)
    saveMemory(10)()
    const end = saveMemory(1_000_000)
    saveMemory(1_000_000)()
    end()
    end()
    console.log("went on")`
  expect(run(script)).toEqual({ stdout: 'went on\n', stderr: '', status: 0 })
})

/** The number of full collections while a program creates garbage that has become old. */
function fullCollections (settings: string): number {
  const churn = 'const kept = []; for (let i = 0; i < 400; i++) kept[i % 20] = Array.from({ length: 20_000 }, (_, at) => [at])'
  const { stdout, status } = run(`${settings} ${churn}`, ['--trace-gc'])
  expect(status).toBe(0)
  return stdout.split('Mark-Compact').length - 1
}

test('a heap that may grow is collected less often, except while a large tree is processed', () => {
  const rarely = fullCollections('setHeapGrowth(900);')
  expect(fullCollections('setHeapGrowth(20);')).toBeGreaterThan(rarely)
  if (Number.parseInt(process.versions.v8, 10) < 14) return
  expect(fullCollections('setHeapGrowth(900); saveMemory(1_000_000);')).toBeGreaterThan(rarely)
}, 30_000)
