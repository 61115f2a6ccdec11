import { expect, test } from 'vitest'
import { FileSystemSync } from '../src/node/durable.ts'
import { newFolder } from './on-disk.ts'

// Elsewhere there is no call that flushes a whole file system.
test.runIf(process.platform === 'linux')('a flush that waits behind another one when the archive is closed ends with ABORTED, as if none had been asked for', async () => {
  const sync = new FileSystemSync(newFolder())
  await sync.run()
  const [first, second] = [sync.run(), sync.run()]
  sync.close()
  const [ran, waited, late] = await Promise.allSettled([first, second, first.then(async () => { await sync.run() })])
  expect(ran.status).toBe('fulfilled')
  for (const outcome of [waited, late]) expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'ABORTED' } })
})
