import { readFile } from 'node:fs/promises'
import { FileSyncError } from '@filesync/protocol'
import { parse } from 'yaml'

/**
 * The settings of a file in YAML (or JSON, which is YAML): one mapping from the names of long options, without the
 * dashes, to their values. Throws USAGE when it cannot be read or is something else.
 */
export async function loadSettingsFile (file: string): Promise<ReadonlyMap<string, string | readonly string[] | boolean>> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (cause) {
    throw new FileSyncError('USAGE', `The configuration file ${file} cannot be read: ${message(cause)}.`, { cause })
  }
  return parseSettings(text, file)
}

/** As {@link loadSettingsFile}, from the text; `file` is named in errors. */
export function parseSettings (text: string, file: string): ReadonlyMap<string, string | readonly string[] | boolean> {
  let document: unknown
  try {
    document = parse(text, { schema: 'failsafe', maxAliasCount: 0 })
  } catch (cause) {
    throw new FileSyncError('USAGE', `The configuration file ${file} is not valid YAML: ${message(cause)}`, { cause })
  }
  const settings = new Map<string, string | readonly string[] | boolean>()
  if (document === null || document === '') return settings
  if (typeof document !== 'object' || Array.isArray(document)) {
    throw new FileSyncError('USAGE', `The configuration file ${file} has to be a list of settings like "interval: 300".`)
  }
  for (const [name, value] of Object.entries(document)) settings.set(name, settingValue(value, name, file))
  return settings
}

function settingValue (value: unknown, name: string, file: string): string | readonly string[] | boolean {
  // The failsafe schema knows only text, so a port or a file name of digits stays what was written.
  if (value === 'true' || value === 'false') return value === 'true'
  if (typeof value === 'string') return value
  if (Array.isArray(value) && value.every(item => typeof item === 'string')) return value
  throw new FileSyncError('USAGE', `In the configuration file ${file}, "${name}" has to be a single value or a list of values.`)
}

function message (error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
