import { FileSyncError } from '@filesync/protocol'
import { isMap, isScalar, isSeq, parseDocument } from 'yaml'
import type { Node } from 'yaml'

/** What a file says, as it was written: one text a setting, or several where it has a list. */
export type FileSettings = ReadonlyMap<string, readonly string[]>

/** The settings in a text; `file` is named in errors. Throws USAGE. */
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
