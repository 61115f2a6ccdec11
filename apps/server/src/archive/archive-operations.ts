import { join } from 'node:path'
import type { Archive, Area, RestoredMoment } from '@filesync/archive'
import { prepareMemoryRelease, saveMemory } from '@filesync/program/node'
import type { ControlRoutes } from '@filesync/program/node'
import { checkName, checkRelativePath, FileSyncError, LIMITS, ROOT_PATH } from '@filesync/protocol'
import type { Name, RelativePath } from '@filesync/protocol'
import * as v from 'valibot'

/** An earlier version of a path, as commands print it. */
export interface VersionRow {
  readonly path: string
  readonly kind: string
  readonly sizeBytes: number
  /** When the content left the mirror; ISO 8601 in UTC. */
  readonly until: string
  /** The last point that has it; null if it came and went between two points. */
  readonly point: string | null
}

/** A point, as commands print it. */
export interface PointRow {
  readonly point: string
  /** When the sync completed; ISO 8601 in UTC. */
  readonly at: string
  readonly added: number
  readonly replaced: number
  readonly removed: number
  readonly bytes: number
}

/** The points of a client or of a path, newest first, and the earlier versions of the path. */
export interface HistoryReport {
  readonly points: readonly PointRow[]
  /** Whether there are older points than these. */
  readonly hasMore: boolean
  /** Of the path and of everything below it; absent without a path. */
  readonly versions?: readonly VersionRow[]
}

export interface RestoreReport {
  /** The directory that it was restored to. */
  readonly to: string
  /** The point whose state was restored; null if a sync was changing the files at that time. */
  readonly point: string | null
  /** Its time, or the one that was asked for; ISO 8601 in UTC. */
  readonly at: string
  readonly files: number
  readonly bytes: number
  readonly failures: readonly { readonly path: string, readonly message: string }[]
}

/** The result of verifying one client's files. */
export interface VerifyReport {
  readonly client: string
  readonly files: number
  readonly bytes: number
  readonly problems: readonly { readonly path: string, readonly code: string, readonly message: string }[]
  /** False if nothing is recorded about the files in the client's folder, so that they could not be compared with anything. */
  readonly isKnown: boolean
  /** Whether the findings are recorded in the archive; false for a read-only one. */
  readonly isRecorded: boolean
}

/** The result of importing a copy. */
export interface AdoptReport {
  readonly client: string
  /** The folder that the copy became; null for a client of the original program, which has none. */
  readonly folder: string | null
  readonly files: number
  readonly bytes: number
  /** Entries that were in the archive already. */
  readonly held: number
  /** The first entries that were not imported; `problemCount` counts all. */
  readonly problems: readonly { readonly path: string, readonly code: string, readonly message: string }[]
  readonly problemCount: number
}

const text = v.pipe(v.string(), v.maxLength(LIMITS.textBytes))
const historyRequest = v.object({
  client: text,
  path: v.optional(text),
  before: v.optional(text),
  limit: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1)), 100),
})
const restoreRequest = v.object({
  client: text,
  path: v.optional(text, ''),
  at: v.optional(v.union([v.object({ point: text }), v.object({ ms: v.pipe(v.number(), v.finite()) })])),
  to: v.optional(text),
  beside: v.optional(text),
  overwrite: v.optional(v.boolean(), false),
})
const verifyRequest = v.object({ client: v.optional(text) })
const adoptRequest = v.object({ client: text, folder: v.optional(text), from: text, isPaired: v.boolean() })
const releaseRequest = v.object({ client: text })

/** The routes by which commands use the archive that the running server has open. */
export function archiveRoutes (archive: Archive): ControlRoutes {
  return {
    'POST /history': async body => await showHistory(archive, body),
    'POST /restore': async body => await restore(archive, body),
    'POST /verify': async body => await verify(archive, body),
    'POST /adopt': async (body, gone) => await adopt(archive, body, gone),
    'POST /release': async body => await release(archive, body),
  }
}

/** `history`: the points of a client; with a path those that changed it, and its earlier versions. All are newest first. */
export async function showHistory (archive: Archive, request: unknown): Promise<HistoryReport> {
  const { client, path, ...page } = parse(historyRequest, request)
  const area = await areaOf(archive, client)
  if (path === undefined) return await historyOf(area, page)
  return await withLessMemory({ area, path: parsePath(path) }, () => historyOf(area, { path, ...page }))
}

interface HistoryWanted {
  readonly path?: string
  readonly limit: number
  readonly before?: string | undefined
}

async function historyOf (area: Area, { path, ...page }: HistoryWanted): Promise<HistoryReport> {
  const below = path === undefined ? ROOT_PATH : parsePath(path)
  const { limit, before } = page
  const { points, hasMore } = await area.points({ path: below, limit, ...(before !== undefined && { before }) })
  const rows = points.map(({ id, atMs, ...numbers }) => ({ point: id, at: isoTime(atMs), ...numbers }))
  if (path === undefined) return { points: rows, hasMore }
  const versions = (await area.versions(below)).map(({ path: at, kind, sizeBytes, untilMs, point = null }) => (
    { path: at, kind, sizeBytes, until: isoTime(untilMs), point }
  ))
  return { points: rows, hasMore, versions }
}

/** `restore`: copies a path as it was at a point or a time to a directory outside the archive; at present by default. */
export async function restore (archive: Archive, request: unknown): Promise<RestoreReport> {
  const { client, path, at: wanted = { ms: Infinity }, to, beside, overwrite } = parse(restoreRequest, request)
  if (to === undefined && beside === undefined) throw new FileSyncError('USAGE', 'Choose the directory to restore to with --to DIR.')
  const target = to ?? ((at: RestoredMoment): string => join(beside ?? '', targetName(at)))
  const area = await areaOf(archive, client)
  const below = parsePath(path)
  const options = { path: below, at: wanted, to: target, overwrite }
  const { at, ...report } = await withLessMemory({ area, path: below }, () => area.restore(options))
  return { ...report, point: at.point ?? null, at: isoTime(at.ms) }
}

/** The name of the directory for a restored state; valid on every file system. */
function targetName ({ point, ms }: RestoredMoment): string {
  return `restored-${point ?? isoTime(ms).replaceAll(':', '.')}`
}

function isoTime (ms: number): string {
  return new Date(ms).toISOString()
}

/** `verify`: reads the files of one client or of all and compares them with their digests. Also reports folders that are in no index. */
export async function verify (archive: Archive, request: unknown): Promise<VerifyReport[]> {
  const { client } = parse(verifyRequest, request)
  const unknown = await unknownFolders(archive)
  const reports: VerifyReport[] = []
  for (const name of client === undefined ? [...archive.areas(), ...unknown] : [client]) {
    // Opening it would make it an area.
    if (unknown.includes(name)) {
      reports.push({ client: name, files: 0, bytes: 0, problems: [], isKnown: false, isRecorded: !archive.isReadOnly })
    } else {
      const area = await areaOf(archive, name)
      const { files, bytes, problems, isKnown } = await withLessMemory({ area, path: ROOT_PATH }, () => area.verify())
      reports.push({ client: name, files, bytes, problems, isKnown, isRecorded: !archive.isReadOnly })
    }
  }
  return reports
}

/** The areas that a new key may continue: those in the index, and folders that an archive without its index has. */
export function archivedAreas (areas: readonly string[], taken: readonly string[]): string[] {
  return [...new Set([...areas, ...taken.filter(name => !name.startsWith('.') && !FILE_SYSTEM_NAMES.has(name))])]
}

/** Names that file systems use in their root directory, which may also be the root of the archive. */
const FILE_SYSTEM_NAMES: ReadonlySet<string> = new Set(['lost+found', 'System Volume Information', '$RECYCLE.BIN'])

/** Folders in the root of the archive that are in no index. If there are any, the archive lost its index, or is a copy without it. */
async function unknownFolders (archive: Archive): Promise<string[]> {
  const known = new Set(archive.areas().flatMap(name => [name, name.split('/')[0] ?? name]))
  return (await archive.takenNames()).filter(name => !known.has(name) && !name.startsWith('.') && !FILE_SYSTEM_NAMES.has(name)).sort()
}

/**
 * `adopt`: imports an existing copy from a directory of this machine as a folder of a client. When the signal aborts, what was imported by
 * then stays.
 */
export async function adopt (archive: Archive, request: unknown, signal: AbortSignal): Promise<AdoptReport> {
  const { client, folder, from, isPaired } = parse(adoptRequest, request)
  if (!isPaired && !archive.areas().includes(client)) {
    const what = `No client "${client}" is paired with this server.`
    throw new FileSyncError('USAGE', `${what} Pair it first; "filesync-server peers" lists the names.`)
  }
  const outcome = await archive.adopt(client, from, { signal, ...(folder !== undefined && { folder: folderName(folder) }) })
  return { client, folder: folder ?? null, ...outcome }
}

/** `release`: lets the next sync of a client pass the mass-change brake. */
export async function release (archive: Archive, request: unknown): Promise<{ readonly client: string, readonly wasHalted: boolean }> {
  const { client } = parse(releaseRequest, request)
  const area = await areaOf(archive, client)
  const wasHalted = area.halted !== undefined
  await area.release()
  return { client, wasHalted }
}

function folderName (name: string): Name {
  const fault = name === '' ? 'it is empty' : checkName(name)
  if (fault === undefined) return name as Name
  throw new FileSyncError('USAGE', `${JSON.stringify(name)} cannot be the name of a folder (${fault}). Give it another one: CLIENT/FOLDER.`)
}

interface WorkPlace {
  readonly area: Area
  readonly path: RelativePath
}

/** Runs work that goes through all files at a path and below it, and gives the memory back that it took. */
async function withLessMemory<T> ({ area, path }: WorkPlace, work: () => Promise<T>): Promise<T> {
  // Measuring an area reads its whole index, which a path deep in it does not need.
  const { files } = path.includes('/') ? { files: 0 } : await area.size()
  const [releaseMemory, restoreHeapSettings] = [prepareMemoryRelease(), saveMemory(files)]
  try {
    return await work()
  } finally {
    restoreHeapSettings()
    releaseMemory()
  }
}

/** The area of a client. Throws USAGE if it does not exist, because opening it would create it. */
async function areaOf (archive: Archive, client: string): Promise<Area> {
  await archive.ensurePresent('path')
  const names = archive.areas()
  if (!names.includes(client)) {
    const known = names.length === 0 ? 'No client has synced yet.' : `It has files of: ${names.join(', ')}.`
    throw new FileSyncError('USAGE', `The archive has no files of a client "${client}". ${known}`)
  }
  return await archive.area(client)
}

function parsePath (path: string): RelativePath {
  if (path === '' || path === '.') return ROOT_PATH
  const trimmed = path.endsWith('/') ? path.slice(0, -1) : path
  const fault = checkRelativePath(trimmed)
  if (fault !== undefined) throw new FileSyncError('USAGE', `"${path}" is not a path inside a client's folder (${fault}).`)
  return trimmed as RelativePath
}

function parse <T>(schema: v.GenericSchema<unknown, T>, request: unknown): T {
  const result = v.safeParse(schema, request)
  if (result.success) return result.output
  throw new FileSyncError('USAGE', 'The server did not understand the command. It may be of another version than this program.')
}
