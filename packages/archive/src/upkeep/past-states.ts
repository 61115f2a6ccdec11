import { equalDigests, FileSyncError, ROOT_PATH } from '@filesync/protocol'
import type { Clock, Digest, HashBytes, RelativePath } from '@filesync/protocol'
import type { Area, Moment, PointsOptions, RestoredMoment, RestoreOptions, RestoreReport, Version } from '../archive.ts'
import type { PastTree } from '../past-tree.ts'
import { findPoint, keptPoints, pastMoment, pointAt } from '../history/moment.ts'
import { pointsOf } from '../history/path-points.ts'
import { stateAt, versionsOf } from '../history/past-state.ts'
import type { PastMoment, PastState } from '../history/past-state.ts'
import { pointId, shownPoint } from '../history/point-log.ts'
import type { ArchiveIndex } from '../store/archive-index.ts'
import type { ContentStore } from '../store/content-store.ts'
import { isoTime } from '../store/iso-time.ts'
import { knownPaths } from '../store/lookup.ts'
import { isUnknown } from '../store/unknown-entry.ts'
import type { AreaLock } from './area-lock.ts'
import { StoredPastTree } from './past-tree.ts'
import type { PendingFindings } from './pending-findings.ts'
import { doubtsAbout, restoreState } from './restore-state.ts'

export interface PastStatesInit {
  readonly area: RelativePath
  readonly index: ArchiveIndex
  readonly store: ContentStore
  readonly hash: HashBytes
  readonly clock: Pick<Clock, 'nowMs'>
  readonly lock: AreaLock
  readonly findings: PendingFindings
  /** Lets other work of this thread run. */
  readonly pause: () => Promise<void>
}

/** The state at a moment that someone asked for. */
interface WantedState {
  readonly moment: PastMoment
  readonly state: PastState
  readonly at: RestoredMoment
}

/** What an area was: its points and versions, and how its former states are read and restored. */
export class PastStates {
  readonly #init: PastStatesInit

  constructor (init: PastStatesInit) {
    this.#init = init
  }

  /** See `Area.versions`. */
  async versions (path: RelativePath): Promise<readonly Version[]> {
    await this.#init.store.ensurePresent('path')
    const points = await keptPoints(this.#init)
    const versions = await versionsOf(this.#init, path)
    return versions.map(({ kept, until, since }) => {
      const { kind, sizeBytes, mtimeNs } = kept.found
      const point = points.findLast(({ count }) => count < until.count && (since === undefined || since.count <= count))
      return { path: kept.path, kind, sizeBytes, mtimeNs, untilMs: until.ms, ...(point && { point: pointId(point.count) }) }
    })
  }

  /** See `Area.points`. */
  async points ({ path = ROOT_PATH, before, limit = Infinity }: PointsOptions = {}): Promise<Awaited<ReturnType<Area['points']>>> {
    const { store, index, area } = this.#init
    await store.ensurePresent('path')
    const all = await keptPoints(this.#init)
    const older = before === undefined ? all : all.slice(0, all.indexOf(findPoint(all, before)))
    const { droppedCount = 0 } = index.area(area)?.history ?? {}
    const changed = path === ROOT_PATH ? older : await pointsOf(this.#init, path, { points: older, droppedCount })
    const newestFirst = changed.map(shownPoint).reverse()
    return { points: newestFirst.slice(0, limit), hasMore: newestFirst.length > limit }
  }

  /** See `Area.openPast`. */
  async openPast (path: RelativePath, wanted: Moment): Promise<PastTree | undefined> {
    const { state, at } = await this.#stateAt(path, wanted)
    if (isNothing(state)) return undefined
    return new StoredPastTree({
      ...this.#init,
      path,
      state,
      at,
      doubts: doubtsAbout(this.#init, path, state.at),
      onDamage: (...damage) => { this.#noteDamage(...damage) },
    })
  }

  /** See `Area.restore`. */
  async restore ({ path, at: wanted, to: target, overwrite = false }: RestoreOptions): Promise<RestoreReport> {
    const { area, lock, findings: pending } = this.#init
    const { state, moment, at } = await this.#stateAt(path, wanted)
    if (isNothing(state)) {
      throw new FileSyncError('USAGE', `There was nothing${path === '' ? '' : ` at ${JSON.stringify(path)}`} at that time. ` +
        `Run "filesync-server history ${area}" to list what can be restored.`)
    }
    const to = typeof target === 'string' ? target : target(at)
    const { findings, ...outcome } = await restoreState(this.#init, { path, moment, state, to, overwrite })
      .finally(() => { state.files.close() })
    pending.add(findings)
    await lock.stepIfFree(() => pending.write())
    const failures = [...outcome.failures, ...doubtsAbout(this.#init, path, state.at)]
    return { ...outcome, failures, at, to }
  }

  async #stateAt (path: RelativePath, wanted: Moment): Promise<WantedState> {
    const { store, clock, index, area } = this.#init
    await store.ensurePresent('path')
    const points = await keptPoints(this.#init)
    const moment = pastMoment(points, wanted)
    const state = await stateAt(this.#init, path, moment)
    if ('point' in wanted) return { moment, state, at: { point: wanted.point, ms: moment.ms } }
    const nowMs = clock.nowMs()
    const isShown = state.isShown || points.some(({ atMs }) => atMs === moment.ms)
    if (moment.ms > nowMs && moment.ms < Infinity && !isShown) {
      const what = `${isoTime(moment.ms)} is in the future: the server's clock says ${isoTime(nowMs)}.`
      throw new FileSyncError('USAGE', `${what} "history" lists what can be restored.`)
    }
    const { settledCount = 0 } = index.area(area)?.history ?? {}
    return { moment, state, at: { point: pointAt(points, state.at, settledCount), ms: isShown ? moment.ms : Math.min(moment.ms, nowMs) } }
  }

  /** Notes that the mirror's copy of a file is damaged, if it still is the one that should be there. */
  #noteDamage (path: RelativePath, digest: Digest, what: 'damaged' | 'missing'): void {
    const { index, area, findings } = this.#init
    const [now] = knownPaths(index, area, [path])
    if (now === undefined || isUnknown(now.entry) || !equalDigests(now.fact.digest, digest)) return
    findings.add([{ path, fact: now.fact, what }])
  }
}

function isNothing ({ files, directories }: PastState): boolean {
  return files.count + directories.size === 0
}
