import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openArchive } from '@filesync/archive/node'
import type { ArchiveInit } from '@filesync/archive/node'
import { ReopeningArchive } from '@filesync/archive'
import type { Archive } from '@filesync/archive'
import type { EventLog } from '@filesync/program'
import { askControl } from '@filesync/program/node'
import { errnoOf, FileSyncError } from '@filesync/protocol'
import * as v from 'valibot'
import { replaceFile } from './replace-file.ts'

const FILE = 'archive.json'
const VERSION = 1
const file = v.object({ version: v.literal(VERSION), id: v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/u)) })

/** The id of the archive that this server opened last, from its state directory; undefined if it has opened none. Throws STATE_INVALID. */
async function readKnownArchive (stateDir: string): Promise<string | undefined> {
  const path = join(stateDir, FILE)
  try {
    return v.parse(file, JSON.parse(await readFile(path, 'utf8'))).id
  } catch (cause) {
    if (errnoOf(cause) === 'ENOENT') return undefined
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new FileSyncError('STATE_INVALID', `${path}, which names the archive of this server, cannot be read or is damaged: ${why}. ` +
      'See that the disk of the archive is mounted, remove this file, and start the server again.', { cause })
  }
}

export interface KnownArchiveInit extends ArchiveInit {
  readonly stateDir: string
  /** An operator says that what is at the root is the archive from now on. */
  readonly accept: boolean
}

/**
 * Opens the archive of this server: the one that it knows, and any if it knows none. It is known from then on. Throws what `openArchive`
 * throws, ARCHIVE_UNAVAILABLE for another archive, and STATE_INVALID.
 */
export async function openKnownArchive ({ stateDir, accept, ...init }: KnownArchiveInit): Promise<Archive> {
  const known = accept ? undefined : await readKnownArchive(stateDir)
  const archive = await openArchive({ ...init, ...(known !== undefined && { expectedId: known }) })
  try {
    if (archive.id !== known) await writeKnownArchive(stateDir, archive.id)
    return archive
  } catch (error) {
    await archive.close()
    throw error
  }
}

/**
 * Throws STATE_IN_USE if a server runs with the state directory. The control socket finds that too, but only once the archive is open:
 * by then another archive could have become the one that is known.
 */
async function ensureStateFree (stateDir: string): Promise<void> {
  const isFree = await askControl(stateDir, 'GET /sessions').then(answer => answer === undefined, () => false)
  if (isFree) return
  throw new FileSyncError('STATE_IN_USE', `Another program is running with the state directory ${stateDir}. Stop it first, or choose another directory with --state-dir.`)
}

/** As {@link openKnownArchive}, on a disk that may go away and come back while the server runs. */
export async function openServerArchive (init: KnownArchiveInit, log: EventLog): Promise<ReopeningArchive> {
  await ensureStateFree(init.stateDir)
  const first = await openKnownArchive(init)
  const { root, clock } = init
  return new ReopeningArchive(first, {
    reopen: async () => await openArchive({ ...init, expectedId: first.id }),
    clock,
    onUnavailable: ({ code, message }) => { log({ event: 'archive-away', archive: root, code, message }, `the archive is away, and nothing is stored until it is back: ${message}`) },
    onAvailable: () => { log({ event: 'archive-back', archive: root }, `the archive is back at ${root}`) },
  })
}

async function writeKnownArchive (stateDir: string, id: string): Promise<void> {
  const path = join(stateDir, FILE)
  try {
    await mkdir(stateDir, { recursive: true, mode: 0o700 })
    await replaceFile(path, JSON.stringify({ version: VERSION, id }))
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new FileSyncError('STATE_INVALID', `${path} cannot be written: ${why}. See that its disk has room and that the server may write there.`, { cause })
  }
}
