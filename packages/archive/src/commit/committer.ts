import type { Clock } from '@filesync/protocol'
import type { NoiseBrake } from '../compare/brake.ts'
import type { Section, StagedSection } from '../store/section.ts'
import type { BatchRecorder } from './batch-recorder.ts'
import type { MirrorSteps } from './mirror-steps.ts'
import type { PendingStructure } from './pending-structure.ts'
import type { StagingFolders } from './staging-folders.ts'
import type { SyncStatus } from './sync-status.ts'

/** A batch is committed when it is this large or old. */
const BATCH_FILES = 4096
const BATCH_BYTES = 64 << 20
const BATCH_AGE_MS = 300
/** The first batch is committed sooner, so that progress is visible early. */
const FIRST_AGE_MS = 20
/** Staging pauses while more than this is not committed. */
const WAITING_FILES = 16384
const WAITING_BYTES = 256 << 20
/** Directories whose structure is placed in one batch: a million at once would block the thread for many seconds. */
const STRUCTURE_AT_ONCE = 4096
/** Files that may wait for others of their folder while there is something else to commit. */
const HELD_FILES = 1024

export interface CommitterInit {
  readonly clock: Clock
  readonly status: SyncStatus
  readonly steps: MirrorSteps
  readonly recorder: BatchRecorder
  readonly structure: PendingStructure
  readonly folders: StagingFolders
  /** Inspects staged content, and holds some of it back, if the sync may replace too much. */
  readonly noise: NoiseBrake | undefined
  /** Nothing is placed before this resolves. */
  readonly prepared: Promise<unknown>
  /** Aborted when the client has left: then only what arrived is placed, and the directories that it needs. */
  readonly client?: AbortSignal | undefined
}

/** Commits what is staged, in batches, while more is being staged. */
export class Committer {
  readonly #init: CommitterInit
  readonly #ready: Promise<void>
  /** Staged, and in no batch yet. */
  #open: StagedSection[] = []
  #openFiles = 0
  #openBytes = 0
  /** Staged and not committed, including the batch under way. */
  #waitingFiles = 0
  #waitingBytes = 0
  #hasStarted = false
  #running: Promise<void> | undefined
  #cancelTimer: (() => void) | undefined
  #wake: (() => void)[] = []
  #isEnding = false

  constructor (init: CommitterInit) {
    this.#init = init
    init.status.failure.addEventListener('abort', () => { this.#drop() }, { once: true })
    this.#ready = init.prepared.then(() => { /* its result is for others */ })
    this.#ready.catch((error: unknown) => { init.status.fail(error) })
  }

  /** Queues staged sections for the next batch. */
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

  /** Resolves when little enough is waiting to be committed that more may be staged. */
  async waitForCapacity (): Promise<void> {
    const { failure } = this.#init.status
    failure.throwIfAborted()
    while (this.#waitingFiles > WAITING_FILES || this.#waitingBytes > WAITING_BYTES) {
      await new Promise<void>(resolve => { this.#wake.push(resolve) })
      failure.throwIfAborted()
    }
  }

  /** The sync ends early: of the structure, only what staged content needs is placed from now on. */
  endEarly (): void {
    this.#isEnding = true
  }

  /** Commits everything that is staged, and the rest of the structure unless the sync ends early. */
  async flush (): Promise<void> {
    const { failure } = this.#init.status
    while (this.#running !== undefined || this.#openFiles > 0) {
      if (this.#running === undefined) this.#start('all')
      await this.#running
      failure.throwIfAborted()
    }
    await this.#ready
    failure.throwIfAborted()
    while (!this.#endsEarly) {
      const structure = this.#init.structure.take(STRUCTURE_AT_ONCE)
      if (structure.length === 0) return
      await this.#place(structure)
    }
  }

  /** Resolves when nothing is being committed. */
  async idle (): Promise<void> {
    while (this.#running !== undefined) await this.#running
    this.#stopTimer()
  }

  /** Commits sections as one batch, together with the structure that has to be placed before them. */
  async commit (wanted: readonly Section[]): Promise<void> {
    const { structure, steps } = this.#init
    // The first batch takes only what it needs, so that it is soon done. The next takes all the rest, so that little is left if the sync
    // has to end early.
    const isFirst = steps.count === 0
    const take = (): Section[] => isFirst || this.#endsEarly
      ? structure.takeFor(wanted, STRUCTURE_AT_ONCE)
      : structure.take(STRUCTURE_AT_ONCE)
    let before = take()
    for (; before.length === STRUCTURE_AT_ONCE; before = take()) await this.#place(before)
    await this.#place([...before, ...wanted])
  }

  get #endsEarly (): boolean {
    return this.#isEnding || this.#init.client?.aborted === true
  }

  async #place (sections: readonly Section[]): Promise<void> {
    const { steps, recorder } = this.#init
    await recorder.record(await steps.place(sections))
  }

  #startIfDue (): void {
    if (this.#running !== undefined || this.#openFiles === 0 || this.#init.status.failure.aborted) return
    if (this.#openFiles >= BATCH_FILES || this.#openBytes >= BATCH_BYTES) {
      this.#start('due')
    } else {
      const ageMs = this.#hasStarted ? BATCH_AGE_MS : FIRST_AGE_MS
      this.#cancelTimer ??= this.#init.clock.schedule(ageMs, () => { this.#start('due') })
    }
  }

  #start (which: 'due' | 'all'): void {
    const { noise, status } = this.#init
    this.#stopTimer()
    if (this.#running !== undefined || this.#openFiles === 0) return
    this.#hasStarted = true
    const taken = this.#take(which)
    const { files, bytes } = sizeOf(taken)
    const sections = taken.map(({ section }) => section)
    this.#openFiles -= files
    this.#openBytes -= bytes
    this.#running = this.#ready
      .then(() => noise === undefined ? sections : noise.admit(sections))
      .then(admitted => admitted.length === 0 ? undefined : this.commit(admitted))
      .catch((error: unknown) => { status.fail(error) })
      .finally(() => {
        this.#running = undefined
        this.#waitingFiles -= files
        this.#waitingBytes -= bytes
        this.#wakeAll()
        this.#startIfDue()
      })
  }

  /** Takes what is open, but leaves out what will soon make up a whole folder. */
  #take (which: 'due' | 'all'): StagedSection[] {
    const open = this.#open
    const { folders } = this.#init
    const held = open.filter(({ section }) => folders.isAwaited(section))
    const holds = which === 'due' && held.length < open.length && sizeOf(held).files <= HELD_FILES
    this.#open = holds ? held : []
    return holds ? open.filter(({ section }) => !folders.isAwaited(section)) : open
  }

  /** The sync failed: nothing more is committed. */
  #drop (): void {
    this.#stopTimer()
    this.#open = []
    this.#openFiles = this.#openBytes = 0
    this.#wakeAll()
  }

  #stopTimer (): void {
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
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
