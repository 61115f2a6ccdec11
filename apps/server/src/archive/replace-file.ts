import { open } from 'node:fs/promises'
import { renameOver } from '@filesync/protocol/node'

/** Replaces a file atomically. The new one has mode 0600. */
export async function replaceFile (path: string, text: string): Promise<void> {
  const fresh = await open(`${path}.new`, 'w', 0o600)
  try {
    await fresh.writeFile(text)
    // Without this, a power cut can leave an empty file, and the server would not start.
    await fresh.sync()
  } finally {
    await fresh.close()
  }
  await renameOver(`${path}.new`, path)
}
