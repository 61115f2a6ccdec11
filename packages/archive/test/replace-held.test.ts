import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'

const RULES = fileURLToPath(new URL('../../../scripts/windows-rules.js', import.meta.url))
const DISK = fileURLToPath(new URL('../src/node/disk.ts', import.meta.url))

/** Replaces `old` while something has it, and again when nothing has; prints what came of both. */
const SCRIPT = `
  import fs, { closeSync, openSync, readFileSync, writeFileSync, chmodSync } from 'node:fs'
  import { syncBuiltinESMExports } from 'node:module'
  import { replaceAt } from ${JSON.stringify(DISK)}
  const directory = process.argv[1]
  const attempt = () => {
    try { replaceAt(directory, 'new', [directory, 'old']); return 'replaced' } catch (error) { return error.code }
  }
  for (const name of ['old', 'new']) writeFileSync(directory + name, name)
  chmodSync(directory + 'old', 0o444)
  const fd = openSync(directory + 'old', 'r')
  // A program that shares nothing lets nobody remove what it holds either.
  const { unlinkSync } = fs
  fs.unlinkSync = path => { throw Object.assign(new Error('EBUSY: ' + path), { code: 'EBUSY', syscall: 'unlink' }) }
  syncBuiltinESMExports()
  const held = attempt() + ' ' + readFileSync(directory + 'new', 'utf8')
  closeSync(fd)
  fs.unlinkSync = unlinkSync
  syncBuiltinESMExports()
  console.log(held + ', ' + attempt() + ' ' + readFileSync(directory + 'old', 'utf8'))
`

test('replacing a file that is held open fails after retries and keeps the new one; a read-only file is replaced', () => {
  const directory = mkdtempSync(join(tmpdir(), 'filesync-replace-'))
  onTestFinished(() => { rmSync(directory, { recursive: true, force: true }) })
  const out = execFileSync(process.execPath, [
    '--conditions=@filesync/source', `--require=${RULES}`, '--input-type=module', '-e', SCRIPT, `${directory}/`,
  ], { encoding: 'utf8' })
  expect(out.trim()).toBe('EPERM new, replaced new')
})
