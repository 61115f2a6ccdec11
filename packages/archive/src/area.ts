import { FileSyncError, isRelativePath, pathDepth, ROOT_PATH } from '@filesync/protocol'
import type { Clock, HashBytes, RelativePath } from '@filesync/protocol'
import type { ArchiveIndex, AreaRecord } from './store/archive-index.ts'
import type {
  AdoptOptions, AdoptOutcome, Area, DamageReport, ExternalChanges, MakeSignature, MirrorLimits, MirrorSize, PlanRun, RebuildProgress, RestoreOptions, StoredFile, Sync,
  Version, VerifyOptions, VerifyOutcome, SafeResult, SafeCheckOptions, OtherCopy
} from './archive.ts'
import { adoptCopy } from './adopt/adopt.ts'
import { restoreState } from './upkeep/restore-state.ts'
import { expiredWrites, openDamages } from './store/damage.ts'
import { checkCopies, noteFindings } from './upkeep/safe-check.ts'
import type { CopyFinding } from './upkeep/safe-check.ts'
import type { ContentStore, RestoreOutcome } from './store/content-store.ts'
import type { ExistingCopy } from './store/existing-copy.ts'
import { EMPTY_DIRECTORY } from './store/fold.ts'
import { ListingCursor } from './store/listing-cursor.ts'
import { fileLookup, knownPaths } from './store/lookup.ts'
import { advanceAge } from './store/archive-age.ts'
import type { ArchiveAge } from './store/archive-age.ts'
import { findHistory } from './history/find-history.ts'
import { versionsOf } from './history/past-state.ts'
import { pruneVersions } from './history/prune.ts'
import { isUnknown } from './store/unknown-entry.ts'
import { MirrorRound } from './upkeep/mirror-round.ts'
import { AreaPlanRun } from './compare/plan-run.ts'
import { rebuildIndex } from './upkeep/rebuild.ts'
import { recover } from './upkeep/recover.ts'
import { diskRoom, mirrorSize } from './compare/room.ts'
import { AreaSync } from './commit/sync.ts'
import { AreaLock } from './upkeep/area-lock.ts'
import { UnsignedFiles } from './commit/unsigned-files.ts'
import { verifyArea } from './upkeep/verify.ts'

/** Damage that is told one by one. */
const DAMAGE_TOLD = 100
const NOT_IN_ORDER = { path: '.', message: 'the last sync did not come to its end, and the archive is read-only: what that sync was storing may be missing or newer here' }
const EXPIRED = 'versions of that time have expired: what left before the oldest one that is kept is not restored'

type Reached = Required<Pick<AreaRecord, 'lastStampMs' | 'history'>>

const NEW_AREA: AreaRecord = { open: false, lastStampMs: 0 }

export interface AreaInit {
  readonly name: RelativePath
  readonly index: ArchiveIndex
  readonly store: ContentStore
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly hash: HashBytes
  readonly keepMs: number
  readonly deletions: 'mirror' | 'archive'
  readonly reserveBytes: number | undefined
  readonly quotaBytes?: number
  readonly onRebuild?: (rebuilding: RebuildProgress) => void
  /** A folder name in staging that was never used. */
  readonly newStaging: () => string
}

/** Whether a text can name an area. */
export function isAreaName (name: string): name is RelativePath {
  return isRelativePath(name) && pathDepth(name) <= 2
}

/** One client's part of an archive, over the ports. */
export class StoredArea implements Area {
  readonly name: string
  readonly #init: AreaInit
  readonly #lock: AreaLock
  readonly #round: MirrorRound
  readonly #unsigned = new UnsignedFiles()
  /** Found while a sync ran, so not written down yet. */
  #damaged: readonly CopyFinding[] = []
  /** How old the archive is, and up to when by the clock of this process that is known. */
  #age: { readonly age: ArchiveAge, readonly ranToMs: number } | undefined
  #size: { readonly syncs: number, readonly size: MirrorSize } | undefined

  constructor (init: AreaInit) {
    this.#init = init
    this.name = init.name
    this.#lock = new AreaLock(init.name)
    this.#round = new MirrorRound({ ...init, area: init.name, lock: this.#lock })
  }

  get halted (): Area['halted'] {
    return this.#record.halted
  }

  async beginSync ({ client }: { readonly client?: AbortSignal } = {}): Promise<Sync> {
    this.#ensureWritable()
    const ended = await this.#lock.beginSync()
    try {
      const { index, store, hash, name, signal } = this.#init
      signal.throwIfAborted()
      await store.ensurePresent('path')
      await this.#makeReady()
      const { lastStampMs, history } = await this.#reached()
      const root = index.listing({ area: name, directory: ROOT_PATH }) ?? EMPTY_DIRECTORY.listing
      return new AreaSync({
        ...this.#init,
        area: name,
        rootDigest: hash(root),
        partials: await store.partials(name),
        staging: this.#init.newStaging(),
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

  async beginPlanRun (): Promise<PlanRun> {
    const { index, store, hash, clock, name: area } = this.#init
    await store.ensurePresent('path')
    await this.#lock.step(() => this.#makeReady())
    const root = index.listing({ area, directory: ROOT_PATH }) ?? EMPTY_DIRECTORY.listing
    return new AreaPlanRun({
      ...this.#init, area, traits: store.traits, rootDigest: hash(root), record: this.#record, roomBytes: await this.#room(), nowMs: () => clock.nowMs(),
    })
  }

  async release (): Promise<void> {
    this.#ensureWritable()
    const { halted: _, ...record } = this.#record
    await this.#init.index.write([{ area: this.name, record: { ...record, released: true } }])
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
    const { index, clock, name: area } = this.#init
    const { syncs, isSyncing } = this.#lock
    if (this.#size !== undefined && (isSyncing || this.#size.syncs === syncs)) return this.#size.size
    const size = await mirrorSize({ index, area, pause: async () => { await new Promise<void>(resolve => { clock.schedule(0, resolve) }) } })
    if (!isSyncing && this.#lock.syncs === syncs) this.#size = { syncs, size }
    return size
  }

  async checkSafe (copies: readonly OtherCopy[], options: SafeCheckOptions = {}): Promise<readonly SafeResult[]> {
    const attestation = { ...this.#init, area: this.name }
    const { syncs, isSyncing } = this.#lock
    const { verdicts, findings: all } = await checkCopies(attestation, copies, options)
    // What was read of a disk that is gone, or of one that nobody sees any more, is no answer and no finding.
    await this.#init.store.ensurePresent('disk')
    // What a sync is just replacing looks like that, too.
    const findings = isSyncing || this.#lock.syncs !== syncs ? all.filter(({ what }) => what !== 'altered') : all
    this.#damaged = [...this.#damaged, ...findings.filter(({ what }) => what === 'damaged')]
    await this.#lock.stepIfFree(() => this.#note(findings))
    return verdicts
  }

  async versions (path: RelativePath): Promise<readonly Version[]> {
    await this.#init.store.ensurePresent('path')
    const versions = await versionsOf({ ...this.#init, area: this.name }, path)
    return versions.map(({ kept: { path: at, found: { kind, sizeBytes, mtimeNs } }, until }) => ({ path: at, kind, sizeBytes, mtimeNs, untilMs: until.ms }))
  }

  async restore (options: RestoreOptions): Promise<RestoreOutcome> {
    const { store, name } = this.#init
    await store.ensurePresent('path')
    const brought = await restoreState({ ...this.#init, area: name }, options)
    if (brought === undefined) {
      throw new FileSyncError('USAGE', `There is nothing under ${JSON.stringify(options.path)} at that time. "filesync-server versions ${name}" lists what can be restored.`)
    }
    const { findings, at, ...outcome } = brought
    this.#damaged = [...this.#damaged, ...findings]
    await this.#lock.stepIfFree(() => this.#note([]))
    const isExpired = at.count > 0 && at.count <= (this.#record.history?.droppedCount ?? 0)
    const unsure = [...isExpired ? [{ path: options.path, message: EXPIRED }] : [], ...this.#isInOrder ? [] : [NOT_IN_ORDER]]
    return { ...outcome, failures: [...outcome.failures, ...unsure] }
  }

  damage (): DamageReport {
    const { index, name } = this.#init
    const first: DamageReport['first'][number][] = []
    let count = 0
    for (const { path, what, foundAtMs } of openDamages(index, name)) if (count++ < DAMAGE_TOLD) first.push({ path, what, foundAtMs })
    return { count, first }
  }

  async verify (options: VerifyOptions = {}): Promise<VerifyOutcome> {
    const { index, store, hash, clock, name: area } = this.#init
    await store.ensurePresent('path')
    const isKnown = await this.#isKnown()
    await this.#lock.step(() => this.#makeReady())
    const { mended, ...outcome } = await verifyArea({ ...this.#init, area, step: work => this.#lock.step(work) }, options)
    if (outcome.problems.length + mended > 0 && store.traits.isReadOnly !== true) await this.#lock.step(() => recover({ area, index, store, hash, clock }))
    return { ...outcome, isKnown }
  }

  async adopt (copy: ExistingCopy | 'in place', options: AdoptOptions = {}): Promise<AdoptOutcome> {
    const { index, store, name: area } = this.#init
    if (copy !== 'in place') return await adoptCopy({ ...this.#init, area, beginSync: () => this.beginSync() }, copy, options)
    for (const { files } of index.directories(area)) {
      if (files > 0) throw new FileSyncError('USAGE', `The archive holds files of ${JSON.stringify(area)} already, so what was put into its folder is not taken over. Move the copy out of the archive, and adopt it from there.`)
    }
    // What another program wrote there may still be in memory only.
    await store.makeDurable()
    return { ...await this.rebuild(), held: 0, problems: [], problemCount: 0 }
  }

  async rebuild (): Promise<{ readonly files: number, readonly bytes: number }> {
    this.#size = undefined
    return await this.#lock.step(() => rebuildIndex({ ...this.#init, area: this.name }), 'long')
  }

  async checkMirror ({ directories, entries }: MirrorLimits): Promise<ExternalChanges> {
    if (this.#init.index.area(this.name) === undefined) return { changed: [], removed: [], added: [] }
    if (this.#damaged.length > 0) await this.#lock.step(() => this.#note([]))
    return await (entries === undefined ? this.#round.checkDirectories(directories) : this.#round.quickCheck({ directories, entries }))
  }

  async signLarge (make: MakeSignature, fromBytes: number): Promise<number> {
    const { signal } = this.#init
    return await this.#unsigned.sign({ ...this.#init, area: this.name }, make, { fromBytes, isDue: () => !signal.aborted && !this.#lock.isSyncing })
  }

  async prune (): Promise<number> {
    const { index, clock, keepMs, deletions, name } = this.#init
    // Whoever is to find out what happened may need every version that there is.
    if (deletions === 'archive' || this.halted !== undefined) return 0
    const ageMs = await this.#lock.step(() => this.#noteReached(0))
    const { dropped, droppedCount } = await pruneVersions({ ...this.#init, area: name, step: work => this.#lock.step(work) }, { ageMs, keepMs })
    await this.#lock.step(() => this.#noteReached(droppedCount))
    await this.#lock.step(() => index.write(expiredWrites(index, name, clock.nowMs() - keepMs)))
    return dropped
  }

  /** Writes down where the area is in its history; returns how old the archive is. */
  async #noteReached (droppedCount: number): Promise<number> {
    const { index, name: area } = this.#init
    const record = index.area(area)
    const { lastStampMs, history } = await this.#reached()
    const { ageMs } = history.age
    if (record === undefined) return ageMs
    await index.write([{ area, record: { ...record, lastStampMs, history: { ...history, droppedCount: Math.max(history.droppedCount, droppedCount) } } }])
    return ageMs
  }

  /** Where the area is in its history, and how old it is by now. Found out from what is stored if the index does not know. */
  async #reached (): Promise<Reached> {
    const { clock } = this.#init
    const record = this.#record
    const { lastStampMs, history } = record.history === undefined ? await findHistory({ ...this.#init, area: this.name }) : { ...record, history: record.history }
    const known = this.#age ?? { age: history.age, ranToMs: clock.monotonicMs() }
    const ranToMs = clock.monotonicMs()
    const age = advanceAge(known.age, { nowMs: clock.nowMs(), ranMs: ranToMs - known.ranToMs })
    this.#age = { age, ranToMs }
    return { lastStampMs, history: { ...history, age } }
  }

  async #note (findings: readonly CopyFinding[]): Promise<void> {
    const damaged = this.#damaged
    const due = new Set([...damaged, ...findings])
    if (due.size > 0) await noteFindings({ ...this.#init, area: this.name }, [...due])
    this.#damaged = this.#damaged.filter(finding => !damaged.includes(finding))
  }

  /** Whether the index knows anything of what lies in the folder of the area; there may be nothing to know. */
  async #isKnown (): Promise<boolean> {
    const { index, store, name: area } = this.#init
    const listing = index.listing({ area, directory: ROOT_PATH }) ?? EMPTY_DIRECTORY.listing
    if (index.area(area) !== undefined && new ListingCursor(listing).count > 0) return true
    if (store.traits.isReadOnly !== true) await store.openArea(area)
    return (await store.list(area, ROOT_PATH)).length === 0
  }

  /** Whether no sync left anything unfinished that only writing could put in order. */
  get #isInOrder (): boolean {
    return this.#init.store.traits.isReadOnly !== true || !this.#record.open
  }

  #ensureWritable (): void {
    if (this.#init.store.traits.isReadOnly !== true) return
    throw new FileSyncError('ARCHIVE_UNAVAILABLE', 'The archive is on a file system that is mounted read-only. Mount it for writing, or move the archive to another disk.')
  }

  get #record (): AreaRecord {
    return this.#init.index.area(this.name) ?? NEW_AREA
  }

  /** Puts in order what a crash or a failed sync left, or makes the index of an area that has content but none. */
  async #makeReady (): Promise<void> {
    const { index, store, hash, clock, name: area, onRebuild } = this.#init
    const isReadOnly = store.traits.isReadOnly === true
    if (!isReadOnly) await store.openArea(area)
    if (index.area(area) === undefined && (await store.list(area, ROOT_PATH)).length > 0) {
      onRebuild?.({ area, state: 'begun' })
      const made = await rebuildIndex({ ...this.#init, area })
      onRebuild?.({ area, state: 'done', ...made })
    }
    if (!isReadOnly) await recover({ area, index, store, hash, clock })
  }

  async #room (): Promise<number> {
    const { freeBytes, reserveBytes } = await diskRoom(this.#init.store, this.#init.reserveBytes)
    return Math.max(0, freeBytes - reserveBytes)
  }
}
