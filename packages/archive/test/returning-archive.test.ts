import { expect, test } from 'vitest'
import { FileSyncError } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import { ManualClock } from '@filesync/protocol/testing'
import { ReopeningArchive } from '../src/index.ts'
import type { Archive } from '../src/index.ts'
import { memoryArchive, MemoryIndex, MemoryStore } from '../src/testing/index.ts'
import { LoopDisk, mayMountImages } from './support/disks.ts'
import { describeFolder, describeSource, newArchive } from './support/on-disk.ts'
import { push } from './support/push.ts'
import { SourceTree } from './support/source-tree.ts'

const GONE = new FileSyncError('ARCHIVE_UNAVAILABLE', 'The disk is gone.')

/** An archive in memory whose disk is pulled out by setting `failure`. */
class Cable {
  readonly clock = new ManualClock()
  readonly log: string[] = []
  failure: Error | undefined
  opened = 1
  closed = 0
  /** Keeps an archive that is closed from ever being closed. */
  hangs = false
  readonly #store = new MemoryStore({ hash: hashBytes, clock: this.clock, before: () => { this.#throwIfGone() } })
  readonly #index = new MemoryIndex()
  readonly archive: ReopeningArchive = new ReopeningArchive(this.#open(), {
    reopen: async () => {
      this.#throwIfGone()
      this.opened++
      return await Promise.resolve(this.#open())
    },
    clock: this.clock,
    onUnavailable: ({ message }) => { this.log.push(`away: ${message}`) },
    onAvailable: () => { this.log.push('back') },
  })

  #throwIfGone (): void {
    if (this.failure !== undefined) throw this.failure
  }

  #open (): Archive {
    const archive = memoryArchive({ hash: hashBytes, clock: this.clock, store: this.#store, index: this.#index })
    const close = archive.close.bind(archive)
    archive.close = async () => {
      this.closed++
      if (this.hangs) await new Promise(() => { /* as a disk does that answers no more */ })
      await close()
    }
    return archive
  }
}

async function turn (): Promise<void> {
  for (let i = 0; i < 50; i++) await Promise.resolve()
}

test('an archive that disappears is closed and reported, and opened again when it is back', async () => {
  const cable = new Cable()
  const { archive, clock } = cable
  await push(await archive.area('laptop'), new SourceTree().write('a', 'a'))
  expect(archive.areas()).toEqual(['laptop'])
  cable.failure = GONE
  await expect(archive.ensurePresent('path')).rejects.toBe(GONE)
  await expect(archive.area('laptop')).rejects.toBe(GONE)
  await expect(archive.room()).rejects.toBe(GONE)
  expect(archive.areas()).toEqual(['laptop'])
  expect([cable.closed, archive.unavailable]).toEqual([1, GONE])
  clock.advance(60_000)
  await turn()
  expect(cable.log).toEqual(['away: The disk is gone.'])
  cable.failure = undefined
  clock.advance(3_000)
  await turn()
  expect(cable.log).toEqual(['away: The disk is gone.', 'back'])
  expect([cable.opened, archive.unavailable]).toEqual([2, undefined])
  const changed = new SourceTree().write('a', 'a').write('b', 'b')
  expect(await push(await archive.area('laptop'), changed)).toMatchObject({ asked: ['b'], problems: [] })
})

test('an archive that is back is opened before the next answer, once for all callers', async () => {
  const cable = new Cable()
  cable.failure = GONE
  await expect(cable.archive.ensurePresent('path')).rejects.toBe(GONE)
  cable.failure = undefined
  await Promise.all([cable.archive.ensurePresent('path'), cable.archive.ensurePresent('disk'), cable.archive.room()])
  expect(cable.opened).toBe(2)
})

test('a disk that hangs prevents neither opening the archive again nor closing it', async () => {
  const cable = new Cable()
  cable.failure = GONE
  cable.hangs = true
  const asked = cable.archive.ensurePresent('path')
  await turn()
  cable.failure = undefined
  cable.clock.advance(5_000)
  await asked
  expect(cable.opened).toBe(2)
  cable.hangs = false
  await cable.archive.close()
  await expect(cable.archive.ensurePresent('path')).resolves.toBeUndefined()
})

test('an archive that is closed while it is away is not opened again', async () => {
  const cable = new Cable()
  cable.failure = GONE
  await expect(cable.archive.ensurePresent('path')).rejects.toBe(GONE)
  await cable.archive.close()
  cable.failure = undefined
  cable.clock.advance(60_000)
  await turn()
  expect([cable.opened, cable.closed]).toEqual([1, 1])
})

// Mounting an image takes root, and the ioctl a file system that knows it.
test.runIf(mayMountImages)('an archive is closed when its disk is pulled out, and opened again when it is back', async ({ skip }) => {
  const disk = new LoopDisk()
  disk.mount()
  const clock = new ManualClock()
  const first = await newArchive({ root: disk.at })
  const archive = new ReopeningArchive(first, {
    reopen: () => newArchive({ root: disk.at, expectedId: first.id }),
    clock,
    onUnavailable () { /* asked for */ },
    onAvailable () { /* asked for */ },
  })
  const source = new SourceTree().write('a', 'a')
  await push(await archive.area('laptop'), source)
  const area = await archive.area('laptop')
  skip(!disk.pull(), 'There is no python3 here, or the file system cannot be shut down.')
  await expect(push(area, source.write('b', 'b'))).rejects.toMatchObject({ code: 'ARCHIVE_UNAVAILABLE' })
  await expect(archive.ensurePresent('disk')).rejects.toMatchObject({ code: 'ARCHIVE_UNAVAILABLE' })
  // Nothing of it is held open any more.
  await disk.unmountWhole()
  await expect(archive.ensurePresent('path')).rejects.toMatchObject({
    code: 'ARCHIVE_UNAVAILABLE',
    message: expect.stringContaining('--accept-archive') as unknown,
  })
  disk.mount()
  await archive.ensurePresent('disk')
  expect(await push(await archive.area('laptop'), source)).toMatchObject({ asked: ['b'], problems: [] })
  expect(describeFolder(`${disk.at}/laptop`)).toEqual(describeSource(source))
  await archive.close()
})
