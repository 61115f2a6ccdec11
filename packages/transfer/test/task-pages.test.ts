import { LIMITS } from '@filesync/protocol'
import type { RelativePath, Task } from '@filesync/protocol'
import { createHasher, hashBytes } from '@filesync/protocol/node'
import { ManualClock, memoryTree, randomBytes } from '@filesync/protocol/testing'
import { expect, test } from 'vitest'
import { deltaTasks } from '../src/index.ts'
import { OutstandingTasks } from '../src/outstanding-tasks.ts'
import { taskPages } from '../src/task-pages.ts'
import { MemorySource, MemoryStore } from '../src/testing/index.ts'
import { listAll, signatureOf, sync } from './support/session.ts'

async function pageSizes (tasks: Iterable<Task | Promise<Task>>): Promise<[number, boolean][]> {
  const sizes: [number, boolean][] = []
  for await (const page of taskPages(tasks, new ManualClock())) sizes.push([page.tasks.length, page.last])
  return sizes
}

test('pages after the first are full, and the last one is marked', async () => {
  const whole: Task = [0, 0]
  expect(await pageSizes([])).toEqual([[0, true]])
  expect(await pageSizes([whole])).toEqual([[1, true]])
  expect(await pageSizes(new Array<Task>(1024).fill(whole))).toEqual([[1024, true]])
  expect(await pageSizes(new Array<Task>(1024 + LIMITS.tasksPerPage).fill(whole))).toEqual([[1024, false], [8192, true]])
  expect(await pageSizes(new Array<Task>(1024 + LIMITS.tasksPerPage + 1).fill(whole))).toEqual([[1024, false], [8192, false], [1, true]])
})

test('the signatures of a page are limited, except for a single larger one', async () => {
  const large: Task = [0, 0, 'DELTA', 40 << 20]
  const small: Task = [0, 0, 'DELTA', 6 << 20]
  expect(await pageSizes([large, large, small, small, small, [0, 0]])).toEqual([[1, false], [1, false], [2, false], [2, true]])
})

test('slow tasks do not delay those before them', async () => {
  const clock = new ManualClock()
  let release: () => void = () => { /* set below */ }
  const gate = new Promise<void>(resolve => { release = resolve })
  function * slow (): Generator<Task | Promise<Task>> {
    yield [0, 0]
    yield Promise.resolve<Task>([0, 1])
    yield gate.then((): Task => [0, 2])
  }
  const pages = taskPages(slow(), clock)
  const first = pages.next()
  for (let turn = 0; turn < 50 && clock.scheduled === 0; turn++) await Promise.resolve()
  clock.advance(20)
  expect((await first).value).toEqual({ tasks: [[0, 0], [0, 1]], last: false })
  release()
  expect((await pages.next()).value).toEqual({ tasks: [[0, 2]], last: true })
  expect(clock.scheduled).toBe(0)
})

test('large files with a copy on the server are asked for as deltas', async () => {
  const old = randomBytes(600_000, 91)
  const tree = memoryTree({ changed: new Uint8Array([...old, 1]), fresh: randomBytes(600_000, 92), small: 'text' }, hashBytes)
  const store = new MemoryStore()
  store.files.set('changed' as RelativePath, old)
  store.files.set('small' as RelativePath, Uint8Array.of(1))
  const { files } = listAll(tree)
  const { tasks, signature } = deltaTasks({
    tasks: files.map(({ at }) => at),
    sizeOf: task => files[task]?.entry.sizeBytes ?? 0,
    fromBytes: 400_000,
    present: async task => {
      const copy = store.files.get(files[task]?.path as RelativePath)
      return copy === undefined ? undefined : { sizeBytes: copy.length, sign: async () => signatureOf(copy) }
    },
  })
  const source = new MemorySource({ content: path => tree.content(path), hashBytes, createHasher })
  const { server, serverConnection } = await sync({ tree, source, store, server: { tasks, signature } })
  expect(server).toMatchObject({ files: 3, problemCount: 0 })
  for (const [path, bytes] of store.files) expect(Buffer.compare(bytes, tree.content(path) as Uint8Array)).toBe(0)
  // The new file whole, and at most two chunks of the changed one.
  expect(serverConnection.bytesReceived).toBeLessThan(1_000_000)
  expect(() => signature(0)).toThrow(RangeError)
})

test('a partial with most of the file is continued', async () => {
  const present = { sizeBytes: 8_000_000, sign: async () => new Uint8Array(100) }
  const at = async (offset: number): Promise<Task | undefined> => {
    const [task] = deltaTasks({ tasks: [[0, 0, 'RESUME', offset]], sizeOf: () => 10_000_000, present: async () => present }).tasks
    return await task
  }
  expect(await at(4_000_000)).toEqual([0, 0, 'RESUME', 4_000_000])
  expect(await at(3_999_999)).toEqual([0, 0, 'DELTA', 100])
})

test('a large partial is continued, however large the file is', async () => {
  const present = { sizeBytes: 8e9, sign: async () => new Uint8Array(100) }
  const at = async (offset: number): Promise<Task | undefined> => {
    const [task] = deltaTasks({ tasks: [[0, 0, 'RESUME', offset]], sizeOf: () => 8e9, present: async () => present }).tasks
    return await task
  }
  expect(await at(32 << 20)).toEqual([0, 0, 'RESUME', 32 << 20])
  expect(await at((32 << 20) - 1)).toEqual([0, 0, 'DELTA', 100])
})

test('a file whose copy cannot be read is asked for whole', async () => {
  const present = { sizeBytes: 8_000_000, sign: async () => undefined }
  const { tasks } = deltaTasks({ tasks: [[0, 0]], sizeOf: () => 8_000_000, present: async () => present })
  for (const task of tasks) expect(await task).toEqual([0, 0])
})

test('the window of tasks grows with the answers', async () => {
  const outstanding = new OutstandingTasks(() => ({ path: 'a' as RelativePath, sizeBytes: 1 }))
  const tasks = (count: number): Task[] => new Array<Task>(count).fill([0, 0])
  await outstanding.add(tasks(1024), false)
  let isAsked = false
  const next = outstanding.add(tasks(LIMITS.tasksPerPage), true).then(() => { isAsked = true })
  for (let task = 0; task < 480; task++) {
    outstanding.answer(task)
    await Promise.resolve()
  }
  expect(isAsked).toBe(false)
  for (let task = 480; task < 520; task++) outstanding.answer(task)
  await next
  expect(outstanding.asked).toBe(1024 + LIMITS.tasksPerPage)
})

test('a client that has answered everything is asked for more, whatever the window', async () => {
  const outstanding = new OutstandingTasks(() => ({ path: 'a' as RelativePath, sizeBytes: 1 }))
  await outstanding.add([[0, 0]], false)
  const next = outstanding.add(new Array<Task>(LIMITS.tasksPerPage).fill([0, 1]), true)
  outstanding.answer(0)
  expect(await next).toBe(1)
})
