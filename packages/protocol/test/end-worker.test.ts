import { spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'

test('a process that ends an unreferenced worker stays alive until the worker has ended', () => {
  const at = JSON.stringify(new URL('../src/node/end-worker.ts', import.meta.url).href)
  const script = `
    const { Worker } = await import('node:worker_threads')
    const { endWorker } = await import(${at})
    const workers = Array.from({ length: 8 }, () => new Worker('setInterval(() => {}, 1000)', { eval: true }))
    for (const worker of workers) worker.unref()
    await Promise.all(workers.map(endWorker))
    console.log('ended')`
  const { stdout, stderr, status } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], { encoding: 'utf8' })
  expect({ stdout, stderr, status }).toEqual({ stdout: 'ended\n', stderr: '', status: 0 })
})
