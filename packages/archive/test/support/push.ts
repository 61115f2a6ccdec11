import { equalDigests, joinPath, LIMITS, ListingRequester, ListingResponder, PACK_RECORD_BYTES, writePackRecord } from '@filesync/protocol'
import type { RelativePath, StageOutcome, Task, Tree } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import type { Area, Sync, SyncOutcome, SyncScope } from '../../src/index.ts'
import type { SourceTree } from './source-tree.ts'

export interface PushOptions {
  readonly complete?: boolean
  /** The folders that the source consists of; by default it is one tree. */
  readonly folders?: readonly string[]
  readonly packBytes?: number
  /** Files that the client does not send. */
  readonly withhold?: (path: string) => boolean
  /** Bytes to send instead of the content of a file. */
  readonly falsify?: (path: string, content: Uint8Array) => Uint8Array | undefined
  /** The signature to send with a large file. */
  readonly describe?: (path: string) => Uint8Array
  readonly onSync?: (sync: Sync) => void
  /** Called after everything was sent, before the end of the sync. */
  readonly before?: () => Promise<void>
  readonly end?: 'finish' | 'abandon'
  /** What the sync may change; by default the whole area. */
  readonly scope?: SyncScope
  /** Whether the client can be asked for digests; it can by default. */
  readonly digest?: boolean
}

export interface Pushed extends SyncOutcome {
  /** Files whose content was requested, and those whose digest was. */
  readonly asked: string[]
  readonly digested: string[]
  readonly outcomes: StageOutcome[]
  readonly tasks: readonly Task[]
  /** Listings, pages and tables that were requested, and their size. */
  readonly listings: number
  readonly listedBytes: number
}

interface Compared {
  readonly listings: number
  readonly listedBytes: number
  readonly answers: ListingResponder
}

/** Requests listings as a server does. Returns how many it requested, their size, and the answering side. */
export function compareAll (sync: Pick<Sync, 'compare'>, tree: Tree): Compared {
  let listedBytes = 0
  const answers = new ListingResponder(tree, hashBytes)
  const questions = new ListingRequester(tree.rootDigest, hashBytes)
  for (let page = questions.nextRequest(); page !== undefined; page = questions.nextRequest()) {
    for (const whole of answers.answer(page)) {
      const arrived = questions.accept(whole)
      listedBytes += whole.bytes.length
      for (const wanted of sync.compare(arrived)) {
        if (wanted === undefined) continue
        const { listing, index, entry } = wanted
        if (entry === undefined) questions.requestPage(arrived, index)
        else questions.request({ number: listing, directory: arrived.directory }, index, entry)
      }
    }
  }
  return { listings: questions.arrived, listedBytes, answers }
}

/** A complete session of a client with the archive, without the network. */
export async function push (area: Area, source: SourceTree, options: PushOptions = {}): Promise<Pushed> {
  const { complete = true, scope } = options
  const folders = options.folders && new Map(options.folders.map(name => [name, { complete, files: countIn(source, name) }]))
  const covered = scope ?? (folders && { folders, away: [], removed: new Set() })
  const sync = await area.beginSync(covered && { scope: covered })
  try {
    return await pushWith(sync, source, options)
  } catch (error) {
    await sync.abandon()
    throw error
  }
}

function countIn (source: SourceTree, folder: string): number {
  return [...source.files().keys()].filter(path => path.startsWith(`${folder}/`)).length
}

async function pushWith (sync: Sync, source: SourceTree, options: PushOptions): Promise<Pushed> {
  options.onSync?.(sync)
  const tree = source.snapshot()
  const nothing = { asked: [], digested: [], outcomes: [], tasks: [] }
  if (equalDigests(tree.rootDigest, sync.rootDigest)) return { ...await sync.finish(), ...nothing, listings: 0, listedBytes: 0 }
  const { answers, ...listed } = compareAll(sync, tree)
  const plan = sync.plan({ complete: options.complete ?? true, digest: options.digest ?? true })
  const tasks = [...plan.tasks]
  const files = source.files()
  const asked: string[] = []
  const digested: string[] = []
  const outcomes: StageOutcome[] = []
  let waiting: { task: number, content: Uint8Array }[] = []
  let waitingBytes = 0
  // Several packs are staged at the same time, as by a receiver.
  const underWay: Promise<readonly StageOutcome[]>[] = []
  const flush = async (most: number): Promise<void> => {
    if (waiting.length > 0) {
      const staged = sync.stagePack(makePack(waiting))
      // If several fail, the first one that is awaited rejects.
      staged.catch(() => undefined)
      underWay.push(staged)
    }
    waiting = []
    waitingBytes = 0
    while (underWay.length > most) outcomes.push(...await underWay.shift() ?? [])
  }
  const answer = async (number: number, [listing, index, how, offset]: Task): Promise<void> => {
    const { directory, entry } = answers.entry(listing, index)
    const path = joinPath(directory, entry.name)
    const real = files.get(path) ?? new Uint8Array(0)
    const list = how === 'DIGEST' ? digested : asked
    list.push(path)
    if (options.withhold?.(path) === true) return
    if (how === 'DIGEST') {
      outcomes.push(...await sync.compareDigests([{ task: number, digest: hashBytes(real) }]))
      return
    }
    const content = options.falsify?.(path, real) ?? real
    if (real.length <= LIMITS.packedFileBytes) {
      waiting.push({ task: number, content })
      waitingBytes += content.length
      if (waitingBytes >= (options.packBytes ?? 1 << 20)) await flush(4)
    } else {
      const resumeAt = how === 'RESUME' ? offset : 0
      outcomes.push(await stream(sync, { task: number, content, real, offset: resumeAt, signature: options.describe?.(path) }))
    }
  }
  for (const [number, task] of tasks.entries()) await answer(number, task)
  await flush(0)
  let number = tasks.length
  for (const task of plan.retryTasks()) await answer(number++, task)
  await flush(0)
  await options.before?.()
  if (options.end === 'abandon') {
    await sync.abandon()
    return { files: 0, bytes: 0, deleted: 0, renamed: 0, problems: [], problemCount: 0, asked, digested, outcomes, tasks, ...listed }
  }
  return { ...await sync.finish(), asked, digested, outcomes, tasks, ...listed }
}

interface StreamedContent {
  readonly task: number
  readonly content: Uint8Array
  readonly real: Uint8Array
  readonly offset: number
  readonly signature: Uint8Array | undefined
}

async function stream (sync: Sync, file: StreamedContent): Promise<StageOutcome> {
  const staged = await sync.beginFile(file.task, file.offset)
  for (let at = file.offset; at < file.content.length; at += 100_000) await staged.write(file.content.slice(at, at + 100_000))
  return await staged.finish(hashBytes(file.real), file.signature)
}

/** A pack as a client makes it; by default with the digest of the content. */
export function makePack (files: readonly { task: number, content: Uint8Array, digest?: Uint8Array }[]): Uint8Array<ArrayBuffer> {
  const pack = new Uint8Array(files.reduce((sum, { content }) => sum + PACK_RECORD_BYTES + content.length, 0))
  let at = 0
  for (const { task, content, digest } of files) {
    pack.set(content, at + PACK_RECORD_BYTES)
    writePackRecord(pack, at, { task, sizeBytes: content.length, digest: digest ?? hashBytes(content) })
    at += PACK_RECORD_BYTES + content.length
  }
  return pack
}

export function asPath (path: string): RelativePath {
  return path as RelativePath
}
