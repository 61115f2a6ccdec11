import { spawnSync } from 'node:child_process'
import { Worker } from 'node:worker_threads'
import { expect, onTestFinished, test } from 'vitest'
import { FileSyncError } from '@filesync/protocol'
import { WorkerCalls } from '../src/node/worker-calls.ts'

/** Answers each call with its text, in the opposite order once it has `count` of them; other calls say how to fail. */
const ECHO = `
  const { parentPort } = require('node:worker_threads')
  let calls = []
  parentPort.on('message', call => {
    if (call.does === 'exit') process.exit(0)
    if (call.does === 'throw') throw new Error('broken')
    if (call.does === 'fail') parentPort.postMessage({ id: call.id, error: call.text })
    if (call.does !== 'echo') return
    calls.push(call)
    if (calls.length < call.count) return
    for (const { id, text } of calls.reverse()) parentPort.postMessage({ id, result: text })
    calls = []
  })`

interface Request {
  readonly id: number
  readonly does: 'echo' | 'fail' | 'wait' | 'exit' | 'throw'
  readonly text?: string
  readonly count?: number
}

type Reply = { readonly id: number, readonly result: string } | { readonly id: number, readonly error: string }

const closed = (): Error => new FileSyncError('ABORTED', 'closed')

function echo (): { calls: WorkerCalls<Request, Reply, string>, workers: Worker[] } {
  const workers: Worker[] = []
  const calls = new WorkerCalls<Request, Reply, string>({
    startWorker: () => {
      const worker = new Worker(ECHO, { eval: true })
      workers.push(worker)
      return worker
    },
    onMessage: reply => {
      if ('error' in reply) calls.reject(reply.id, new Error(reply.error))
      else calls.resolve(reply.id, reply.result)
    },
    errorOfFailure: cause => new FileSyncError('INTERNAL', 'failed', { cause }),
    errorOfExit: closed,
  })
  onTestFinished(async () => { await calls.close(closed()) })
  return { calls, workers }
}

test('resolves each call with its own answer, even if answers are out of order', async () => {
  const { calls } = echo()
  const texts = ['a', 'b', 'c']
  const answers = texts.map(text => calls.call<string>({ id: calls.nextId(), does: 'echo', text, count: 3 }))
  expect(calls.pending).toBe(3)
  expect(await Promise.all(answers)).toEqual(texts)
  expect(calls.pending).toBe(0)
})

test('rejects a call that is answered with an error, and serves later calls', async () => {
  const { calls } = echo()
  await expect(calls.call({ id: calls.nextId(), does: 'fail', text: 'no such file' })).rejects.toThrow('no such file')
  expect(await calls.call({ id: calls.nextId(), does: 'echo', text: 'a', count: 1 })).toBe('a')
})

test('keeps the note of a call until the call is answered', async () => {
  const { calls } = echo()
  const id = calls.nextId()
  const answer = calls.call({ id, does: 'echo', text: 'a', count: 1 }, undefined, 'note')
  expect(calls.noteOf(id)).toBe('note')
  await answer
  expect(calls.noteOf(id)).toBeUndefined()
})

test('ignores an answer to a call that is not pending', async () => {
  const { calls } = echo()
  const answer = calls.call({ id: calls.nextId(), does: 'echo', text: 'a', count: 1 })
  calls.resolve(1_000, 'b')
  calls.reject(1_000, new Error('c'))
  expect(await answer).toBe('a')
})

test('rejects pending and later calls if the worker exits', async () => {
  const { calls } = echo()
  const waiting = expect(calls.call({ id: calls.nextId(), does: 'wait' })).rejects.toMatchObject({ code: 'ABORTED' })
  calls.post({ does: 'exit' })
  await waiting
  expect(() => calls.nextId()).toThrow(expect.objectContaining({ code: 'ABORTED' }))
})

test('rejects pending and later calls with the cause if the worker fails', async () => {
  const { calls } = echo()
  const failure = { code: 'INTERNAL', cause: expect.objectContaining({ message: 'broken' }) as unknown }
  const waiting = expect(calls.call({ id: calls.nextId(), does: 'wait' })).rejects.toMatchObject(failure)
  calls.post({ does: 'throw' })
  await waiting
  expect(() => calls.nextId()).toThrow(expect.objectContaining({ code: 'INTERNAL' }))
})

test('rejects pending and later calls when it is closed, and ends the worker', async () => {
  const { calls, workers } = echo()
  const waiting = expect(calls.call({ id: calls.nextId(), does: 'wait' })).rejects.toThrow('closed')
  await calls.close(closed())
  await waiting
  expect(workers.map(worker => worker.threadId)).toEqual([-1])
  expect(() => calls.nextId()).toThrow('closed')
})

test('starts one worker with the first call, and none after it was closed', async () => {
  const { calls, workers } = echo()
  calls.post({ does: 'exit' })
  expect(workers).toHaveLength(0)
  calls.start()
  await calls.call({ id: calls.nextId(), does: 'echo', text: 'a', count: 1 })
  expect(workers).toHaveLength(1)
  const unused = echo()
  await unused.calls.close(closed())
  unused.calls.start()
  expect(unused.workers).toHaveLength(0)
})

test('adds no listeners to the worker with its calls', async () => {
  const { calls, workers } = echo()
  const count = (): number[] => workers.flatMap(worker => ['message', 'error', 'exit'].map(event => worker.listenerCount(event)))
  calls.start()
  const before = count()
  for (let call = 0; call < 20; call++) await calls.call({ id: calls.nextId(), does: 'echo', text: 'a', count: 1 })
  expect(count()).toEqual(before)
})

/** What a process prints before it exits: it awaits one promise, and code 13 means that it exited while that was pending. */
function run (awaited: string): { stdout: string, status: number | null } {
  const at = JSON.stringify(new URL('../src/node/worker-calls.ts', import.meta.url).href)
  const worker = `
    const { parentPort } = require('node:worker_threads')
    parentPort.on('message', ({ id }) => { setTimeout(() => { parentPort.postMessage(id) }, 50) })`
  const script = `
    const { Worker } = await import('node:worker_threads')
    const { WorkerCalls } = await import(${at})
    const calls = new WorkerCalls({
      startWorker: () => new Worker(${JSON.stringify(worker)}, { eval: true, execArgv: [] }),
      onMessage: id => { calls.resolve(id, 'answered') },
      errorOfFailure: cause => cause,
      errorOfExit: () => new Error('exited'),
    })
    console.log(await calls.call({ id: calls.nextId() }))
    ${awaited}`
  const { stdout, status } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], { encoding: 'utf8' })
  return { stdout, status }
}

test('keeps the process alive while a call is pending, and no longer', () => {
  expect(run('')).toEqual({ stdout: 'answered\n', status: 0 })
  expect(run('await new Promise(() => {})')).toEqual({ stdout: 'answered\n', status: 13 })
})

test('keeps the process alive while it is held', () => {
  const wait = 'await new Promise(resolve => { setTimeout(resolve, 50).unref() })'
  expect(run(wait)).toEqual({ stdout: 'answered\n', status: 13 })
  expect(run(`calls.hold(); ${wait}; calls.release(); console.log('released')`)).toEqual({ stdout: 'answered\nreleased\n', status: 0 })
})

test('rejects a call whose id was taken before the worker was closed, and starts no worker for it', async () => {
  const { calls, workers } = echo()
  const id = calls.nextId()
  await calls.close(closed())
  await expect(calls.call({ id, does: 'echo', text: 'late', count: 1 })).rejects.toThrow('closed')
  expect(workers).toEqual([])
})
