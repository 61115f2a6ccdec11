import { FileSyncError } from '@filesync/protocol'

/** The same as `engines` in package.json: the first version with zstd. */
const OLDEST = { major: 22, minor: 15 }

/** Throws USAGE if the programs cannot run on this version of Node; otherwise they would fail in the middle of a command. */
export function ensureNode (version: string): void {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major > OLDEST.major || (major === OLDEST.major && minor >= OLDEST.minor)) return
  throw new FileSyncError('USAGE', `FileSync needs Node.js ${OLDEST.major}.${OLDEST.minor} or newer, but this is ${version}. ` +
    'Install a newer version from https://nodejs.org.')
}
