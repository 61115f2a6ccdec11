import type { DeviceId } from '@filesync/identity'
import { splitFolder } from '@filesync/protocol'
import type { Problem, RelativePath } from '@filesync/protocol'
import type { LeftOut } from '@filesync/scanner'
import type { FolderMemories, FolderMemory } from './folder-memory.ts'
import type { FolderScanner } from './folder-scanner.ts'
import type { FolderSet } from './folder-set.ts'
import { inFolder } from './folder-tree.ts'

/** How many of the entries that are left out a status names. */
const LEFT_OUT_SHOWN = 20

/** The state of one folder, as `status` and `folders` show it. */
export interface FolderStatus {
  readonly name: string
  /** Absolute path of the directory. */
  readonly path: string
  /**
   * `complete`: the last run stored everything in it. `incomplete`: it did not, or was halted. `away`: the
   * directory cannot be reached, or is not the one that was pushed before. `unknown`: no run of this client has ended yet.
   */
  readonly state: 'complete' | 'incomplete' | 'away' | 'unknown'
  /** Why it is away, for people. */
  readonly why: string | null
  /** At the last scan. */
  readonly files: number
  readonly bytes: number
  /** Entries that the last run did not store, as far as they are known. */
  readonly problemCount: number
  /** Entries that are left out by their nature. */
  readonly leftOutCount: number
  /** The first of them, with the paths of the whole tree. */
  readonly leftOut: readonly LeftOut[]
  /** The end of the last run after which everything in it was stored; ISO 8601, null for none. */
  readonly lastCompleteAt: string | null
}

/** How a run ended, as far as it concerns folders. */
interface RunEnd {
  readonly result: 'ok' | 'problems' | 'halted' | 'failed' | 'paused'
  /** The first problems; `problemCount` is the number of all of them. */
  readonly problems: readonly Problem[]
  readonly problemCount: number
}

/** What is known of each folder after the runs of a client. */
export class FolderRecord {
  readonly #folders: FolderSet
  /** Files and bytes at the last scan, of this process or before. */
  readonly #sizes = new Map<string, { readonly files: number, readonly bytes: number }>()
  readonly #completeAtMs = new Map<string, number>()
  /** Entries of each folder that the last run did not store; undefined before the first run. */
  #problems: ReadonlyMap<string, number> | undefined
  /** Whether the server halted the last run that it decided on. */
  #isHalted = false

  constructor (folders: FolderSet, memories: FolderMemories) {
    this.#folders = folders
    for (const [name, { completeAtMs, files, bytes = 0 }] of memories) {
      if (completeAtMs !== undefined) this.#completeAtMs.set(name, completeAtMs)
      this.#sizes.set(name, { files, bytes })
    }
  }

  /** When all folders were last complete: the earliest of them; undefined if one never was. */
  get completeAtMs (): number | undefined {
    const times = this.#folders.scanners.map(({ folder }) => this.#completeAtMs.get(folder.name))
    return times.some(time => time === undefined) ? undefined : Math.min(...times.filter(time => time !== undefined))
  }

  /** Records a run that has ended. */
  add (run: RunEnd, atMs: number): void {
    for (const { folder: { name }, snapshot } of this.#folders.scanners) {
      if (snapshot !== undefined) this.#sizes.set(name, { files: snapshot.files, bytes: snapshot.bytes })
    }
    if (run.result === 'halted') this.#isHalted = true
    if (run.result !== 'ok' && run.result !== 'problems') return
    this.#isHalted = false
    const problems = new Map<string, number>()
    for (const { path } of run.problems) {
      const { folder } = splitFolder(path as RelativePath)
      problems.set(folder, (problems.get(folder) ?? 0) + 1)
    }
    this.#problems = problems
    // Only the first problems are named: if there are more, it is not known which folders they are in.
    const hasUnnamed = run.problemCount > run.problems.length
    for (const { folder: { name }, snapshot } of this.#folders.scanners) {
      if (!hasUnnamed && !problems.has(name) && snapshot !== undefined) this.#completeAtMs.set(name, atMs)
    }
  }

  /** What to remember of the folders that were scanned. */
  memories (serverId: DeviceId | undefined): Map<string, FolderMemory> {
    const memories = new Map<string, FolderMemory>()
    for (const { folder: { name }, memory, snapshot } of this.#folders.scanners) {
      if (memory === undefined || snapshot === undefined) continue
      const completeAtMs = this.#completeAtMs.get(name)
      memories.set(name, {
        ...memory,
        bytes: snapshot.bytes,
        ...(serverId !== undefined && { serverId }),
        ...(completeAtMs !== undefined && { completeAtMs }),
      })
    }
    return memories
  }

  status (): FolderStatus[] {
    return this.#folders.scanners.map(scanner => this.#statusOf(scanner))
  }

  #statusOf ({ folder: { name, root }, snapshot, away }: FolderScanner): FolderStatus {
    const completeAtMs = this.#completeAtMs.get(name)
    const { files, bytes } = snapshot ?? this.#sizes.get(name) ?? { files: 0, bytes: 0 }
    const problemCount = Math.max(this.#problems?.get(name) ?? 0, snapshot?.problemCount ?? 0)
    return {
      name,
      path: root,
      state: away !== undefined ? 'away' : snapshot === undefined ? 'unknown' : this.#stateOf(problemCount),
      why: away?.message ?? null,
      files,
      bytes,
      problemCount,
      leftOutCount: snapshot?.leftOut.count ?? 0,
      leftOut: snapshot?.leftOut.first.slice(0, LEFT_OUT_SHOWN).map(one => ({ ...one, path: inFolder(name, one.path) })) ?? [],
      lastCompleteAt: completeAtMs === undefined ? null : new Date(completeAtMs).toISOString(),
    }
  }

  #stateOf (problemCount: number): FolderStatus['state'] {
    if (this.#isHalted) return 'incomplete'
    return this.#problems === undefined ? 'unknown' : problemCount > 0 ? 'incomplete' : 'complete'
  }
}
