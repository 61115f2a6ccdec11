import { expect, test } from 'vitest'
import type { Area } from '@filesync/archive'
import { FileSyncError } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import { ManualClock } from '@filesync/protocol/testing'
import { Upkeep } from '../src/archive/upkeep.ts'
import type { UpkeepInit, UpkeepReport } from '../src/archive/upkeep.ts'

const HOUR_MS = 3_600_000
const MINUTE_MS = 60_000

interface Stage {
  readonly clock: ManualClock
  readonly upkeep: Upkeep
  readonly calls: string[]
  readonly told: (UpkeepReport | string)[]
  /** Resolves when so many reports were made. */
  readonly reports: (count: number) => Promise<void>
}

function stage (prune: (name: string) => Promise<number> = async () => 2, sign: UpkeepInit['sign'] = async () => undefined, areas = ['one', 'two']): Stage {
  const clock = new ManualClock()
  const calls: string[] = []
  const told: (UpkeepReport | string)[] = []
  let wake: () => void = () => { /* nobody waits */ }
  const tell = (report: UpkeepReport | string): void => {
    told.push(report)
    wake()
  }
  const area = (name: string): Pick<Area, 'prune' | 'checkMirror' | 'signLarge'> => ({
    signLarge: async (make, fromBytes) => {
      if (name !== 'large') return 0
      calls.push(`sign ${fromBytes}`)
      await make({ fd: 7, sizeBytes: fromBytes })
      return 1
    },
    prune: async () => {
      calls.push(`prune ${name}`)
      return await prune(name)
    },
    checkMirror: async () => {
      calls.push(`check ${name}`)
      return { changed: ['c' as RelativePath], removed: [], added: ['a' as RelativePath] }
    },
  })
  const upkeep = new Upkeep({
    archive: { areas: () => areas, area: async name => {
      if (!areas.includes(name)) throw new Error(`A folder is made for ${name}.`)
      return area(name) as Area
    } },
    clock,
    sign,
    onDone: tell,
    onFailed: (name, error) => { tell(`${name} ${error.code}`) },
  })
  const reports = async (count: number): Promise<void> => {
    while (told.length < count) await new Promise<void>(resolve => { wake = resolve })
  }
  return { clock, upkeep, calls, told, reports }
}

test('after a session its area is pruned and looked over, but looked over no more than once a minute, and pruned once an hour', async () => {
  const { clock, upkeep, calls, told, reports } = stage()
  upkeep.schedule('one')
  await reports(1)
  expect(told).toEqual([{ area: 'one', pruned: 2, externalChanges: ['c', 'a'] }])
  upkeep.schedule('one')
  await reports(2)
  expect(told[1]).toEqual({ area: 'one', pruned: 0, externalChanges: [] })
  clock.advance(MINUTE_MS)
  upkeep.schedule('one')
  await reports(3)
  clock.advance(HOUR_MS)
  upkeep.schedule('one')
  await reports(4)
  expect(calls).toEqual(['prune one', 'check one', 'check one', 'prune one', 'check one'])
  await upkeep.close()
})

test('every area has its turn at a slow interval, also without sessions', async () => {
  const { clock, upkeep, calls, reports } = stage()
  clock.advance(6 * HOUR_MS)
  await reports(2)
  clock.advance(6 * HOUR_MS)
  await reports(4)
  expect(calls.filter(call => call.startsWith('prune'))).toEqual(['prune one', 'prune two', 'prune one', 'prune two'])
  await upkeep.close()
  expect(clock.scheduled).toBe(0)
})

test('what fails is told, and the next area has its turn', async () => {
  const { upkeep, told, reports } = stage(async name => {
    if (name === 'one') throw new FileSyncError('ARCHIVE_UNAVAILABLE', 'The disk is gone.')
    return 0
  })
  upkeep.schedule('one')
  upkeep.schedule('two')
  await reports(2)
  expect(told).toEqual(['one ARCHIVE_UNAVAILABLE', { area: 'two', pruned: 0, externalChanges: ['c', 'a'] }])
  await upkeep.close()
})

test('whoever stored nothing has no area to look after, and none is made', async () => {
  const { upkeep, told, reports } = stage()
  upkeep.schedule('left the queue')
  upkeep.schedule('two')
  await reports(1)
  expect(told).toEqual([{ area: 'two', pruned: 2, externalChanges: ['c', 'a'] }])
  await upkeep.close()
})

test('closing waits for what is under way and begins no more', async () => {
  let finish: () => void = () => { /* set below */ }
  const slow = new Promise<void>(resolve => { finish = resolve })
  const { upkeep, calls } = stage(async () => { await slow; return 0 })
  upkeep.schedule('one')
  upkeep.schedule('two')
  const closed = upkeep.close()
  finish()
  await closed
  upkeep.schedule('two')
  expect(calls.filter(call => call.startsWith('prune'))).toEqual(['prune one'])
})

test('large files are signed first, and a server that stops does not wait for it', async () => {
  const asked: unknown[] = []
  const { upkeep, calls, told } = stage(undefined, async (fd, sizeBytes, signal) => {
    asked.push([fd, sizeBytes])
    return await new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => { reject(new FileSyncError('ABORTED', 'Signing was stopped.')) }, { once: true })
    })
  }, ['large'])
  upkeep.schedule('large')
  while (asked.length === 0) await Promise.resolve()
  expect(calls).toEqual(['sign 134217728'])
  await upkeep.close()
  expect(asked).toEqual([[7, 134_217_728]])
  expect(told.filter(report => typeof report === 'string')).toEqual([])
})
