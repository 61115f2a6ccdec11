import { chmod, mkdir, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

const LARGE_BYTES = 24 << 20

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

/** Makes a tree with what real trees contain: small, large, nested and empty files and directories, links, and odd names. */
export async function makeSampleTree (root: string): Promise<void> {
  await mkdir(join(root, 'notes', 'deeply', 'nested', 'folders'), { recursive: true })
  await mkdir(join(root, 'an empty folder'))
  await mkdir(join(root, 'many'))
  await writeFile(join(root, 'large.bin'), noise(LARGE_BYTES))
  await writeFile(join(root, 'empty.txt'), '')
  await writeFile(join(root, 'notes', 'deeply', 'nested', 'folders', 'leaf.txt'), 'as deep as it gets here\n')
  for (let i = 0; i < 500; i++) await writeFile(join(root, 'many', `file ${i}.txt`), `small file number ${i}\n`.repeat(i % 40))
  const oddNames = [
    '-rf', '$(echo hi)', '%2e%2e', '..hidden', "it's \"quoted\"", 'naïve café', 'スキャン', '🗄️ archive', 'trailing dot.', 'back\\slash', 'CON',
  ]
  for (const name of oddNames) await writeFile(join(root, name), `a file called ${name}\n`)
  await symlink('notes/deeply', join(root, 'shortcut'))
  await writeFile(join(root, 'run.sh'), '#!/bin/sh\necho hello\n')
  await chmod(join(root, 'run.sh'), 0o755)
  // Older than any settle time, so that the first push does not have to wait.
  const hourAgo = Date.now() / 1000 - 3600
  const settled = [
    ...oddNames, 'large.bin', 'empty.txt', 'run.sh', 'notes/deeply/nested/folders/leaf.txt',
    ...Array.from({ length: 500 }, (_, i) => `many/file ${i}.txt`),
  ]
  for (const name of settled) await utimes(join(root, name), hourAgo, hourAgo)
}
