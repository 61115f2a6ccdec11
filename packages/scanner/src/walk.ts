import { encodeListing, FileSyncError, joinPath, problem, ROOT_PATH } from '@filesync/protocol'
import type { Digest, HashBytes, Name, Problem, RelativePath } from '@filesync/protocol'
import type { DirectoryNode } from './directory-node.ts'
import { notesOf, notesOfProblems } from './directory-notes.ts'
import type { DirectoryContents, DirectoryId, DirectoryReader, DirectoryReading, LinkPolicy, ReadRequest } from './directory-reading.ts'
import { PatchedContent, WholeContent } from './directory-visit.ts'
import type { DirectoryVisit, DirectoryVisitInit } from './directory-visit.ts'
import type { DirtyDirectories } from './dirty-directories.ts'
import { IGNORE_FILE_NAME } from './ignore-rules.ts'
import type { MountPoints } from './mount-points.ts'
import { namesToLookAt } from './names-to-look-at.ts'
import type { RuleSet, RuleSets } from './rule-set.ts'
import { VisitQueue } from './visit-queue.ts'

/** Directories in one request: enough to make messages between threads cheap, few enough to spread the work. */
const MAX_BATCH = 64
/** Batches queued at a thread, so that it never waits for the next. */
const QUEUED_PER_THREAD = 2

export interface WalkInit {
  readonly reader: DirectoryReader
  readonly hash: HashBytes
  readonly ruleSets: RuleSets
  /** The rules that apply to the root. */
  readonly rules: RuleSet
  readonly settleMs: number
  /** The previous tree; what is not dirty is taken from it. */
  readonly previous: DirectoryNode | undefined
  readonly dirty: DirtyDirectories
  readonly links: LinkPolicy
  /** Directories that are not listed, wherever they are. */
  readonly excluded: readonly DirectoryId[]
  /** Names that are not looked at, by directory. */
  readonly omitted: ReadonlyMap<RelativePath, readonly Name[]>
  readonly mounts: Pick<MountPoints, 'isMarked' | 'isAway'>
}

export interface WalkOptions {
  readonly signal: AbortSignal
  readonly nowMs: () => number
  readonly onDirectory: (contents: DirectoryContents, path: RelativePath) => void
}

export interface WalkResult {
  readonly root: DirectoryNode
  readonly rootDigest: Digest
  /** Directories that were listed but gone when they were to be read: their parents have changed meanwhile. */
  readonly gone: readonly RelativePath[]
  /** Number of directories that were read, whole or in part. */
  readonly read: number
  /** Number of directories that the walk went through, read or not. */
  readonly visited: number
}

/**
 * Reads a tree, or the dirty part of it, in several concurrent batches, and computes digests from the leaves up as readings
 * arrive. What is not dirty is not visited.
 */
export async function walk (init: WalkInit, options: WalkOptions): Promise<WalkResult> {
  return await new TreeWalk(init, options).run()
}

class TreeWalk {
  readonly #init: WalkInit
  readonly #options: WalkOptions
  readonly #queue: VisitQueue
  readonly #gone: RelativePath[] = []
  #read = 0
  #visited = 0
  #more: PromiseWithResolvers<void> = Promise.withResolvers()
  #result: Pick<WalkResult, 'root' | 'rootDigest'> | undefined

  constructor (init: WalkInit, options: WalkOptions) {
    this.#init = init
    this.#options = options
    this.#queue = new VisitQueue({
      enter: visit => this.#enter(visit),
      keep: (visit, content, { index, oldIndex }) => {
        content.keep(index, oldIndex)
        this.#countDown(visit)
      },
    })
  }

  async run (): Promise<WalkResult> {
    const { previous, rules, reader, dirty } = this.#init
    const root = {
      path: ROOT_PATH, name: '' as Name, idLow: 0, idHigh: 0, parent: undefined, index: 0, old: previous, rules,
      mustReread: dirty.top?.isSubtree ?? true, dirty: dirty.top,
    }
    const visit = this.#enter(root)
    if (visit !== undefined) this.#queue.push(visit)
    const lanes = Array.from({ length: reader.parallel * QUEUED_PER_THREAD }, async () => { await this.#readBatches() })
    const ends = await Promise.allSettled(lanes)
    reader.releaseHandles()
    for (const end of ends) if (end.status === 'rejected') throw end.reason
    this.#options.signal.throwIfAborted()
    if (this.#result === undefined) throw new Error('a walk ended without a root')
    return { ...this.#result, gone: this.#gone, read: this.#read, visited: this.#visited }
  }

  async #readBatches (): Promise<void> {
    try {
      while (this.#queue.unfinished > 0 && !this.#options.signal.aborted) {
        const batch = this.#queue.take(this.#init.reader.parallel * QUEUED_PER_THREAD, MAX_BATCH)
        if (batch.length > 0) await this.#readBatch(batch)
        else if (this.#queue.unfinished > 0) await this.#more.promise
      }
    } catch (error) {
      this.#queue.clear()
      throw error
    } finally {
      this.#wake()
    }
  }

  async #readBatch (batch: readonly DirectoryVisit[]): Promise<void> {
    const { reader } = this.#init
    const nowMs = this.#options.nowMs()
    const requests = batch.map(visit => this.#request(visit, nowMs))
    const readings = await reader.read(requests)
    batch.forEach((visit, at) => {
      const reading = readings[at]
      if (reading === undefined) throw new Error('a reader returned too few readings')
      this.#absorb(visit, reading, requests[at]?.named?.names ?? [])
    })
    this.#read += batch.length
    this.#queue.finish(batch.length)
    this.#wake()
  }

  #request ({ path, rules, old, mustReread, dirty }: DirectoryVisit, nowMs: number): ReadRequest {
    const { settleMs, links, excluded, omitted, mounts } = this.#init
    const names = omitted.get(path)
    const isMarked = mounts.isMarked(path)
    const named = old === undefined || mustReread || dirty === undefined || names !== undefined || isMarked ? undefined
      : namesToLookAt(old, dirty, name => mounts.isMarked(joinPath(path, name)))
    return {
      directory: path, rules, settleMs, nowMs, links, excluded,
      ...(names !== undefined && { omitted: names }),
      ...(isMarked && MARKED),
      ...(named !== undefined && { named }),
    }
  }

  #wake (): void {
    this.#more.resolve()
    this.#more = Promise.withResolvers()
  }

  /** Takes a directory from the previous tree and goes on below it, or returns it to be read. */
  #enter (init: DirectoryVisitInit): DirectoryVisit | undefined {
    this.#visited++
    const { path, name, idLow, idHigh, parent, index, old, mustReread, dirty, rules } = init
    // Not a spread, which is slower: this is once for each directory.
    const visit: DirectoryVisit = {
      path, name, idLow, idHigh, parent, index, old, mustReread, dirty, rules, pending: 1, content: undefined,
    }
    if (old === undefined || mustReread || dirty?.isMarked === true) return visit
    visit.content = new PatchedContent(old)
    this.#enterDirty(visit, old)
    this.#countDown(visit)
    return undefined
  }

  /** Enters what is dirty below a directory that is not read as a whole. */
  #enterDirty (visit: DirectoryVisit, old: DirectoryNode, except: ReadonlySet<Name> = NONE): void {
    for (const [name, dirty] of visit.dirty?.below ?? []) {
      const child = except.has(name) ? undefined : old.child(name)
      if (child === undefined) continue
      const { idLow, idHigh } = child
      const path = joinPath(visit.path, name)
      this.#push({ path, name, idLow, idHigh, parent: visit, index: -1, old: child, mustReread: dirty.isSubtree, dirty, rules: old.rules })
    }
  }

  #push (init: DirectoryVisitInit): void {
    if (init.parent !== undefined) init.parent.pending++
    const entered = this.#enter(init)
    if (entered !== undefined) this.#queue.push(entered)
  }

  #absorb (visit: DirectoryVisit, reading: DirectoryReading, named: readonly Name[]): void {
    if (visit.parent !== undefined && this.#init.mounts.isAway(visit.path, reading)) this.#absorbAsEmpty(visit, [])
    else if (reading.status !== 'read') this.#absorbUnread(visit, reading)
    else if (reading.isOfNames === true && visit.old !== undefined) this.#absorbNames(visit, visit.old, { reading, named })
    else this.#absorbWhole(visit, reading)
    this.#countDown(visit)
  }

  #absorbNames (
    visit: DirectoryVisit, old: DirectoryNode, { reading, named }: { readonly reading: DirectoryContents, readonly named: readonly Name[] },
  ): void {
    this.#options.onDirectory(reading, visit.path)
    visit.content = PatchedContent.ofNames(old, named, reading)
    this.#enterDirty(visit, old, new Set(named))
    reading.childNames.forEach((name, at) => {
      const [idLow = 0, idHigh = 0] = reading.childIds.subarray(at * 2)
      const candidate = old.child(name)
      const dirty = visit.dirty?.below.get(name)
      this.#push({
        path: joinPath(visit.path, name), name, idLow, idHigh, parent: visit, index: -1, rules: old.rules, dirty,
        old: candidate?.idLow === idLow && candidate.idHigh === idHigh ? candidate : undefined,
        mustReread: dirty?.isSubtree === true,
      })
    })
  }

  #absorbWhole (visit: DirectoryVisit, reading: DirectoryContents): void {
    const { path, rules, old } = visit
    const source = joinPath(path, IGNORE_FILE_NAME as Name)
    const inside = reading.ruleText === undefined
      ? rules : this.#init.ruleSets.extend(rules, { source, directory: path, text: reading.ruleText })
    const content = new WholeContent(reading, { rules: inside, notes: notesOf(reading), old: old?.rules === inside ? old : undefined })
    visit.content = content
    this.#options.onDirectory(reading, path)
    visit.pending += content.childNames.length
    this.#queue.pushChildren(visit, content)
  }

  #absorbUnread (visit: DirectoryVisit, reading: Exclude<DirectoryReading, DirectoryContents>): void {
    if (visit.parent === undefined) throw rootError(reading)
    if (reading.status === 'gone') this.#gone.push(visit.path)
    const found = reading.status === 'gone' ? problem(visit.path, 'VANISHED') : problem(visit.path, 'UNREADABLE', reading.why)
    this.#absorbAsEmpty(visit, [found])
  }

  /** A directory with a problem makes the tree incomplete; one that is away is read again by another walk. */
  #absorbAsEmpty (visit: DirectoryVisit, problems: readonly Problem[]): void {
    visit.content = new WholeContent(EMPTY, { rules: visit.rules, notes: notesOfProblems(problems), old: undefined })
  }

  /** Counts down, and finishes every directory upwards that has nothing pending left. */
  #countDown (visit: DirectoryVisit): void {
    for (let at: DirectoryVisit | undefined = visit; at !== undefined && --at.pending === 0; at = at.parent) {
      if (at.content === undefined) throw new Error('a directory was finished before it was read')
      const node = at.content.finish(at, this.#init.hash)
      at.content = undefined
      const digest = node.digest(this.#init.hash)
      if (at.parent === undefined) this.#result = { root: node, rootDigest: digest }
      else at.parent.content?.add({ node, digest }, at.index)
    }
  }
}

const MARKED = { isMarked: true }
const NONE: ReadonlySet<Name> = new Set()
const EMPTY_LISTING = encodeListing([])
const EMPTY = {
  block: EMPTY_LISTING, start: 0, end: EMPTY_LISTING.length, digestOffsets: [], childNames: [], childIds: new Int32Array(0),
  files: 0, bytes: 0,
}

function rootError (reading: Exclude<DirectoryReading, DirectoryContents>): FileSyncError {
  if (reading.status === 'gone') {
    return new FileSyncError('SOURCE_SUSPECT', 'The folder vanished while it was read. Nothing of it was changed on the server. ' +
      'Check that its disk is mounted.')
  }
  return new FileSyncError('SOURCE_UNAVAILABLE', `The folder cannot be read (${reading.why}). Check its permissions.`)
}
