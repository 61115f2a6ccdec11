import { encodeListing, equalDigests, FileSyncError, joinPath, problem, ROOT_PATH } from '@filesync/protocol'
import type { Digest, HashBytes, Name, Problem, RelativePath } from '@filesync/protocol'
import { DirectoryNode } from './directory-node.ts'
import type { ListingSlice, OwnFacts } from './directory-node.ts'
import type { DirectoryContents, DirectoryId, DirectoryReader, DirectoryReading, LinkPolicy } from './directory-reading.ts'
import type { DirtyDirectories } from './dirty-directories.ts'
import { IGNORE_FILE_NAME } from './ignore-rules.ts'
import type { MountPoints } from './mount-points.ts'
import type { RuleSet, RuleSets } from './rule-set.ts'

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
  /** Number of directories that were read. */
  readonly read: number
}

/** A directory that will become a node. */
interface DirectoryVisit {
  readonly path: RelativePath
  readonly name: Name
  readonly fileId: bigint
  readonly parent: DirectoryVisit | undefined
  /** Index among the children of the parent. */
  readonly index: number
  readonly old: DirectoryNode | undefined
  /** Whether nothing below may be taken from the previous tree. */
  readonly mustReread: boolean
  /** The rules of the parent. */
  readonly rules: RuleSet
  own: OwnFacts | undefined
  slice: ListingSlice | undefined
  /** Whether `slice` belongs to this visit and may be written to; otherwise it is that of `old`. */
  isFresh: boolean
  children: (DirectoryNode | undefined)[]
  pending: number
}

/**
 * Reads a tree, or the dirty part of it, in several concurrent batches, and computes digests from the leaves up as readings
 * arrive.
 */
export async function walk (init: WalkInit, options: WalkOptions): Promise<WalkResult> {
  return await new TreeWalk(init, options).run()
}

class TreeWalk {
  readonly #init: WalkInit
  readonly #options: WalkOptions
  readonly #queue: DirectoryVisit[] = []
  readonly #gone: RelativePath[] = []
  /** Queued or being read. */
  #unread = 0
  #read = 0
  #more: PromiseWithResolvers<void> = Promise.withResolvers()
  #result: Pick<WalkResult, 'root' | 'rootDigest'> | undefined

  constructor (init: WalkInit, options: WalkOptions) {
    this.#init = init
    this.#options = options
  }

  async run (): Promise<WalkResult> {
    const { previous, rules, reader } = this.#init
    const mustReread = this.#init.dirty.hasSubtree(ROOT_PATH)
    this.#enter({ path: ROOT_PATH, name: '' as Name, fileId: 0n, parent: undefined, index: 0, old: previous, mustReread, rules, ...UNREAD })
    const lanes = Array.from({ length: reader.parallel * QUEUED_PER_THREAD }, async () => { await this.#readBatches() })
    const ends = await Promise.allSettled(lanes)
    reader.releaseHandles()
    for (const end of ends) if (end.status === 'rejected') throw end.reason
    this.#options.signal.throwIfAborted()
    if (this.#result === undefined) throw new Error('a walk ended without a root')
    return { ...this.#result, gone: this.#gone, read: this.#read }
  }

  async #readBatches (): Promise<void> {
    try {
      while (this.#unread > 0 && !this.#options.signal.aborted) {
        const batch = this.#takeBatch()
        if (batch.length === 0) await this.#more.promise
        else await this.#readBatch(batch)
      }
    } catch (error) {
      this.#unread = 0
      throw error
    } finally {
      this.#wake()
    }
  }

  // From the end of the queue: neighbors are next to each other there, and the queue stays short.
  #takeBatch (): DirectoryVisit[] {
    const share = Math.ceil(this.#queue.length / (this.#init.reader.parallel * QUEUED_PER_THREAD))
    return this.#queue.splice(this.#queue.length - Math.min(share, MAX_BATCH))
  }

  async #readBatch (batch: readonly DirectoryVisit[]): Promise<void> {
    const { reader, settleMs, links, excluded, omitted, mounts } = this.#init
    const nowMs = this.#options.nowMs()
    const readings = await reader.read(batch.map(({ path, rules }) => {
      const names = omitted.get(path)
      return {
        directory: path, rules, settleMs, nowMs, links, excluded,
        ...(names !== undefined && { omitted: names }),
        ...(mounts.isMarked(path) && MARKED),
      }
    }))
    batch.forEach((visit, at) => {
      const reading = readings[at]
      if (reading === undefined) throw new Error('a reader returned too few readings')
      this.#absorb(visit, reading)
    })
    this.#read += batch.length
    this.#unread -= batch.length
    this.#wake()
  }

  #wake (): void {
    this.#more.resolve()
    this.#more = Promise.withResolvers()
  }

  /** Takes a directory from the previous tree, or queues it to be read. */
  #enter (visit: DirectoryVisit): void {
    if (visit.old !== undefined && !visit.mustReread && !this.#init.dirty.has(visit.path)) {
      visit.slice = visit.old.slice
      visit.own = visit.old.own
      this.#descend(visit, visit.old.children)
    } else {
      this.#unread++
      this.#queue.push(visit)
    }
  }

  #absorb (visit: DirectoryVisit, reading: DirectoryReading): void {
    if (visit.parent !== undefined && this.#init.mounts.isAway(visit.path, reading)) {
      this.#absorbAsEmpty(visit, [])
      return
    }
    if (reading.status !== 'read') {
      this.#absorbUnread(visit, reading)
      return
    }
    const { path, rules } = visit
    const source = joinPath(path, IGNORE_FILE_NAME as Name)
    const inside = reading.ruleText === undefined
      ? rules : this.#init.ruleSets.extend(rules, { source, directory: path, text: reading.ruleText })
    const { files, bytes, ignored, problems, problemCount, complete, unsettled, archiveId, leftOut, excluded, mount } = reading
    visit.own = {
      files, bytes, ignored, problems, problemCount, complete, unsettled, rules: inside,
      ...(archiveId !== undefined && { archiveId }),
      ...(leftOut !== undefined && { leftOut }),
      ...(excluded !== undefined && { excluded }),
      ...(mount !== undefined && { mount }),
    }
    visit.slice = { block: reading.block, start: reading.start, end: reading.end, digestOffsets: reading.digestOffsets }
    visit.isFresh = true
    this.#options.onDirectory(reading, path)
    this.#descend(visit, reading.childNames.map((name, at) => ({ name, fileId: reading.childIds[at] ?? 0n })))
  }

  #absorbUnread (visit: DirectoryVisit, reading: Exclude<DirectoryReading, DirectoryContents>): void {
    if (visit.parent === undefined) throw rootError(reading)
    if (reading.status === 'gone') this.#gone.push(visit.path)
    const found = reading.status === 'gone' ? problem(visit.path, 'VANISHED') : problem(visit.path, 'UNREADABLE', reading.why)
    this.#absorbAsEmpty(visit, [found])
  }

  /** A directory with a problem makes the tree incomplete; one that is away is read again by another walk. */
  #absorbAsEmpty (visit: DirectoryVisit, problems: readonly Problem[]): void {
    const block = encodeListing([])
    const complete = problems.length === 0
    visit.own = { files: 0, bytes: 0, ignored: 0, problems, problemCount: problems.length, complete, unsettled: [], rules: visit.rules }
    visit.slice = { block, start: 0, end: block.length, digestOffsets: [] }
    visit.isFresh = true
    this.#descend(visit, [])
  }

  #descend (visit: DirectoryVisit, children: readonly { readonly name: Name, readonly fileId: bigint }[]): void {
    const { dirty } = this.#init
    const rules = visit.own?.rules ?? visit.rules
    visit.children = new Array<DirectoryNode | undefined>(children.length)
    visit.pending = 1
    children.forEach(({ name, fileId }, index) => {
      const path = joinPath(visit.path, name)
      const at = visit.old === undefined || visit.old.own.rules !== rules ? -1 : visit.old.indexOf(name)
      const candidate = visit.old?.children[at]
      // Another directory with the same name shares nothing with the old one.
      const old = candidate?.fileId === fileId ? candidate : undefined
      const mustReread = visit.mustReread || dirty.hasSubtree(path)
      if (old !== undefined && !mustReread && !dirty.has(path) && !dirty.hasBelow(path)) {
        visit.children[index] = old
        if (visit.isFresh && visit.old !== undefined) this.#writeDigest(visit, index, visit.old.childDigest(at))
        return
      }
      visit.pending++
      this.#enter({ path, name, fileId, parent: visit, index, old, mustReread, rules, ...UNREAD })
    })
    this.#countDown(visit)
  }

  /** Counts down, and finishes every directory upwards that has nothing pending left. */
  #countDown (visit: DirectoryVisit): void {
    for (let at: DirectoryVisit | undefined = visit; at !== undefined && --at.pending === 0; at = at.parent) {
      const node = finish(at)
      const digest = this.#init.hash(node.listing)
      if (at.parent === undefined) {
        this.#result = { root: node, rootDigest: digest }
      } else {
        at.parent.children[at.index] = node
        this.#writeDigest(at.parent, at.index, digest)
      }
    }
  }

  #writeDigest (visit: DirectoryVisit, index: number, digest: Uint8Array): void {
    const slice = visit.slice
    const offset = slice?.digestOffsets[index]
    if (slice === undefined || offset === undefined) throw new Error('a listing has no field for a digest')
    const at = slice.start + offset
    if (equalDigests(slice.block.subarray(at, at + digest.length), digest)) return
    if (visit.isFresh) {
      slice.block.set(digest, at)
      return
    }
    const block = slice.block.slice(slice.start, slice.end)
    block.set(digest, offset)
    visit.slice = { block, start: 0, end: block.length, digestOffsets: slice.digestOffsets }
    visit.isFresh = true
  }
}

const MARKED = { isMarked: true }
const UNREAD = { own: undefined, slice: undefined, isFresh: false, children: [], pending: 0 }

/** The node of a directory; the old one if nothing changed. */
function finish (visit: DirectoryVisit): DirectoryNode {
  const { name, fileId, old, own, slice } = visit
  if (own === undefined || slice === undefined) throw new Error('a directory was finished before it was read')
  const children = visit.children.filter(child => child !== undefined)
  const bytes = slice.block.subarray(slice.start, slice.end)
  const isSame = old !== undefined && equalDigests(old.listing, bytes)
  if (isSame && own === old.own && children.every((child, at) => child === old.children[at])) return old
  return new DirectoryNode({ name, fileId, own, children, slice: isSame ? old.slice : slice })
}

function rootError (reading: Exclude<DirectoryReading, DirectoryContents>): FileSyncError {
  if (reading.status === 'gone') {
    return new FileSyncError('SOURCE_SUSPECT', 'The folder vanished while it was read. Nothing of it was changed on the server. ' +
      'Check that its disk is mounted.')
  }
  return new FileSyncError('SOURCE_UNAVAILABLE', `The folder cannot be read (${reading.why}). Check its permissions.`)
}
