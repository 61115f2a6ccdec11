import { chmod, mkdir, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

const LARGE_BYTES = 24 << 20
/** A file of the sample folder `documents`. */
export const SAMPLE_FILE = 'notes/deeply/nested/folders/leaf.txt'

/**
 * Pseudo-random bytes (xorshift32, Marsaglia 2003), the same for every run: large enough to be streamed, and not compressible.
 * The demo uses no test code, so it has a generator of its own.
 */
function noise (bytes: number): Uint8Array {
  const words = new Uint32Array(bytes / 4)
  let state = 0x9e3779b9
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    words[i] = state
  }
  return new Uint8Array(words.buffer)
}

/** Makes two folders below a directory. Gives their paths. */
export async function makeSampleFolders (below: string): Promise<string[]> {
  const [documents, photos] = [join(below, 'documents'), join(below, 'photos')]
  await Promise.all([makeDocuments(documents), makePhotos(photos)])
  return [documents, photos]
}

/** Files that do not compress, one of them large. */
async function makePhotos (root: string): Promise<void> {
  await mkdir(join(root, 'summer'), { recursive: true })
  const photos = Array.from({ length: 20 }, (_, i) => `summer/${String(i).padStart(4, '0')}.jpg`)
  for (const [i, name] of photos.entries()) await writeFile(join(root, name), noise(200_000 + 4 * i))
  await writeFile(join(root, 'film.mp4'), noise(LARGE_BYTES))
  await settle(root, [...photos, 'film.mp4'])
}

/** Makes a tree with what real trees contain: small, nested and empty files and directories, links, and odd names. */
async function makeDocuments (root: string): Promise<void> {
  await mkdir(join(root, 'notes', 'deeply', 'nested', 'folders'), { recursive: true })
  await mkdir(join(root, 'an empty folder'))
  await mkdir(join(root, 'many'))
  await writeFile(join(root, 'empty.txt'), '')
  await writeFile(join(root, SAMPLE_FILE), 'as deep as it gets here\n')
  for (let i = 0; i < 500; i++) await writeFile(join(root, 'many', `file ${i}.txt`), `small file number ${i}\n`.repeat(i % 40))
  const oddNames = [
    '-rf', '$(echo hi)', '%2e%2e', '..hidden', "it's \"quoted\"", 'naïve café', 'スキャン', '🗄️ archive', 'trailing dot.', 'back\\slash', 'CON',
  ]
  for (const name of oddNames) await writeFile(join(root, name), `a file called ${name}\n`)
  await symlink('notes/deeply', join(root, 'shortcut'))
  await writeFile(join(root, 'run.sh'), '#!/bin/sh\necho hello\n')
  await chmod(join(root, 'run.sh'), 0o755)
  await settle(root, [
    ...oddNames, 'empty.txt', 'run.sh', SAMPLE_FILE,
    ...Array.from({ length: 500 }, (_, i) => `many/file ${i}.txt`),
  ])
}

/** Makes files older than any settle time, so that the first push does not have to wait. */
async function settle (root: string, names: readonly string[]): Promise<void> {
  const hourAgo = Date.now() / 1000 - 3600
  for (const name of names) await utimes(join(root, name), hourAgo, hourAgo)
}
