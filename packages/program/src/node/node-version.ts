import { FileSyncError } from '@filesync/protocol'

/** As `engines` of the packages has it: the first with zstd. */
const OLDEST = { major: 22, minor: 15 }

/** Throws USAGE where the programs cannot run on this version of Node, which would show somewhere in the middle. */
export function ensureNode (version: string): void {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major > OLDEST.major || (major === OLDEST.major && minor >= OLDEST.minor)) return
  throw new FileSyncError('USAGE', `FileSync needs Node.js ${OLDEST.major}.${OLDEST.minor} or newer, and this is ${version}. Install a newer one from https://nodejs.org.`)
}
