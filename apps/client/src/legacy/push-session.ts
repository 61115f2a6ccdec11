import { FileSyncError, FRAME_HEADER_BYTES, LIMITS, readPack } from '@filesync/protocol'
import { formatLegacyTime, LEGACY_LIMITS, parseLegacyTime } from '@filesync/protocol/legacy'
import type { Clock, Problem, RelativePath, TimeZone } from '@filesync/protocol'
import type { LegacyChannel } from '@filesync/protocol/legacy'
import type { FileFault, FileSource } from '@filesync/transfer'
import type { PushableTree } from '../push/push-session.ts'
import { describeFiles, listFiles } from './file-list.ts'
import type { ListedFile } from './file-list.ts'

export interface LegacyPushDependencies {
  readonly scan: () => Promise<PushableTree>
  readonly source: FileSource
  /** What the client calls itself; null: the server goes by its address. */
  readonly clientId: string | null
  readonly zone: TimeZone
  readonly clock: Clock
  readonly onBusy: () => void
}

export interface LegacyPushed {
  readonly tree: PushableTree
  readonly filesSent: number
  /** Of the scan, and of what the original protocol cannot carry. */
  readonly problems: readonly Problem[]
  readonly nextInMs: number
}

/** Bytes of a large file that are read and sent at once. */
const PIECE_BYTES = 262_144
/** A DATA frame has the number of its task in front of the bytes. */
const CONTENT_AT: number = FRAME_HEADER_BYTES + 4

/** One session of the original protocol, as docs/protocol.md has it under "Legacy". */
export async function pushLegacySession (channel: LegacyChannel, deps: LegacyPushDependencies): Promise<LegacyPushed> {
  await waitForTurn(channel, deps.onBusy)
  const tree = await deps.scan()
  deps.source.refresh()
  if (!tree.complete) {
    throw new FileSyncError('SOURCE_UNAVAILABLE', 'A part of the directory cannot be read, and the original server deletes what it is not told of. ' +
      `${tree.problems[0]?.path ?? 'It'}: ${tree.problems[0]?.message ?? 'it cannot be read'}. Make it readable, or leave it out by an ignore rule.`)
  }
  const { files, problems } = listFiles(tree)
  await channel.send(describeFiles(files, deps.clientId, deps.zone))
  const wanted = await receiveTasks(channel, files)
  // The original reads in the order of the list, whatever the order of its questions.
  for (const [path, file] of files) if (wanted.has(path)) await sendFile(channel, { path, file, isUnsettled: tree.isUnsettled(path) }, deps)
  const { time } = await channel.receive('NEXT_SYNC', { withinMs: LEGACY_LIMITS.answerTimeoutMs })
  return { tree, filesSent: wanted.size, problems: [...tree.problems, ...problems], nextInMs: delayUntil(time, deps) }
}

async function waitForTurn (channel: LegacyChannel, onBusy: () => void): Promise<void> {
  const first = await channel.receive('SERVER_STATUS')
  for (let status = first.status; status === 'BUSY';) {
    onBusy()
    status = (await channel.receive('SERVER_STATUS', { withinMs: LEGACY_LIMITS.turnTimeoutMs })).status
  }
}

/** What the server wants, which is only ever what it was told of. Throws TASK_INVALID. */
async function receiveTasks (channel: LegacyChannel, files: ReadonlyMap<string, ListedFile>): Promise<ReadonlySet<string>> {
  const { files_to_send: asked } = await channel.receive('TASKS', { withinMs: LEGACY_LIMITS.answerTimeoutMs })
  const wanted = new Set(asked)
  if (wanted.size < asked.length) throw new FileSyncError('TASK_INVALID', 'The server asked for a file twice.')
  for (const path of wanted) if (!files.has(path)) throw new FileSyncError('TASK_INVALID', 'The server asked for a file that it was not told of.')
  return wanted
}

interface Sending {
  readonly path: RelativePath
  readonly file: ListedFile
  readonly isUnsettled: boolean
}

async function sendFile (channel: LegacyChannel, { path, file, isUnsettled }: Sending, deps: LegacyPushDependencies): Promise<void> {
  if (isUnsettled) throw unsendable(path, { code: 'UNSETTLED' })
  const { name, sizeBytes, mtimeNs } = file.entry
  const header = { type: 'FILE_HEADER', name, path, size: sizeBytes, last_mod: formatLegacyTime(mtimeNs, deps.zone) } as const
  if (sizeBytes > LIMITS.packedFileBytes) {
    await sendLarge(channel, { path, file, begin: async () => { await channel.send(header) } }, deps.source)
    return
  }
  const { frame, faults: [fault] } = await deps.source.readPack([{ task: 0, ...file }], false)
  if (fault !== undefined || frame === undefined) throw unsendable(path, fault ?? { code: 'UNREADABLE' })
  await channel.send(header)
  for (const { content } of readPack(frame.subarray(FRAME_HEADER_BYTES))) await channel.sendBytes(content)
}

/** The last piece goes only when the file is known to have stayed as it was; without it, no server can take it for whole. */
async function sendLarge (channel: LegacyChannel, { path, file, begin }: { path: RelativePath, file: ListedFile, begin: () => Promise<void> }, source: FileSource): Promise<void> {
  const stream = source.openStream({ file: { task: 0, ...file }, content: 'DATA', offset: 0, pieceBytes: PIECE_BYTES })
  try {
    let held: Uint8Array | undefined
    for (let step = await stream.next(false); ; step = await stream.next(false)) {
      if (step.kind === 'FAULT') throw unsendable(path, step.fault)
      if (step.kind === 'HOLE') throw new FileSyncError('INTERNAL', 'A hole was read, though the original protocol has none.')
      if (step.kind === 'READ') continue
      if (held !== undefined) await channel.sendBytes(held)
      else await begin()
      if (step.kind === 'END') return
      held = step.frame.subarray(CONTENT_AT)
    }
  } finally {
    stream.close()
  }
}

/** The original protocol has no way to say that one file cannot be had, so the session ends, and a later one tries again. */
function unsendable (path: RelativePath, { code, detail }: FileFault): FileSyncError {
  const why = code === 'UNSETTLED' || code === 'CHANGED_DURING_READ' ? 'it is being written' : code === 'VANISHED' ? 'it vanished' : `it cannot be read (${detail ?? code})`
  return new FileSyncError('DATA_MISMATCH', `${JSON.stringify(path)} was asked for and could not be sent: ${why}. The original protocol cannot leave a file out, so the session ended here; the next one tries again.`, { path })
}

function delayUntil (time: string, { zone, clock }: LegacyPushDependencies): number {
  const atNs = parseLegacyTime(time, zone)
  if (atNs === undefined) throw new FileSyncError('MESSAGE_INVALID', 'The server named a time for the next sync that is none.')
  return Math.min(Math.max(Number(atNs / 1_000_000n) - clock.nowMs(), LIMITS.nextSyncMinMs), LIMITS.nextSyncMaxMs)
}
