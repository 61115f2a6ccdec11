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
  /** Reports of upkeep, and failures as text. */
  readonly reported: (UpkeepReport | string)[]
  /** Resolves after that many reports. */
  readonly waitForReports: (count: number) => Promise<void>
}

function stage (
  prune: (name: string) => Promise<number> = async () => 2, sign: UpkeepInit['sign'] = async () => undefined, areas = ['one', 'two'],
): Stage {
  const clock = new ManualClock()
  const calls: string[] = []
  const reported: (UpkeepReport | string)[] = []
  let wake: () => void = () => { /* nobody waits */ }
  const report = (made: UpkeepReport | string): void => {
    reported.push(made)
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
      if (!areas.includes(name)) throw new Error(`An area was created for ${name}.`)
      return area(name) as Area
    } },
    clock,
    sign,
    onDone: report,
    onFailed: (name, error) => { report(`${name} ${error.code}`) },
  })
  const waitForReports = async (count: number): Promise<void> => {
    while (reported.length < count) await new Promise<void>(resolve => { wake = resolve })
  }
  return { clock, upkeep, calls, reported, waitForReports }
}

test('checks the mirror after a session at most once a minute, and prunes at most once an hour', async () => {
  const { clock, upkeep, calls, reported, waitForReports } = stage()
  upkeep.schedule('one')
  await waitForReports(1)
  expect(reported).toEqual([{ area: 'one', pruned: 2, externalChanges: ['c', 'a'] }])
  upkeep.schedule('one')
  await waitForReports(2)
  expect(reported[1]).toEqual({ area: 'one', pruned: 0, externalChanges: [] })
  clock.advance(MINUTE_MS)
  upkeep.schedule('one')
  await waitForReports(3)
  clock.advance(HOUR_MS)
  upkeep.schedule('one')
  await waitForReports(4)
  expect(calls).toEqual(['prune one', 'check one', 'check one', 'prune one', 'check one'])
  await upkeep.close()
})

test('maintains every area at a long interval, also without sessions', async () => {
  const { clock, upkeep, calls, waitForReports } = stage()
  clock.advance(6 * HOUR_MS)
  await waitForReports(2)
  clock.advance(6 * HOUR_MS)
  await waitForReports(4)
  expect(calls.filter(call => call.startsWith('prune'))).toEqual(['prune one', 'prune two', 'prune one', 'prune two'])
  await upkeep.close()
  expect(clock.scheduled).toBe(0)
})

test('reports a failure, and continues with the next area', async () => {
  const { upkeep, reported, waitForReports } = stage(async name => {
    if (name === 'one') throw new FileSyncError('ARCHIVE_UNAVAILABLE', 'The disk is gone.')
    return 0
  })
  upkeep.schedule('one')
  upkeep.schedule('two')
  await waitForReports(2)
  expect(reported).toEqual(['one ARCHIVE_UNAVAILABLE', { area: 'two', pruned: 0, externalChanges: ['c', 'a'] }])
  await upkeep.close()
})

test('creates no area for a client that stored nothing', async () => {
  const { upkeep, reported, waitForReports } = stage()
  upkeep.schedule('left the queue')
  upkeep.schedule('two')
  await waitForReports(1)
  expect(reported).toEqual([{ area: 'two', pruned: 2, externalChanges: ['c', 'a'] }])
  await upkeep.close()
})

test('closing waits for running upkeep, and begins no more', async () => {
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

test('large files are signed first, and closing does not wait for a signature', async () => {
  const asked: unknown[] = []
  const { upkeep, calls, reported } = stage(undefined, async (fd, sizeBytes, signal) => {
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
  expect(reported.filter(report => typeof report === 'string')).toEqual([])
})
