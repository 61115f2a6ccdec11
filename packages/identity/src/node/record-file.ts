import { dirname } from 'node:path'
import { FileSyncError } from '@filesync/protocol'
import * as v from 'valibot'
import type { RecordStore } from '../record-store.ts'
import { withFileLock } from './file-lock.ts'
import { ensureStateDir, readPrivateFile, writePrivateFile } from './private-file.ts'

const VERSION = 1

export interface RecordFileInit<T> {
  readonly path: string
  /** The property that holds the list in the file. */
  readonly listName: string
  readonly schema: v.GenericSchema<unknown, T>
}

/** Records in a JSON file that several processes may use; a missing file is empty. Mode 0600, replaced atomically. */
export function recordFile <T>(init: RecordFileInit<T>): RecordStore<T> {
  const { path, listName } = init
  const schema = v.object({ version: v.literal(VERSION), [listName]: v.array(init.schema) })

  async function read (): Promise<readonly T[]> {
    const text = await readPrivateFile(path)
    if (text === undefined) return []
    const result = v.safeParse(schema, parseJson(path, text))
    if (result.success) return result.output[listName] as readonly T[]
    throw damaged(path, v.getDotPath(result.issues[0]) ?? 'the whole file', undefined)
  }

  return {
    read,
    async change (decide) {
      await ensureStateDir(dirname(path))
      return await withFileLock(`${path}.lock`, async () => {
        const before = await read()
        const { records, result, before: first } = decide(before)
        await first?.()
        if (records !== before) {
          await writePrivateFile(path, JSON.stringify({ version: VERSION, [listName]: records }, undefined, 2) + '\n')
        }
        return result
      })
    },
  }
}

function parseJson (path: string, text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch (cause) {
    throw damaged(path, 'not valid JSON', cause)
  }
}

function damaged (path: string, where: string, cause: unknown): FileSyncError {
  const message = `${path} is damaged (${where}). Restore it from a backup, or remove it and pair again.`
  return new FileSyncError('STATE_INVALID', message, { cause })
}
