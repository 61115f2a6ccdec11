import { open } from 'node:fs/promises'
import { FileSyncError } from '@filesync/protocol'
import { isMap, isScalar, isSeq, parseDocument } from 'yaml'
import type { Node } from 'yaml'

/** What a file says, as it was written: one text a setting, or several where it has a list. */
export type FileSettings = ReadonlyMap<string, readonly string[]>

/** Far more than there are settings; beyond it, the wrong file was named. */
const MAX_FILE_BYTES = 64 << 10

/**
 * The settings of a file in YAML (or JSON, which is YAML): one mapping from the names of long options, without the
 * dashes, to their values. Throws USAGE when it cannot be read or is something else.
 */
export async function loadSettingsFile (file: string): Promise<FileSettings> {
  let text: string
  try {
    text = await readBounded(file)
  } catch (cause) {
    throw new FileSyncError('USAGE', `The configuration file ${file} cannot be read: ${(cause as Error).message}.`, { cause })
  }
  return parseSettings(text, file)
}

/** As {@link loadSettingsFile}; undefined where there is no such file. */
export async function loadSettingsFileIfAny (file: string): Promise<FileSettings | undefined> {
  try {
    return await loadSettingsFile(file)
  } catch (error) {
    const code = error instanceof FileSyncError ? (error.cause as NodeJS.ErrnoException | undefined)?.code : undefined
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw error
  }
}

// It may be a pipe or a device, which has no size to look at before.
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

/** As {@link loadSettingsFile}, from the text; `file` is named in errors. */
export function parseSettings (text: string, file: string): FileSettings {
  const document = parse(text, file)
  const settings = new Map<string, readonly string[]>()
  if (document === null) return settings
  if (!isMap(document)) throw new FileSyncError('USAGE', `The configuration file ${file} has to hold settings like "interval: 300", one a line.`)
  for (const { key, value } of document.items) {
    if (!isScalar(key)) throw new FileSyncError('USAGE', `The configuration file ${file} has a name of a setting that is not plain text.`)
    const name = String(key.value)
    const texts = (isSeq(value) ? value.items : [value]).map(item => isScalar(item) && typeof item.value === 'string' ? item.value : '')
    if (texts.length === 0 || texts.includes('')) throw new FileSyncError('USAGE', `In the configuration file ${file}, "${name}" has no value, or one that is neither plain text nor a list of it.`)
    settings.set(name, texts)
  }
  return settings
}

// The failsafe schema knows only text, so a port or a file name of digits stays what was written.
function parse (text: string, file: string): Node | null {
  try {
    const document = parseDocument(text, { schema: 'failsafe', prettyErrors: true, stringKeys: true })
    const [fault] = [...document.errors, ...document.warnings]
    if (fault !== undefined) throw fault
    return document.contents
  } catch (cause) {
    // The library draws the place over further lines.
    const [why = ''] = (cause as Error).message.split('\n')
    throw new FileSyncError('USAGE', `The configuration file ${file} is not valid YAML: ${why.replace(/:$/u, '')}.`, { cause })
  }
}
