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

/** The id of the archive that this server opened last, as recorded in its state directory; undefined if none. Throws STATE_INVALID. */
async function readKnownArchive (stateDir: string): Promise<string | undefined> {
  const path = join(stateDir, FILE)
  try {
    return v.parse(file, JSON.parse(await readFile(path, 'utf8'))).id
  } catch (cause) {
    if (errnoOf(cause) === 'ENOENT') return undefined
    const why = cause instanceof Error ? cause.message : String(cause)
    const what = `${path}, which identifies the archive of this server, cannot be read or is damaged: ${why}.`
    throw new FileSyncError('STATE_INVALID', `${what} ` +
      'Make sure that the archive disk is mounted, remove this file, and start the server again.', { cause })
  }
}

export interface KnownArchiveInit extends ArchiveInit {
  readonly stateDir: string
  /** The operator wants the archive at the root from now on, even if another one is known. */
  readonly accept: boolean
}

/**
 * Opens the archive of this server and records its id; if an id is recorded already, only that archive is opened. Throws what
 * `openArchive` throws, ARCHIVE_UNAVAILABLE for another archive, and STATE_INVALID.
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
 * Throws STATE_IN_USE if a server is running with the state directory. Opening the control socket would find that too, but only after
 * the archive was opened and its id recorded, which could replace the id that the running server relies on.
 */
async function ensureStateFree (stateDir: string): Promise<void> {
  const isFree = await askControl(stateDir, 'GET /sessions').then(answer => answer === undefined, () => false)
  if (isFree) return
  const what = `Another program is running with the state directory ${stateDir}.`
  throw new FileSyncError('STATE_IN_USE', `${what} Stop it first, or choose another directory with --state-dir.`)
}

/** Like {@link openKnownArchive}, for a disk that may be disconnected and return while the server runs. */
export async function openServerArchive (init: KnownArchiveInit, log: EventLog): Promise<ReopeningArchive> {
  await ensureStateFree(init.stateDir)
  const first = await openKnownArchive(init)
  const { root, clock } = init
  return new ReopeningArchive(first, {
    reopen: async () => await openArchive({ ...init, expectedId: first.id }),
    clock,
    onUnavailable: ({ code, message }) => {
      const text = `the archive is unavailable, and nothing is stored until it is back: ${message}`
      log({ event: 'archive-away', archive: root, code, message }, text)
    },
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
    const todo = 'Make sure that its disk has room and that the server may write there.'
    throw new FileSyncError('STATE_INVALID', `${path} cannot be written: ${why}. ${todo}`, { cause })
  }
}
