import { open } from 'node:fs/promises'
import { FileSyncError } from '@filesync/protocol'
import type { FileSettings } from './settings-text.ts'

/** Far more than all settings need; a longer file must be the wrong one. */
const MAX_FILE_BYTES = 64 << 10

/**
 * The settings of a file in YAML (or JSON, which is YAML): one mapping from the names of long options, without the
 * dashes, to their values. Throws USAGE if it cannot be read or contains anything else.
 */
export async function loadSettingsFile (file: string): Promise<FileSettings> {
  let text: string
  try {
    text = await readBounded(file)
  } catch (cause) {
    throw new FileSyncError('USAGE', `The configuration file ${file} cannot be read: ${(cause as Error).message}.`, { cause })
  }
  // Loaded only if there is a file: the parser takes a tenth of the time in which a command starts.
  const { parseSettings } = await import('./settings-text.ts')
  return parseSettings(text, file)
}

/** Like {@link loadSettingsFile}, but undefined if there is no such file. */
export async function loadSettingsFileIfAny (file: string): Promise<FileSettings | undefined> {
  try {
    return await loadSettingsFile(file)
  } catch (error) {
    const code = error instanceof FileSyncError ? (error.cause as NodeJS.ErrnoException | undefined)?.code : undefined
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw error
  }
}

// It may be a pipe or a device, whose size is not known in advance.
async function readBounded (file: string): Promise<string> {
  const handle = await open(file)
  try {
    const bytes = Buffer.alloc(MAX_FILE_BYTES + 1)
    let length = 0
    for (let read = -1; read !== 0 && length < bytes.length; length += read) {
      read = (await handle.read(bytes, length, bytes.length - length)).bytesRead
    }
    if (length > MAX_FILE_BYTES) throw new Error(`it is longer than ${MAX_FILE_BYTES} bytes`)
    return bytes.toString('utf8', 0, length)
  } finally {
    await handle.close()
  }
}
