import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { Queue } from '../src/queue.ts'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

test('items come in order, before and after the end', async () => {
  const queue = new Queue<number>()
  const expected = Array.from({ length: 5000 }, (_, i) => i)
  const taken: number[] = []
  for (const i of expected) {
    queue.push(i)
    if (i % 3 === 0) taken.push(await queue.take() as number)
  }
  queue.end()
  for (let item = await queue.take(); item !== undefined; item = await queue.take()) taken.push(item)
  expect(taken).toEqual(expected)
  expect(queue.length).toBe(0)
})

test('taken items are not retained', async () => {
  const queue = new Queue<{ frame: Uint8Array }>()
  const taken: WeakRef<object>[] = []
  for (let i = 0; i < 500; i++) queue.push({ frame: new Uint8Array(8) })
  for (let i = 0; i < 400; i++) taken.push(new WeakRef(await queue.take() as object))
  await new Promise(resolve => { setImmediate(resolve) })
  collectGarbage()
  expect(taken.filter(item => item.deref() !== undefined).length).toBeLessThan(2)
  expect(queue.length).toBe(100)
})

test('a failure rejects waiting and later takes', async () => {
  const queue = new Queue<number>()
  const waiting = queue.take()
  queue.fail(new Error('over'))
  await expect(waiting).rejects.toThrow('over')
  await expect(queue.take()).rejects.toThrow('over')
})
