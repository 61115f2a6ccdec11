import { ROOT_PATH, splitPath, wait } from '@filesync/protocol'
import type { Clock, HashBytes, Name, RelativePath } from '@filesync/protocol'
import { BUILT_IN_RULES } from './built-in-rules.ts'
import { ChangeWatch } from './change-watch.ts'
import { hasLinks } from './directory-node.ts'
import type { DirectoryReader, LinkPolicy } from './directory-reading.ts'
import { DirtyDirectories } from './dirty-directories.ts'
import { Exclusions } from './exclusions.ts'
import type { ExcludedDirectory } from './exclusions.ts'
import { explain } from './explain.ts'
import { BUILT_IN_SOURCE } from './ignore-rules.ts'
import { UnsettledFiles } from './unsettled-files.ts'
import { MountPoints } from './mount-points.ts'
import type { MountsOfScan } from './mount-points.ts'
import { longestSettleMs, markForReread, unsettledPaths } from './unsettled-directories.ts'
import { RuleSets } from './rule-set.ts'
import type { RuleSet } from './rule-set.ts'
import type { ChangeBatch, Explanation, Scanner, ScanOptions, WatchStatus } from './scanner.ts'
import { NodeSnapshot } from './snapshot.ts'
import type { Snapshot } from './snapshot.ts'
import { ensureNotEmptied, ensureSameRoot, isSameRoot, vanishedRoot } from './source-root.ts'
import type { RootFacts, RootState, ScanMemory, SourceRoot } from './source-root.ts'
import type { TreeWatcher } from './tree-watcher.ts'
import { walk } from './walk.ts'
import { walkMounts } from './walk-mounts.ts'

/** How often one scan reads the parents of directories that vanished meanwhile again. */
const MAX_ROUNDS = 5
/** A file that never settles is stored as it grows, at this interval: each time makes a version of the whole file. */
const GROWING_MS = 300_000
/** The shortest wait for a file to settle. */
const MIN_WAIT_MS = 10

export interface ScannerPorts {
  readonly root: SourceRoot
  readonly reader: DirectoryReader & { close (): Promise<void> }
  readonly watcher: TreeWatcher
  readonly hash: HashBytes
  readonly clock: Clock
}

export interface ScannerSettings {
  readonly settleMs: number
  readonly settleWaitMs: number
  readonly builtInRules: boolean
  readonly fullWalkMs: number
  readonly fallbackWalkMs: number
  readonly memory: ScanMemory | undefined
  readonly links: LinkPolicy
  readonly excluded: readonly ExcludedDirectory[]
}

/** What a walk starts from. */
interface WalkBase {
  /** The tree from which it takes what is not marked. */
  readonly previous: NodeSnapshot | undefined
  readonly rootState: RootState
}

/** The scanner over its ports. */
export class TreeScanner implements Scanner {
  readonly #ports: ScannerPorts
  readonly #settings: ScannerSettings
  readonly #changes: ChangeWatch
  readonly #ruleSets = new RuleSets()
  #rules: RuleSet | undefined
  #dirty = new DirtyDirectories()
  #latest: NodeSnapshot | undefined
  #memory: ScanMemory | undefined
  #busy: Promise<void> = Promise.resolve()
  readonly #unsettledFiles = new UnsettledFiles()
  readonly #exclusions: Exclusions
  readonly #mounts: MountPoints

  constructor (ports: ScannerPorts, settings: ScannerSettings) {
    this.#ports = ports
    this.#settings = settings
    this.#memory = settings.memory
    this.#dirty.markEverything()
    const { watcher, clock } = ports
    const { settleMs, fullWalkMs, fallbackWalkMs } = settings
    this.#mounts = new MountPoints(settings.memory)
    this.#exclusions = new Exclusions(settings.excluded, ports.root)
    this.#changes = new ChangeWatch({
      watcher, clock, settleMs, fullWalkMs, fallbackWalkMs,
      dirty: () => this.#dirty,
      isIrrelevant: path => this.#exclusions.isBelow(path),
    })
  }

  get status (): WatchStatus {
    return this.#changes.status
  }

  get memory (): ScanMemory | undefined {
    return this.#memory
  }

  async scan (options: ScanOptions): Promise<Snapshot> {
    const before = this.#busy
    const turn = Promise.withResolvers<void>()
    this.#busy = turn.promise
    const release = this.#ports.reader.hold()
    try {
      await before
      options.signal.throwIfAborted()
      return await this.#scanNow(options)
    } finally {
      release()
      turn.resolve()
    }
  }

  watch (options: { readonly signal: AbortSignal }): AsyncIterable<ChangeBatch> {
    return this.#changes.run(options.signal)
  }

  invalidate (directories: Iterable<RelativePath>): void {
    for (const directory of directories) {
      // One of those above may have been replaced, which only the listing of its parent shows.
      for (let at = directory; ; at = splitPath(at).directory) {
        this.#dirty.mark(at)
        if (at === ROOT_PATH) break
      }
    }
  }

  explain (path: RelativePath): Explanation {
    return this.#explainIn(this.#latest, path)
  }

  async close (): Promise<void> {
    await this.#ports.reader.close()
  }

  async #scanNow (options: ScanOptions): Promise<Snapshot> {
    const rootNow = this.#lookAtRoot()
    const { mark, state, isMountPoint } = rootNow
    ensureSameRoot(this.#memory, rootNow)
    this.#checkWatchedRoot(mark)
    this.#exclusions.locate()
    const dirty = this.#takeDirty()
    try {
      let snapshot = await this.#walkMounts(dirty, state, options)
      this.#updateUnsettled(snapshot)
      if (options.waitForSettled === true) snapshot = await this.#waitForSettled(snapshot, options)
      snapshot = this.#withGrowing(snapshot, options.waitForSettled === true ? this.#settings.settleWaitMs : GROWING_MS)
      // Do not trust the scan unless it read the same directory all the time.
      const memory = { root: mark, ...(isMountPoint !== undefined && { isMountPoint }) }
      ensureSameRoot(memory, this.#lookAtRoot())
      const mounts = this.#mounts.result(snapshot.root)
      snapshot = snapshot.withAway(mounts)
      this.#ensureNotEmptied(snapshot, mounts)
      this.#memory = { ...memory, files: snapshot.files, ...mounts.memory }
      this.#mounts.remember(mounts.memory)
      this.#latest = snapshot
      this.#changes.scanCompleted()
      this.#changes.expectSettled(unsettledPaths(snapshot.root))
      return snapshot
    } catch (error) {
      this.#dirty.add(dirty)
      throw error
    }
  }

  #ensureNotEmptied ({ root, files, directories }: NodeSnapshot, { filesAway }: MountsOfScan): void {
    if (this.#memory === undefined) return
    // Files that are away did not vanish.
    const filesBefore = Math.max(0, this.#memory.files - filesAway)
    ensureNotEmptied({ ...this.#memory, files: filesBefore }, { files, directories, hasLinks: () => hasLinks(root) })
  }

  #explainIn (snapshot: NodeSnapshot | undefined, path: RelativePath): Explanation {
    return explain(snapshot, path, { root: this.#ports.root, exclusions: this.#exclusions })
  }

  #updateUnsettled ({ root, unsettledCount }: NodeSnapshot): void {
    this.#unsettledFiles.update(unsettledCount === 0 ? [] : unsettledPaths(root), this.#ports.clock.monotonicMs())
  }

  /** The snapshot with the files marked as growing that have been unsettled for at least `leastMs`. */
  #withGrowing (snapshot: NodeSnapshot, leastMs: number): NodeSnapshot {
    if (snapshot.unsettledCount === 0) return snapshot
    this.#updateUnsettled(snapshot)
    const growing = this.#unsettledFiles.takeLongUnsettled(this.#ports.clock.monotonicMs(), leastMs)
    return growing.size === 0 ? snapshot : snapshot.with({ growing })
  }

  #lookAtRoot (): RootFacts {
    try {
      return this.#ports.root.look()
    } catch (error) {
      throw this.#memory === undefined ? error : vanishedRoot(error)
    }
  }

  // If another directory replaced the watched one, it is not watched.
  #checkWatchedRoot (mark: RootFacts['mark']): void {
    const watched = this.#memory?.root
    if (watched === undefined || (isSameRoot(watched, mark) && watched.inode === mark.inode)) return
    this.#dirty.markEverything()
    this.#changes.markLost('The folder was replaced by another one of the same name.')
  }

  #takeDirty (): DirtyDirectories {
    const dirty = this.#dirty
    this.#dirty = new DirtyDirectories()
    const rules = this.#baseRules()
    if (this.status.mode !== 'watching' || this.#latest === undefined || rules !== this.#rules) dirty.markEverything()
    else markForReread(this.#latest.root, dirty)
    this.#rules = rules
    return dirty
  }

  #baseRules (): RuleSet {
    const sets = this.#ruleSets
    const extra = this.#ports.root.extraRules()
    const builtIn = { source: BUILT_IN_SOURCE, directory: ROOT_PATH, text: BUILT_IN_RULES }
    const base = this.#settings.builtInRules ? sets.extend(sets.none, builtIn) : sets.none
    return extra === undefined ? base : sets.extend(base, { ...extra, directory: ROOT_PATH })
  }

  /** Names that are not looked at, by directory. */
  #omitted (): ReadonlyMap<RelativePath, readonly Name[]> {
    const names = new Map<RelativePath, Name[]>()
    for (const path of [...this.#exclusions.paths, ...this.#mounts.awayPaths]) {
      const { directory, name } = splitPath(path)
      names.set(directory, [...names.get(directory) ?? [], name])
    }
    return names
  }

  async #walkMounts (dirty: DirtyDirectories, rootState: RootState, options: ScanOptions): Promise<NodeSnapshot> {
    let previous = this.#latest
    return await walkMounts({
      mounts: this.#mounts,
      table: () => this.#ports.root.mounts(),
      latest: previous,
      walk: async todo => previous = await this.#walkUntilStable(todo, { previous, rootState }, options),
      explain: (snapshot, path) => this.#explainIn(snapshot, path),
    }, dirty)
  }

  async #walkUntilStable (
    dirty: DirtyDirectories, { previous, rootState }: WalkBase, { signal, onProgress }: ScanOptions,
  ): Promise<NodeSnapshot> {
    const { reader, hash, clock } = this.#ports
    const seen = { files: 0, directories: 0, bytes: 0 }
    let snapshot = previous
    let todo = dirty
    for (let round = 0; round < MAX_ROUNDS && (snapshot === undefined || !todo.isEmpty); round++) {
      const { root, rootDigest, gone } = await walk({
        reader, hash, ruleSets: this.#ruleSets, rules: this.#rules ?? this.#ruleSets.none,
        settleMs: this.#settings.settleMs, previous: snapshot?.root, dirty: todo,
        mounts: this.#mounts, links: this.#settings.links, excluded: this.#exclusions.ids, omitted: this.#omitted(),
      }, {
        signal,
        nowMs: () => clock.nowMs(),
        onDirectory: ({ files, bytes, excluded }, path) => {
          this.#exclusions.record(path, excluded)
          seen.files += files
          seen.directories++
          seen.bytes += bytes
          onProgress?.({ ...seen })
        },
      })
      snapshot = new NodeSnapshot({ root, rootDigest, rootState })
      todo = new DirtyDirectories()
      for (const path of gone) todo.markEvent(path)
    }
    if (snapshot === undefined) throw new Error('a scan ended without a snapshot')
    const isSame = snapshot.rootState.mtimeNs === rootState.mtimeNs && snapshot.rootState.mode === rootState.mode
    return isSame ? snapshot : snapshot.with({ rootState })
  }

  async #waitForSettled (first: NodeSnapshot, options: ScanOptions): Promise<NodeSnapshot> {
    const { clock } = this.#ports
    const deadlineMs = clock.monotonicMs() + this.#settings.settleWaitMs
    let snapshot = first
    while (snapshot.unsettledCount > 0) {
      const leftMs = deadlineMs - clock.monotonicMs()
      if (leftMs <= 0) break
      await wait(clock, Math.min(Math.max(longestSettleMs(snapshot.root), MIN_WAIT_MS), leftMs), options.signal)
      this.#latest = snapshot
      const dirty = new DirtyDirectories()
      markForReread(snapshot.root, dirty)
      snapshot = await this.#walkMounts(dirty, snapshot.rootState, options)
    }
    return snapshot
  }
}
