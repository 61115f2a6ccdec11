import type { Area } from '@filesync/archive'
import { asFileSyncError, FileSyncError } from '@filesync/protocol'
import {
  encodeLegacyMessage, fitLegacyTasks, formatLegacyTime, LEGACY_LIMITS, LEGACY_LIST_OPTIONS, sameMicrosecond,
} from '@filesync/protocol/legacy'
import type { Clock, HashBytes, Hasher, Problem, RelativePath, TimeZone } from '@filesync/protocol'
import type { LegacyChannel, LegacyFilesInfo } from '@filesync/protocol/legacy'
import type { SessionQueue } from '../schedule/session-queue.ts'
import { legacyArea } from './area-name.ts'
import { LegacyArrivals } from './arrivals.ts'
import { readClientList, readTime } from './client-list.ts'
import type { ClientList } from './client-list.ts'
import type { PlainFile } from './file-tree.ts'
import type { ClientMemory } from './client-memory.ts'

export interface LegacyDependencies {
  /** Separate from the queue of paired clients, so that a stranger cannot keep those from their turn. */
  readonly queue: SessionQueue
  readonly areas: () => readonly string[]
  readonly openArea: (name: string) => Promise<Area>
  readonly memory: ClientMemory
  readonly hash: HashBytes
  readonly createHasher: () => Hasher
  readonly clock: Clock
  readonly zone: TimeZone
  readonly signal: AbortSignal
  readonly nextSyncInMs: () => number
}

/** How a session ended. */
export interface LegacyReport {
  readonly area: string
  readonly result: 'OK' | 'PROBLEMS' | 'HALTED'
  readonly stored: { readonly files: number, readonly bytes: number, readonly deleted: number }
  /** The first problems; `problemCount` counts all. */
  readonly problems: readonly Problem[]
  readonly problemCount: number
  /** Whether the client was asked to sync again at once, because one TASKS could not name all wanted files. */
  readonly isMore: boolean
}

/** Serves one session of the original protocol, as specified in docs/protocol.md under "Legacy". `from` is the client's endpoint. */
export async function serveLegacySession (
  channel: LegacyChannel, from: { readonly address: string, readonly port: number }, deps: LegacyDependencies,
): Promise<LegacyReport> {
  const leave = await waitForTurn(channel, `${from.address} ${from.port}`, deps)
  try {
    await channel.send({ type: 'SERVER_STATUS_MESSAGE', status: 'READY' })
    const info = await channel.receive('CLIENT_FILES_INFO', LEGACY_LIST_OPTIONS)
    const report = await receiveTree(channel, { info, area: legacyArea(info.client_id, from.address, deps.areas()) }, deps)
    const inMs = report.isMore ? LEGACY_LIMITS.soonMs : deps.nextSyncInMs()
    const nextNs = BigInt(deps.clock.nowMs() + inMs) * 1_000_000n
    await channel.send({ type: 'NEXT_SYNC', time: formatLegacyTime(nextNs, deps.zone) })
    await channel.end()
    return report
  } finally {
    leave()
  }
}

/** The original client gives up on BUSY, so BUSY is sent only if the client really has to wait, and READY when its turn begins. */
async function waitForTurn (channel: LegacyChannel, identity: string, { queue }: LegacyDependencies): Promise<() => void> {
  let hasSentBusy = false
  channel.readAhead()
  return await queue.enter({
    identity,
    signal: channel.signal,
    onPosition: () => {
      if (hasSentBusy) return
      hasSentBusy = true
      channel.send({ type: 'SERVER_STATUS_MESSAGE', status: 'BUSY' }).catch((error: unknown) => {
        channel.destroy(asFileSyncError(error, 'PEER_GONE'))
      })
    },
    onReplaced: error => { channel.destroy(error) },
  })
}

async function receiveTree (
  channel: LegacyChannel, { info, area: name }: { info: LegacyFilesInfo, area: string }, deps: LegacyDependencies,
): Promise<LegacyReport> {
  const list = readClientList(info.files, deps.zone)
  // A client that lists no files gets no folder; otherwise anyone could create folders by sending names.
  if (list.files.size === 0 && !deps.areas().includes(name)) {
    await channel.send({ type: 'TASKS', files_to_send: [] })
    return {
      area: name,
      result: list.problems.length > 0 ? 'PROBLEMS' : 'OK',
      stored: { files: 0, bytes: 0, deleted: 0 },
      problems: list.problems,
      problemCount: list.problems.length,
      isMore: false,
    }
  }
  const area = await deps.openArea(name)
  const files = new Map<RelativePath, PlainFile>()
  const wanted = await compare(list, { area, files, signal: deps.signal, clock: deps.clock })
  const arrivals = new LegacyArrivals({ area, files, hash: deps.hash, createHasher: deps.createHasher })
  const isAll = await requestFiles(channel, { area: name, wanted, arrivals, deps })
  const isHalted = await finish(arrivals)
  const problems = [...list.problems, ...arrivals.problems]
  deps.memory.noteProblems(name, problems.map(({ path }) => path))
  return {
    area: name,
    result: isHalted ? 'HALTED' : problems.length > 0 ? 'PROBLEMS' : 'OK',
    stored: arrivals.stored,
    problems,
    problemCount: list.problems.length + arrivals.problemCount,
    // After a session that stored nothing, another one at once would do the same.
    isMore: !isAll && arrivals.stored.files > 0,
  }
}

/** How many stored files are looked up before the thread is yielded. */
const LOOKUPS_AT_ONCE = 1_000

/**
 * Fills `files` with the stored copies, and returns the files that are wanted: those without a copy of the same mtime. A newer copy is
 * wanted again too: the client's clock may have been wrong, or a backup restored.
 */
async function compare (
  list: ClientList, { area, files, signal, clock }: { area: Area, files: Map<RelativePath, PlainFile>, signal: AbortSignal, clock: Clock },
): Promise<RelativePath[]> {
  for (const { path, file: { sizeBytes, mtimeNs } } of area.lookup(list.files.keys())) {
    files.set(path, { sizeBytes, mtimeNs })
    if (files.size % LOOKUPS_AT_ONCE === 0) await new Promise<void>(resolve => { clock.schedule(0, resolve) })
    signal.throwIfAborted()
  }
  const wanted: RelativePath[] = []
  for (const [path, { mtimeNs }] of list.files) {
    const stored = files.get(path)
    if (stored === undefined || !sameMicrosecond(stored.mtimeNs, mtimeNs)) wanted.push(path)
  }
  return wanted
}

interface Asking {
  readonly area: string
  readonly wanted: readonly RelativePath[]
  readonly arrivals: LegacyArrivals
  readonly deps: LegacyDependencies
}

/** Requests as many of the wanted files as one TASKS may name, and receives them. Returns whether those were all. */
async function requestFiles (channel: LegacyChannel, { area, wanted, arrivals, deps }: Asking): Promise<boolean> {
  const { tasks, isAll } = fitLegacyTasks(deps.memory.sortWanted(area, wanted), deps.memory.replyBytes(area))
  const reply = encodeLegacyMessage(tasks)
  const due = new Set(tasks.files_to_send)
  await channel.sendBytes(reply)
  let hasBegun = false
  try {
    while (due.size > 0) {
      const header = await channel.receive('FILE_HEADER')
      hasBegun = true
      await channel.receiveNewline()
      if (!due.delete(header.path)) throw new FileSyncError('DATA_UNEXPECTED', 'The client sent a file that was not asked for.')
      const file = { sizeBytes: header.size, mtimeNs: readTime(header.last_mod, deps.zone) }
      try {
        await arrivals.receive(header.path as RelativePath, file, channel.receiveBytes(header.size))
      } catch (error) {
        // Next time the other files are requested first.
        if (asFileSyncError(error).code === 'ARCHIVE_FULL') deps.memory.noteProblems(area, [header.path])
        throw error
      }
    }
  } catch (error) {
    if (!hasBegun) deps.memory.noteUnanswered(area, reply.length)
    // Files that arrived completely need not be sent again.
    await arrivals.commit()
    throw error
  }
  return isAll
}

async function finish (arrivals: LegacyArrivals): Promise<boolean> {
  try {
    await arrivals.finish()
    return false
  } catch (error) {
    if (asFileSyncError(error).code !== 'HALTED') throw error
    return true
  }
}
