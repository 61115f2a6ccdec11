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
  /** The name the client sends; if null, the server uses the client's address. */
  readonly clientId: string | null
  readonly zone: TimeZone
  readonly clock: Clock
  readonly onBusy: () => void
}

export interface LegacyPushed {
  readonly tree: PushableTree
  readonly filesSent: number
  /** Problems of the scan, and entries that the original protocol cannot carry. */
  readonly problems: readonly Problem[]
  readonly nextInMs: number
}

/** Bytes of a large file that are read and sent at a time. */
const PIECE_BYTES = 262_144
/** In a DATA frame the task number comes before the content. */
const CONTENT_AT: number = FRAME_HEADER_BYTES + 4

/** Runs one session of the original protocol, see docs/protocol.md under "Legacy". */
export async function pushLegacySession (channel: LegacyChannel, deps: LegacyPushDependencies): Promise<LegacyPushed> {
  await waitForTurn(channel, deps.onBusy)
  const tree = await deps.scan()
  deps.source.refresh()
  if (!tree.complete) {
    throw new FileSyncError('SOURCE_UNAVAILABLE', 'A part of the directory cannot be read, ' +
      'and the original server deletes every file that is not in the list. ' +
      `${tree.problems[0]?.path ?? 'It'}: ${tree.problems[0]?.message ?? 'it cannot be read'}. ` +
      'Make it readable, or exclude it with an ignore rule.')
  }
  const { files, problems } = listFiles(tree)
  await channel.send(describeFiles(files, deps.clientId, deps.zone))
  const wanted = await receiveTasks(channel, files)
  // The original server reads files in the order of the list, whatever the order in which it asks for them.
  for (const [path, file] of files) {
    if (wanted.has(path)) await sendFile(channel, { path, file, isUnsettled: tree.isUnsettled(path) }, deps)
  }
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

/** The paths that the server asks for. Throws TASK_INVALID for a path that is not in the list. */
async function receiveTasks (channel: LegacyChannel, files: ReadonlyMap<string, ListedFile>): Promise<ReadonlySet<string>> {
  const { files_to_send: asked } = await channel.receive('TASKS', { withinMs: LEGACY_LIMITS.answerTimeoutMs })
  const wanted = new Set(asked)
  if (wanted.size < asked.length) throw new FileSyncError('TASK_INVALID', 'The server asked for a file twice.')
  for (const path of wanted) {
    if (!files.has(path)) throw new FileSyncError('TASK_INVALID', 'The server asked for a file that is not in the list.')
  }
  return wanted
}

interface FileToSend {
  readonly path: RelativePath
  readonly file: ListedFile
  readonly isUnsettled: boolean
}

async function sendFile (channel: LegacyChannel, { path, file, isUnsettled }: FileToSend, deps: LegacyPushDependencies): Promise<void> {
  if (isUnsettled) throw unsendable(path, { code: 'UNSETTLED' })
  const { name, sizeBytes, mtimeNs } = file.entry
  const header = { type: 'FILE_HEADER', name, path, size: sizeBytes, last_mod: formatLegacyTime(mtimeNs, deps.zone) } as const
  if (sizeBytes > LIMITS.packedFileBytes) {
    await sendLarge(channel, { path, file, sendHeader: async () => { await channel.send(header) } }, deps.source)
    return
  }
  const { frame, faults: [fault] } = await deps.source.readPack([{ task: 0, ...file }], false)
  if (fault !== undefined || frame === undefined) throw unsendable(path, fault ?? { code: 'UNREADABLE' })
  await channel.send(header)
  for (const { content } of readPack(frame.subarray(FRAME_HEADER_BYTES))) await channel.sendBytes(content)
}

interface LargeFileToSend {
  readonly path: RelativePath
  readonly file: ListedFile
  readonly sendHeader: () => Promise<void>
}

/** Sends the last piece only after the file is known not to have changed: without it, no server considers the file complete. */
async function sendLarge (channel: LegacyChannel, { path, file, sendHeader }: LargeFileToSend, source: FileSource): Promise<void> {
  const stream = source.openStream({ file: { task: 0, ...file }, content: 'DATA', offset: 0, pieceBytes: PIECE_BYTES })
  try {
    let held: Uint8Array | undefined
    for (let step = await stream.next(false); ; step = await stream.next(false)) {
      if (step.kind === 'FAULT') throw unsendable(path, step.fault)
      if (step.kind === 'HOLE') throw new FileSyncError('INTERNAL', 'A hole was read, but the original protocol has no holes.')
      if (step.kind === 'READ') continue
      if (held !== undefined) await channel.sendBytes(held)
      else await sendHeader()
      if (step.kind === 'END') return
      held = step.frame.subarray(CONTENT_AT)
    }
  } finally {
    stream.close()
  }
}

/** The original protocol cannot say that one file is unavailable, so the session ends, and a later one tries again. */
function unsendable (path: RelativePath, fault: FileFault): FileSyncError {
  const message = `${JSON.stringify(path)} was asked for but could not be sent: ${whyUnsendable(fault)}. ` +
    'The original protocol cannot leave a file out, so the session ended here; the next one tries again.'
  return new FileSyncError('DATA_MISMATCH', message, { path })
}

function whyUnsendable ({ code, detail }: FileFault): string {
  if (code === 'UNSETTLED' || code === 'CHANGED_DURING_READ') return 'it is being written'
  return code === 'VANISHED' ? 'it no longer exists' : `it cannot be read (${detail ?? code})`
}

function delayUntil (time: string, { zone, clock }: LegacyPushDependencies): number {
  const atNs = parseLegacyTime(time, zone)
  if (atNs === undefined) throw new FileSyncError('MESSAGE_INVALID', 'The time of the next sync that the server sent is invalid.')
  return Math.min(Math.max(Number(atNs / 1_000_000n) - clock.nowMs(), LIMITS.nextSyncMinMs), LIMITS.nextSyncMaxMs)
}
