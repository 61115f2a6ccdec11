import * as v from 'valibot'
import { FileSyncError } from '../errors.ts'
import { LEGACY_LIMITS } from './legacy-limits.ts'
import { LIMITS } from '../limits.ts'

/** A file in CLIENT_FILES_INFO. Only the types of its fields were validated. */
export interface LegacyFile {
  readonly name: string
  readonly path: string
  /** A naive local ISO timestamp. */
  readonly last_mod: string
}

export interface LegacyFilesInfo {
  readonly type: 'CLIENT_FILES_INFO'
  readonly client_id: string | null
  readonly files: readonly LegacyFile[]
}

interface LegacyTasks {
  readonly type: 'TASKS'
  readonly files_to_send: readonly string[]
}

interface LegacyFileHeader extends LegacyFile {
  readonly type: 'FILE_HEADER'
  readonly size: number
}

interface LegacyServerStatus {
  readonly type: 'SERVER_STATUS' | 'SERVER_STATUS_MESSAGE'
  readonly status: 'READY' | 'BUSY'
}

interface LegacyNextSync {
  readonly type: 'NEXT_SYNC'
  /** A naive local ISO timestamp. */
  readonly time: string
}

/** The messages of the original program, under the names that both versions of the original program use. */
export interface LegacyMessages {
  readonly SERVER_STATUS: LegacyServerStatus
  readonly CLIENT_FILES_INFO: LegacyFilesInfo
  readonly TASKS: LegacyTasks
  readonly FILE_HEADER: LegacyFileHeader
  readonly NEXT_SYNC: LegacyNextSync
}

const text = v.pipe(v.string(), v.maxLength(LIMITS.textBytes))
const file = { name: text, path: text, last_mod: text }

const SCHEMAS: { readonly [K in keyof LegacyMessages]: v.GenericSchema<unknown, LegacyMessages[K]> } = {
  SERVER_STATUS: v.object({ type: v.picklist(['SERVER_STATUS', 'SERVER_STATUS_MESSAGE']), status: v.picklist(['READY', 'BUSY']) }),
  CLIENT_FILES_INFO: v.object({
    type: v.literal('CLIENT_FILES_INFO'),
    client_id: v.optional(v.nullable(text), null),
    files: v.pipe(v.array(v.object(file)), v.maxLength(LEGACY_LIMITS.listFiles)),
  }),
  TASKS: v.object({ type: v.literal('TASKS'), files_to_send: v.array(text) }),
  FILE_HEADER: v.object({
    type: v.literal('FILE_HEADER'),
    ...file,
    size: v.pipe(v.number(), v.safeInteger(), v.minValue(0), v.maxValue(LIMITS.fileBytes)),
  }),
  NEXT_SYNC: v.object({ type: v.literal('NEXT_SYNC'), time: text }),
}

/** Validates a decoded message of the original program. Throws MESSAGE_INVALID. */
export function parseLegacyMessage<K extends keyof LegacyMessages> (type: K, value: unknown): LegacyMessages[K] {
  const schema: v.GenericSchema<unknown, LegacyMessages[K]> = SCHEMAS[type]
  const result = v.safeParse(schema, value, { abortEarly: true })
  if (result.success) return result.output
  throw new FileSyncError('MESSAGE_INVALID', `The peer did not send a valid ${type} of the original protocol.`)
}

const encoder = new TextEncoder()

/** Encodes a message as the original program does; TASKS and FILE_HEADER end with a newline, the others with their brace. */
export function encodeLegacyMessage (message: LegacyMessages[keyof LegacyMessages]): Uint8Array {
  const ends = message.type === 'TASKS' || message.type === 'FILE_HEADER' ? '\n' : ''
  return encoder.encode(`${JSON.stringify(message)}${ends}`)
}

/** TASKS with the first paths, as many as fit into `maxBytes`. */
export function fitLegacyTasks (paths: Iterable<string>, maxBytes: number): { readonly tasks: LegacyTasks, readonly isAll: boolean } {
  const chosen: string[] = []
  let sizeBytes = encodeLegacyMessage({ type: 'TASKS', files_to_send: [] }).length
  for (const path of paths) {
    const comma = chosen.length === 0 ? 0 : 1
    sizeBytes += encoder.encode(JSON.stringify(path)).length + comma
    if (sizeBytes > maxBytes) return { tasks: { type: 'TASKS', files_to_send: chosen }, isAll: false }
    chosen.push(path)
  }
  return { tasks: { type: 'TASKS', files_to_send: chosen }, isAll: true }
}
