import { readFileSync } from 'node:fs'

const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { name: string, version: string }

/** The version of this program. */
export const VERSION: string = manifest.version
/** Program and version, as sent in HELLO. */
export const SOFTWARE: string = `${manifest.name}/${manifest.version}`
