import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { FileSystemSync } from '../src/node/durable.ts'
import { newFolder } from './support/on-disk.ts'

// Elsewhere there is no call that flushes a whole file system.
test.runIf(process.platform === 'linux')('a flush that waits for another one when the archive is closed ends with ABORTED', async () => {
  const sync = new FileSystemSync(newFolder())
  await sync.run()
  const [first, second] = [sync.run(), sync.run()]
  sync.close()
  const [ran, waited, late] = await Promise.allSettled([first, second, first.then(async () => { await sync.run() })])
  expect(ran.status).toBe('fulfilled')
  for (const outcome of [waited, late]) expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'ABORTED' } })
})

test.runIf(process.platform === 'linux')('a shell that is killed is replaced, and only the flush that it was running fails', async () => {
  const folder = newFolder()
  const sync = new FileSystemSync(folder)
  await sync.run()
  for (let round = 0; round < 3; round++) {
    const shell = shellOf(folder)
    if (shell === undefined) throw new Error('There is no shell.')
    process.kill(shell, 'SIGSTOP')
    const asked = sync.run()
    process.kill(shell, 'SIGKILL')
    await expect(asked).rejects.toMatchObject({ code: 'ARCHIVE_UNAVAILABLE' })
    await sync.run()
  }
  sync.close()
})

/** Other archives of this process, which other tests opened, have shells of their own. */
function shellOf (folder: string): number | undefined {
  const listed = readFileSync(`/proc/${String(process.pid)}/task/${String(process.pid)}/children`, 'latin1')
  const children = listed.split(' ').filter(text => text !== '').map(Number)
  return children.find(child => readFileSync(`/proc/${String(child)}/cmdline`, 'utf8').split('\0').includes(folder))
}
