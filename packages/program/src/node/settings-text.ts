import { FileSyncError } from '@filesync/protocol'
import { isMap, isScalar, isSeq, parseDocument } from 'yaml'
import type { Node } from 'yaml'

/** The settings of a file as written: one text per setting, or several for a list. */
export type FileSettings = ReadonlyMap<string, readonly string[]>

/** Parses the text of a settings file; `file` is its name for errors. Throws USAGE. */
export function parseSettings (text: string, file: string): FileSettings {
  const document = parse(text, file)
  const settings = new Map<string, readonly string[]>()
  if (document === null) return settings
  if (!isMap(document)) {
    throw new FileSyncError('USAGE', `The configuration file ${file} must contain settings such as "interval: 300", one per line.`)
  }
  for (const { key, value } of document.items) {
    if (!isScalar(key)) throw new FileSyncError('USAGE', `In the configuration file ${file}, the name of a setting is not plain text.`)
    const name = String(key.value)
    const texts = (isSeq(value) ? value.items : [value]).map(item => isScalar(item) && typeof item.value === 'string' ? item.value : '')
    if (texts.length === 0 || texts.includes('')) {
      throw new FileSyncError('USAGE', `In the configuration file ${file}, "${name}" has no value, ` +
        'or a value that is neither plain text nor a list of plain texts.')
    }
    settings.set(name, texts)
  }
  return settings
}

// The failsafe schema knows only text, so a port or a file name made of digits stays as written.
function parse (text: string, file: string): Node | null {
  try {
    const document = parseDocument(text, { schema: 'failsafe', prettyErrors: true, stringKeys: true })
    const [fault] = [...document.errors, ...document.warnings]
    if (fault !== undefined) throw fault
    return document.contents
  } catch (cause) {
    // The library adds further lines that point at the place.
    const [why = ''] = (cause as Error).message.split('\n')
    throw new FileSyncError('USAGE', `The configuration file ${file} is not valid YAML: ${why.replace(/:$/u, '')}.`, { cause })
  }
}
