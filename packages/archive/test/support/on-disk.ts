import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { tmpdir } from 'node:os'
import { onTestFinished } from 'vitest'
import { ManualClock } from '@filesync/protocol/testing'
import { systemClock } from '@filesync/protocol/node'
import { openArchive } from '../../src/node/index.ts'
import type { ArchiveInit } from '../../src/node/index.ts'
import type { Area, Archive } from '../../src/index.ts'

export { describeFolder, describeSource, versionsIn } from './describe-disk.ts'

/** A folder that is removed after the test. In memory if possible, because these tests are about order, not about disks. */
export function newFolder (): string {
  const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'filesync-archive-'))
  onTestFinished(() => { rmSync(folder, { recursive: true, force: true }) })
  return folder
}

export class WallClock extends ManualClock {
  // Timers run in real time; only the wall time is set by the test.
  override schedule (delayMs: number, callback: () => void): () => void {
    return systemClock.schedule(delayMs, callback)
  }
}

/** An archive that is closed after the test. */
export async function newArchive (init: Partial<ArchiveInit> = {}): Promise<Archive> {
  const archive = await openArchive({
    root: init.root ?? newFolder(), keepMs: 30 * 86_400_000, deletions: 'mirror', reserveBytes: 0,
    clock: new WallClock(Date.now()), signal: new AbortController().signal, ...init,
  })
  // Before its folder is removed: vitest calls these in reverse order.
  onTestFinished(async () => { await archive.close() })
  return archive
}

/** An area of a new archive, and the archive's clock. */
export interface Site {
  readonly root: string
  readonly area: Area
  readonly clock: WallClock
}

/** The clock begins 100 hours ago, so that time can pass without a future. */
export async function newSite (root: string = newFolder()): Promise<Site> {
  const clock = new WallClock(Date.now() - 100 * 3_600_000)
  return { root, area: await (await newArchive({ root, clock })).area('laptop'), clock }
}
