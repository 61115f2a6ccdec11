import type { Clock } from '@filesync/protocol'
import type { ArchiveIndex, IndexWrite } from '../store/archive-index.ts'
import type { ContentStore } from '../store/content-store.ts'
import type { ChangeHistory } from '../history/change-history.ts'
import type { Position } from '../store/position.ts'
import type { PendingStructure } from './pending-structure.ts'
import { withoutFailures } from '../store/section.ts'
import type { Batch, Failure, Removal, Section, StagedSection } from '../store/section.ts'
import type { StagingFolders } from './staging-folders.ts'

/** A batch is committed when it is this large or old. */
const BATCH_FILES = 4096
const BATCH_BYTES = 64 << 20
const BATCH_AGE_MS = 300
/** The first one is not kept waiting: whoever looks on sees soon that files arrive. */
const FIRST_AGE_MS = 20
/** Staging stops beyond this much that is not committed yet. */
const WAITING_FILES = 16384
const WAITING_BYTES = 256 << 20
/** Directories whose structure is placed in one batch: a million at once would keep the thread for many seconds. */
const STRUCTURE_AT_ONCE = 4096
/** Files that wait for others of their folder while there is something else to commit. */
const HELD_FILES = 1024

export interface CommitterInit {
  readonly index: ArchiveIndex
  readonly store: ContentStore
  readonly clock: Clock
  readonly area: string
  readonly staging: string
  readonly began: Position
  readonly history: ChangeHistory
  readonly folders: () => StagingFolders
  readonly structure: () => PendingStructure
  /** Aborted when the client has left: only what arrived takes its place then, with what that needs. */
  readonly client: AbortSignal | undefined
  /** What of a batch that was staged may take its place. */
  readonly sift: (sections: readonly Section[]) => Promise<readonly Section[]>
  /** Called when a batch stands in its place, durably. */
  readonly placed: (step: PlacedBatch) => Promise<void>
}

/** A batch of which everything but the failures stands in its place. */
export interface PlacedBatch {
  readonly journal: number
  readonly sections: readonly Section[]
  readonly placed: readonly Section[]
  readonly failures: readonly Failure[]
}

/** The number of the journal entry, and what failed. */
interface RemovedBatch {
  readonly journal: number
  readonly failures: readonly Failure[]
}

/**
 * Commits what is staged, a batch at a time, while more is being staged: durable in staging, then journalled, then put in
 * its place, then durable there, then in the index. A crash at any step leaves what the journal can finish.
 */
export class Committer {
  readonly #init: CommitterInit
  #open: StagedSection[] = []
  #openFiles = 0
  #openBytes = 0
  #waitingFiles = 0
  #waitingBytes = 0
  #journal = 0
  #hasStarted = false
  #running: Promise<void> | undefined
  #cancelTimer: (() => void) | undefined
  #failure: unknown
  #ready: Promise<void> = Promise.resolve()
  #wake: (() => void)[] = []
  #isEnding = false

  constructor (init: CommitterInit) {
    this.#init = init
  }

  /** Nothing is placed before this is done. */
  waitFor (prepared: Promise<unknown>): void {
    this.#ready = prepared.then(() => { /* what it came to is for others */ })
    this.#ready.catch(() => { /* told below */ })
    prepared.catch((error: unknown) => { this.fail(error) })
  }

  get hasFailed (): boolean {
    return this.#failure !== undefined
  }

  throwIfFailed (): void {
    if (this.#failure !== undefined) throw this.#failure as Error
  }

  add (staged: readonly StagedSection[]): void {
    if (staged.length === 0) return
    const { files, bytes } = sizeOf(staged)
    this.#open.push(...staged)
    this.#openFiles += files
    this.#openBytes += bytes
    this.#waitingFiles += files
    this.#waitingBytes += bytes
    this.#startIfDue()
  }

  /** Resolves when more may be staged. */
  async room (): Promise<void> {
    this.throwIfFailed()
    while (this.#waitingFiles > WAITING_FILES || this.#waitingBytes > WAITING_BYTES) {
      await new Promise<void>(resolve => { this.#wake.push(resolve) })
      this.throwIfFailed()
    }
  }

  /** The sync ends early: of the structure only what is needed for what is staged takes its place. */
  endEarly (): void {
    this.#isEnding = true
  }

  /** Commits everything that is staged, and what is left of the structure unless the sync ends early. */
  async flush (): Promise<void> {
    while (this.#running !== undefined || this.#openFiles > 0) {
      if (this.#running === undefined) this.#start('all')
      await this.#running
      this.throwIfFailed()
    }
    await this.#ready
    this.throwIfFailed()
    while (!this.#endsEarly) {
      const structure = this.#init.structure().take(STRUCTURE_AT_ONCE)
      if (structure.length === 0) return
      await this.#place(structure)
    }
  }

  get #endsEarly (): boolean {
    return this.#isEnding || this.#init.client?.aborted === true
  }

  /** Resolves when nothing is being committed. */
  async idle (): Promise<void> {
    while (this.#running !== undefined) await this.#running
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
  }

  /** Commits some sections as one batch, together with what has to be in its place before them. */
  async commit (wanted: readonly Section[]): Promise<void> {
    const structure = this.#init.structure()
    // The first batch is not kept waiting, and the next has all the rest, so that little is left to do when a sync has to end early.
    const isFirst = this.#journal === 0
    const take = (): Section[] => isFirst || this.#endsEarly ? structure.takeFor(wanted, STRUCTURE_AT_ONCE) : structure.take(STRUCTURE_AT_ONCE)
    let before = take()
    for (; before.length === STRUCTURE_AT_ONCE; before = take()) await this.#place(before)
    await this.#place([...before, ...wanted])
  }

  async #place (sections: readonly Section[]): Promise<void> {
    const { store, area, history, placed } = this.#init
    const { batch, journal } = await this.#write(sections, [])
    const outcome = await store.place(area, batch, 'first')
    const { failures } = outcome
    await history.placed(sections, { number: journal, outcome })
    await store.makeDurable()
    await placed({ journal, sections, placed: withoutFailures(sections, failures), failures })
  }

  /** Moves names to versions, behind everything that is placed. */
  async remove (removals: readonly Removal[]): Promise<RemovedBatch> {
    const { store, area, history } = this.#init
    const { batch, journal } = await this.#write([], removals)
    const outcome = await store.remove(area, batch)
    await history.removed(removals, { number: journal, outcome })
    return { journal, failures: outcome.failures }
  }

  /** Moves names to versions before anything is placed that may take their places. */
  async evict (removals: readonly Removal[]): Promise<RemovedBatch> {
    const { index, store, area, history } = this.#init
    const { batch, journal } = await this.#write([], removals)
    const outcome = await store.remove(area, batch)
    await history.removed(removals, { number: journal, outcome })
    // Before anything is placed: where names are folded, a recovery cannot tell what was to go from what took its place.
    await store.makeDurable()
    await index.write([{ area, journal, batch: { ...batch, areRemoved: true } }])
    return { journal, failures: outcome.failures }
  }

  /** Writes that empty the journal. */
  clearJournal (): IndexWrite[] {
    return Array.from({ length: this.#journal }, (_, journal) => ({ area: this.#init.area, journal, batch: undefined }))
  }

  async #write (sections: readonly Section[], removals: readonly Removal[]): Promise<{ readonly batch: Batch, readonly journal: number }> {
    const { index, store, clock, area, staging, began } = this.#init
    const batch = { staging, count: began.count, stampMs: began.ms, begunMs: Math.max(began.ms, clock.nowMs()), sections, removals, wholeFolders: this.#init.folders().wholeIn(sections) }
    const journal = this.#journal++
    await Promise.all([store.makeDurable(), index.write([{ area, journal, batch }])])
    return { batch, journal }
  }

  #startIfDue (): void {
    if (this.#running !== undefined || this.#openFiles === 0 || this.#failure !== undefined) return
    if (this.#openFiles >= BATCH_FILES || this.#openBytes >= BATCH_BYTES) this.#start()
    else this.#cancelTimer ??= this.#init.clock.schedule(this.#hasStarted ? BATCH_AGE_MS : FIRST_AGE_MS, () => { this.#start() })
  }

  #start (which: 'due' | 'all' = 'due'): void {
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    if (this.#running !== undefined || this.#openFiles === 0) return
    this.#hasStarted = true
    const taken = this.#take(which)
    const { files, bytes } = sizeOf(taken)
    const sections = taken.map(({ section }) => section)
    this.#openFiles -= files
    this.#openBytes -= bytes
    this.#running = this.#ready
      .then(() => this.#init.sift(sections))
      .then(sifted => sifted.length === 0 ? undefined : this.commit(sifted))
      .catch((error: unknown) => { this.fail(error) })
      .finally(() => {
        this.#running = undefined
        this.#waitingFiles -= files
        this.#waitingBytes -= bytes
        this.#wakeAll()
        this.#startIfDue()
      })
  }

  /** Leaves out what becomes a whole folder soon. */
  #take (which: 'due' | 'all'): StagedSection[] {
    const open = this.#open
    const folders = this.#init.folders()
    const held = open.filter(({ section }) => folders.isAwaited(section))
    const holds = which === 'due' && held.length < open.length && sizeOf(held).files <= HELD_FILES
    this.#open = holds ? held : []
    return holds ? open.filter(({ section }) => !folders.isAwaited(section)) : open
  }

  /** Nothing is committed any more. */
  fail (error: unknown): void {
    this.#failure ??= error
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    this.#open = []
    this.#openFiles = this.#openBytes = 0
    this.#wakeAll()
  }

  #wakeAll (): void {
    for (const wake of this.#wake.splice(0)) wake()
  }
}

function sizeOf (staged: readonly StagedSection[]): { readonly files: number, readonly bytes: number } {
  let [files, bytes] = [0, 0]
  for (const one of staged) {
    files += one.section.staged.length
    bytes += one.bytes
  }
  return { files, bytes }
}
