import type { Archive, Area } from '@filesync/archive'
import type { ControlRoutes } from '@filesync/program/node'
import { checkRelativePath, FileSyncError, LIMITS, ROOT_PATH } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import * as v from 'valibot'

/** An earlier state of a path, as commands show it. */
export interface VersionRow {
  readonly path: string
  readonly kind: string
  readonly sizeBytes: number
  /** The content stood in the mirror until then; ISO 8601. */
  readonly until: string
}

export interface RestoreReport {
  readonly files: number
  readonly bytes: number
  readonly failures: readonly { readonly path: string, readonly message: string }[]
}

/** What re-reading one client's files found. */
export interface VerifyReport {
  readonly client: string
  readonly files: number
  readonly bytes: number
  readonly problems: readonly { readonly path: string, readonly code: string, readonly message: string }[]
  /** False where nothing was known of what lies in the client's folder, so that there was nothing to compare it with. */
  readonly isKnown: boolean
  /** Whether what was found is noted in the archive; false for one that can only be read. */
  readonly isRecorded: boolean
}

/** What taking over a copy came to. */
export interface AdoptReport {
  readonly client: string
  readonly files: number
  readonly bytes: number
  /** Entries that the client's folder held already. */
  readonly held: number
  /** The first of what was not taken over, and how many there are. */
  readonly problems: readonly { readonly path: string, readonly code: string, readonly message: string }[]
  readonly problemCount: number
}

const text = v.pipe(v.string(), v.maxLength(LIMITS.textBytes))
const versionsRequest = v.object({ client: text, path: v.optional(text, '') })
const restoreRequest = v.object({ client: text, path: v.optional(text, ''), atMs: v.pipe(v.number(), v.finite()), to: text, overwrite: v.optional(v.boolean(), false) })
const verifyRequest = v.object({ client: v.optional(text) })
const adoptRequest = v.object({ client: text, from: text, isPaired: v.boolean() })
const releaseRequest = v.object({ client: text })

/** What commands can ask of the archive that the running server holds. */
export function archiveRoutes (archive: Archive): ControlRoutes {
  return {
    'POST /versions': async body => await listVersions(archive, body),
    'POST /restore': async body => await restore(archive, body),
    'POST /verify': async body => await verify(archive, body),
    'POST /adopt': async (body, gone) => await adopt(archive, body, gone),
    'POST /release': async body => await release(archive, body),
  }
}

/** `versions`: the earlier states of a path and of what lies below it, newest first. */
export async function listVersions (archive: Archive, request: unknown): Promise<VersionRow[]> {
  const { client, path } = parse(versionsRequest, request)
  const versions = await (await areaOf(archive, client)).versions(parsePath(path))
  return versions.map(({ path: at, kind, sizeBytes, untilMs }) => ({ path: at, kind, sizeBytes, until: new Date(untilMs).toISOString() }))
}

/** `restore`: writes what a path was at a moment to a directory outside the archive. */
export async function restore (archive: Archive, request: unknown): Promise<RestoreReport> {
  const { client, path, ...options } = parse(restoreRequest, request)
  return await (await areaOf(archive, client)).restore({ path: parsePath(path), ...options })
}

/** `verify`: reads the files of one client or of all and compares them with their digests. Folders that nobody knows are reported as such. */
export async function verify (archive: Archive, request: unknown): Promise<VerifyReport[]> {
  const { client } = parse(verifyRequest, request)
  const unknown = await unknownFolders(archive)
  const reports: VerifyReport[] = []
  for (const name of client === undefined ? [...archive.areas(), ...unknown] : [client]) {
    // To open it would make it an area.
    if (unknown.includes(name)) {
      reports.push({ client: name, files: 0, bytes: 0, problems: [], isKnown: false, isRecorded: !archive.isReadOnly })
    } else {
      const { files, bytes, problems, isKnown } = await (await areaOf(archive, name)).verify()
      reports.push({ client: name, files, bytes, problems, isKnown, isRecorded: !archive.isReadOnly })
    }
  }
  return reports
}

/** What file systems keep in their own root, which may be that of the archive. */
const OF_FILE_SYSTEMS: ReadonlySet<string> = new Set(['lost+found', 'System Volume Information', '$RECYCLE.BIN'])

/** What stands in the root of the archive, and the index knows nothing of: the archive is a copy without its index, or has lost it. */
async function unknownFolders (archive: Archive): Promise<string[]> {
  const known = new Set(archive.areas().flatMap(name => [name, name.split('/')[0] ?? name]))
  return (await archive.takenNames()).filter(name => !known.has(name) && !name.startsWith('.') && !OF_FILE_SYSTEMS.has(name)).sort()
}

/** `adopt`: takes over a copy that exists in a directory of this machine. Ends with the signal; what was taken over until then stays. */
export async function adopt (archive: Archive, request: unknown, signal: AbortSignal): Promise<AdoptReport> {
  const { client, from, isPaired } = parse(adoptRequest, request)
  if (!isPaired && !archive.areas().includes(client)) {
    throw new FileSyncError('USAGE', `No client "${client}" is paired with this server, so nobody would use its copy. Pair it first; "filesync-server peers" lists the names.`)
  }
  const outcome = await archive.adopt(client, from, { signal })
  return { client, ...outcome }
}

/** `release`: lets the next sync of a client pass the mass-change brake. */
export async function release (archive: Archive, request: unknown): Promise<{ readonly client: string, readonly wasHalted: boolean }> {
  const { client } = parse(releaseRequest, request)
  const area = await areaOf(archive, client)
  const wasHalted = area.halted !== undefined
  await area.release()
  return { client, wasHalted }
}

/** Throws USAGE for a client that the archive does not know: opening it would make it. */
async function areaOf (archive: Archive, client: string): Promise<Area> {
  await archive.ensurePresent('path')
  const names = archive.areas()
  if (!names.includes(client)) {
    throw new FileSyncError('USAGE', `The archive has nothing of a client "${client}". ${names.length === 0 ? 'No client has been synced yet.' : `It has: ${names.join(', ')}.`}`)
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
  throw new FileSyncError('USAGE', 'The command does not have its form. The running server may be of another version.')
}
