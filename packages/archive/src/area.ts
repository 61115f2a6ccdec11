import { countListing, FileSyncError, listingDigest, readListing, ROOT_PATH } from '@filesync/protocol'
import type { HashBytes, RelativePath } from '@filesync/protocol'
import type { ArchiveIndex, AreaRecord } from './store/archive-index.ts'
import type {
  AdoptOptions, AdoptOutcome, Area, ArchiveSettings, DamageReport, ExternalChanges, MirrorLimits, MirrorSize, Moment, OtherCopy, OtherPage,
  Point, PointsOptions, RestoreOptions, RestoreReport, SafeCheckOptions, SafeCheckResult, StoredFile, VerifyOptions, VerifyOutcome, Version,
} from './archive.ts'
import type { PastTree } from './past-tree.ts'
import type { MakeSignature, PlanRun, Sync, SyncOptions, SyncScope } from './sync-contract.ts'
import { adoptCopy, adoptInPlace } from './adopt/adopt.ts'
import { AreaSync } from './commit/sync.ts'
import { UnsignedFiles } from './commit/unsigned-files.ts'
import { AreaPlanRun } from './compare/plan-run.ts'
import { diskRoom, mirrorSize } from './compare/room.ts'
import { ScopeRules } from './compare/scope.ts'
import { HistoryProgress } from './history/history-progress.ts'
import { pruneVersions } from './history/prune.ts'
import type { ContentStore } from './store/content-store.ts'
import { damageReport, expiredDamageWrites } from './store/damage.ts'
import type { ExistingCopy } from './store/existing-copy.ts'
import { fileLookup, knownPaths } from './store/lookup.ts'
import { isUnknown } from './store/unknown-entry.ts'
import { AreaLock } from './upkeep/area-lock.ts'
import { MirrorRound } from './upkeep/mirror-round.ts'
import { PastStates } from './upkeep/past-states.ts'
import { PendingFindings } from './upkeep/pending-findings.ts'
import { isContentKnown, prepareArea } from './upkeep/prepare.ts'
import { indexFolder, rebuildIndex } from './upkeep/rebuild.ts'
import { recover } from './upkeep/recover.ts'
import { renameArea } from './upkeep/rename-area.ts'
import { dropArea, retireArea } from './upkeep/retire-area.ts'
import { checkCopies } from './upkeep/safe-check.ts'
import type { CopyFinding } from './upkeep/safe-check.ts'
import { checkPages } from './upkeep/safe-pages.ts'
import { SizeCache } from './upkeep/size-cache.ts'
import { verifyArea } from './upkeep/verify.ts'

const NEW_AREA: AreaRecord = { open: false, lastStampMs: 0 }

export interface AreaInit extends ArchiveSettings {
  readonly name: RelativePath
  readonly index: ArchiveIndex
  readonly store: ContentStore
  readonly hash: HashBytes
  /** Returns a new folder name in staging, never used before. */
  readonly newStaging: () => string
}

/** One client's part of an archive, on top of a content store and an index. */
export class StoredArea implements Area {
  readonly name: string
  readonly #init: AreaInit & { readonly area: RelativePath }
  readonly #lock: AreaLock
  readonly #round: MirrorRound
  readonly #unsigned = new UnsignedFiles()
  readonly #findings: PendingFindings
  readonly #past: PastStates
  readonly #size: SizeCache
  readonly #progress: HistoryProgress

  constructor (init: AreaInit) {
    const { name: area, index, clock } = init
    this.#init = { ...init, area }
    this.name = area
    this.#lock = new AreaLock(area)
    this.#findings = new PendingFindings(this.#init)
    const pause = async (): Promise<void> => { await new Promise<void>(resolve => { clock.schedule(0, resolve) }) }
    this.#past = new PastStates({ ...this.#init, lock: this.#lock, findings: this.#findings, pause })
    this.#progress = new HistoryProgress(this.#init)
    this.#round = new MirrorRound({ ...this.#init, lock: this.#lock })
    this.#size = new SizeCache({ lock: this.#lock, measure: () => mirrorSize({ index, area, pause }) })
  }

  get halted (): Area['halted'] {
    return this.#record.halted
  }

  async beginSync (options: SyncOptions = {}): Promise<Sync> {
    return await this.#beginSync(this.#init.deletions, options)
  }

  async #beginSync (deletions: ArchiveSettings['deletions'], { client, scope }: SyncOptions = {}): Promise<Sync> {
    this.#ensureWritable()
    const ended = await this.#lock.beginSync()
    try {
      const { store, area, signal, newStaging } = this.#init
      signal.throwIfAborted()
      await store.ensurePresent('path')
      await prepareArea(this.#init)
      const { lastStampMs, history } = await this.#progress.read()
      const rules = new ScopeRules({ ...this.#init, scope })
      return new AreaSync({
        ...this.#init,
        deletions,
        rules,
        rootDigest: listingDigest(rules.rootListing, this.#init.hash),
        partials: await store.partials(area),
        staging: newStaging(),
        record: { ...this.#record, lastStampMs },
        history,
        roomBytes: await this.#room(),
        unsigned: this.#unsigned,
        client,
        ended,
      })
    } catch (error) {
      ended()
      throw error
    }
  }

  async beginPlanRun (scope?: SyncScope): Promise<PlanRun> {
    const { store, clock } = this.#init
    await store.ensurePresent('path')
    await this.#lock.step(() => prepareArea(this.#init))
    const rules = new ScopeRules({ ...this.#init, scope })
    return new AreaPlanRun({
      ...this.#init,
      rules,
      traits: store.traits,
      rootDigest: listingDigest(rules.rootListing, this.#init.hash),
      record: this.#record,
      roomBytes: await this.#room(),
      nowMs: () => clock.nowMs(),
    })
  }

  async release (): Promise<void> {
    this.#ensureWritable()
    const { halted, releasedFor, ...record } = this.#record
    // Without a halt it is for whatever comes next. The folders of an earlier release may not have come yet.
    const folders = halted?.folders
    const released = { ...record, released: true, ...(folders !== undefined && { releasedFor: [...releasedFor ?? [], ...folders] }) }
    await this.#init.index.write([{ area: this.name, record: released }])
  }

  stat (path: RelativePath): StoredFile | undefined {
    if (path === ROOT_PATH) return undefined
    const known = fileLookup(this.#init.index, this.name)(path)
    if (known === undefined || isUnknown(known.entry)) return undefined
    const { sizeBytes, mtimeNs } = known.entry
    return { ...known.fact, sizeBytes, mtimeNs }
  }

  * lookup (paths: Iterable<RelativePath>): Generator<{ readonly path: RelativePath, readonly file: StoredFile }, void, undefined> {
    for (const { path, entry, fact } of knownPaths(this.#init.index, this.name, paths)) {
      if (!isUnknown(entry)) yield { path, file: { ...fact, sizeBytes: entry.sizeBytes, mtimeNs: entry.mtimeNs } }
    }
  }

  async size (): Promise<MirrorSize> {
    return await this.#size.get()
  }

  async checkSafe (copies: readonly OtherCopy[], options: SafeCheckOptions = {}): Promise<readonly SafeCheckResult[]> {
    return await this.#checked(async () => {
      const { verdicts, findings } = await checkCopies(this.#init, copies, options)
      return { results: verdicts, findings }
    })
  }

  async checkSafePages (
    pages: readonly OtherPage[], options: SafeCheckOptions = {},
  ): Promise<readonly (readonly SafeCheckResult[] | undefined)[]> {
    return await this.#checked(() => checkPages(this.#init, pages, options))
  }

  /** The results of a safe check, after what it found was noted. */
  async #checked<T> (check: () => Promise<{ readonly results: T, readonly findings: readonly CopyFinding[] }>): Promise<T> {
    const { syncs, isSyncing } = this.#lock
    const { results, findings: all } = await check()
    // What was read proves nothing if the disk is gone or the path leads to another one by now.
    await this.#init.store.ensurePresent('disk')
    // A file that a sync is just replacing looks altered too.
    const findings = isSyncing || this.#lock.syncs !== syncs ? all.filter(({ what }) => what !== 'altered') : all
    this.#findings.add(findings.filter(({ what }) => what === 'damaged'))
    await this.#lock.stepIfFree(() => this.#findings.write(findings))
    return results
  }

  async versions (path: RelativePath): Promise<readonly Version[]> {
    return await this.#past.versions(path)
  }

  async points (options?: PointsOptions): Promise<{ readonly points: readonly Point[], readonly hasMore: boolean }> {
    return await this.#past.points(options)
  }

  async openPast ({ path, at }: { readonly path: RelativePath, readonly at: Moment }): Promise<PastTree | undefined> {
    return await this.#past.openPast(path, at)
  }

  async restore (options: RestoreOptions): Promise<RestoreReport> {
    return await this.#past.restore(options)
  }

  damage (): DamageReport {
    return damageReport(this.#init.index, this.name)
  }

  async verify (options: VerifyOptions = {}): Promise<VerifyOutcome> {
    const { store } = this.#init
    await store.ensurePresent('path')
    const isKnown = await isContentKnown(this.#init)
    await this.#lock.step(() => prepareArea(this.#init))
    const { repaired, ...outcome } = await verifyArea({ ...this.#init, step: work => this.#lock.step(work) }, options)
    if (outcome.problems.length + repaired > 0 && store.traits.isReadOnly !== true) {
      await this.#lock.step(() => recover(this.#init))
    }
    return { ...outcome, isKnown }
  }

  async adopt (copy: ExistingCopy | 'in place', options: AdoptOptions = {}): Promise<AdoptOutcome> {
    if (copy !== 'in place') return await adoptCopy({ ...this.#init, beginSync: () => this.beginSync() }, copy, options)
    return await adoptInPlace({
      ...this.#init,
      rebuild: () => this.rebuild(),
      indexFolder: async folder => {
        this.#size.clear()
        return await this.#lock.step(() => indexFolder(this.#init, folder), 'long')
      },
    }, options)
  }

  async rebuild (): Promise<{ readonly files: number, readonly bytes: number }> {
    this.#size.clear()
    return await this.#lock.step(() => rebuildIndex(this.#init), 'long')
  }

  async checkMirror ({ directories, entries }: MirrorLimits): Promise<ExternalChanges> {
    if (this.#init.index.area(this.name) === undefined) return { changed: [], removed: [], added: [] }
    if (!this.#findings.isEmpty) await this.#lock.step(() => this.#findings.write())
    return await (entries === undefined ? this.#round.checkDirectories(directories) : this.#round.quickCheck({ directories, entries }))
  }

  async signLarge (make: MakeSignature, fromBytes: number): Promise<number> {
    const { signal } = this.#init
    const isDue = (): boolean => !signal.aborted && !this.#lock.isSyncing
    return await this.#unsigned.sign(this.#init, make, { fromBytes, isDue })
  }

  async prune (): Promise<number> {
    const { index, clock, keepMs, deletions, name } = this.#init
    // Finding out why the brake holds may need every version.
    if ((deletions === 'archive' && this.#record.retired !== true) || this.halted !== undefined) return 0
    const ageMs = await this.#lock.step(() => this.#progress.write(0))
    const prune = { ...this.#init, step: <T>(work: () => Promise<T>): Promise<T> => this.#lock.step(work) }
    const { dropped, droppedCount } = await pruneVersions(prune, { ageMs, keepMs })
    await this.#lock.step(() => this.#progress.write(droppedCount))
    await this.#lock.step(() => index.write(expiredDamageWrites(index, name, clock.nowMs() - keepMs)))
    return dropped
  }

  /** See `Archive.renameArea`. This object cannot be used to change the area afterwards. */
  async rename (to: RelativePath): Promise<void> {
    this.#ensureWritable()
    await this.#lock.step(async () => {
      await renameArea(this.#init, to)
      this.#lock.end(new FileSyncError('SERVER_BUSY', `${JSON.stringify(this.name)} was renamed. Try again.`, { retryInMs: 1000 }))
    }, 'long')
  }

  /** See `Archive.retireArea`. */
  async retire (): Promise<number> {
    this.#ensureWritable()
    this.#size.clear()
    // Waits for a sync that is just ending.
    await this.#lock.step(() => Promise.resolve())
    if (this.#record.retired === true && this.#isEmpty) return 0
    return await retireArea({ ...this.#init, beginSync: () => this.#beginSync('mirror') })
  }

  /** See `Archive.inheritArea`. */
  async inherit (): Promise<void> {
    this.#ensureWritable()
    await this.#lock.step(() => {
      const root = this.#init.index.listing({ area: this.name, directory: ROOT_PATH })
      const inherited = root === undefined ? [] : [...readListing(root)].map(({ name }) => name)
      return this.#init.index.write([{ area: this.name, record: { ...this.#record, inherited } }])
    })
  }

  /** See `Archive.dropArea`. This object cannot be used to change the area after it was dropped. */
  async drop (): Promise<boolean> {
    this.#ensureWritable()
    return await this.#lock.step(async () => {
      const isDropped = await dropArea(this.#init)
      if (isDropped) this.#lock.end(new FileSyncError('SERVER_BUSY', `${JSON.stringify(this.name)} was removed.`, { retryInMs: 1000 }))
      return isDropped
    }, 'long')
  }

  #ensureWritable (): void {
    if (this.#init.store.traits.isReadOnly !== true) return
    throw new FileSyncError('ARCHIVE_UNAVAILABLE', 'The archive is on a file system that is mounted read-only. ' +
      'Mount it read-write, or move the archive to another disk.')
  }

  get #isEmpty (): boolean {
    const listing = this.#init.index.listing({ area: this.name, directory: ROOT_PATH })
    return listing === undefined || countListing(listing) === 0
  }

  get #record (): AreaRecord {
    return this.#init.index.area(this.name) ?? NEW_AREA
  }

  /** Bytes that a sync may still use. */
  async #room (): Promise<number> {
    const { freeBytes, reserveBytes } = await diskRoom(this.#init.store, this.#init.reserveBytes)
    return Math.max(0, freeBytes - reserveBytes)
  }
}
