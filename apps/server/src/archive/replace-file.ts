import { open, rename } from 'node:fs/promises'

/** Puts a file of mode 0600 in the place of an old one, wholly or not at all. */
export async function replaceFile (path: string, text: string): Promise<void> {
  const fresh = await open(`${path}.new`, 'w', 0o600)
  try {
    await fresh.writeFile(text)
    // Otherwise a power cut can leave the name with nothing in it, and the server would not start.
    await fresh.sync()
  } finally {
    await fresh.close()
  }
  await rename(`${path}.new`, path)
}
