import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'

const RULES = fileURLToPath(new URL('../../../scripts/windows-rules.js', import.meta.url))
const PLACE = fileURLToPath(new URL('../src/restore/target-place.ts', import.meta.url))

const TARGET = fileURLToPath(new URL('../src/restore/restore-target.ts', import.meta.url))

/** Runs a script on a directory, and returns what it prints. */
function inProcess (script: string, ...flags: readonly string[]): unknown {
  const directory = mkdtempSync(join(tmpdir(), 'filesync-place-'))
  onTestFinished(() => { rmSync(directory, { recursive: true, force: true }) })
  const args = ['--conditions=@filesync/source', ...flags, '--input-type=module', '-e', script, `${directory}/`]
  return JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' }))
}

/** Replaces `old` while this process has it open, and again when nothing has; prints what came of both. */
const SCRIPT = `
  import { chmodSync, closeSync, openSync, readFileSync, statSync, writeFileSync } from 'node:fs'
  import { describeFault, finishFileAt, moveInPlace } from ${JSON.stringify(PLACE)}
  const directory = process.argv[1]
  const [fresh, old] = [[directory, 'new'], [directory, 'old']]
  const attempt = () => {
    try { return moveInPlace(fresh, old, true) } catch (error) { return describeFault(error) }
  }
  const state = () => readFileSync(directory + 'old', 'utf8') + ' ' + (statSync(directory + 'old').mode & 0o777).toString(8)
  for (const [, name] of [fresh, old]) writeFileSync(directory + name, name)
  chmodSync(directory + 'old', 0o444)
  const fd = openSync(directory + 'old', 'r')
  const said = [attempt(), state(), moveInPlace(fresh, old, false)]
  closeSync(fd)
  said.push(attempt(), state())
  finishFileAt(old, { mode: 0o444, mtimeNs: 1_600_000_000_000_000_000n })
  finishFileAt(old, { mode: 0o444, mtimeNs: 1_500_000_000_000_000_000n })
  said.push(state(), statSync(directory + 'old').mtimeMs)
  console.log(JSON.stringify(said))
`

/** Each starts a process of its own, once or twice. */
const PROCESSES = { timeout: 60_000 }

test('on Windows a file that is held open stays as it was, a read-only one is replaced, and both get their times', PROCESSES, () => {
  expect(inProcess(SCRIPT, `--require=${RULES}`)).toEqual([
    'EPERM: another program may have the file open that is there', 'old 444', false,
    true, 'new 644',
    'new 444', 1_500_000_000_000,
  ])
})

/** Opens a target on a disk that stores names without the dots at their end, as FAT does under Linux. */
const CUTTING = `
  import fs from 'node:fs'
  import { syncBuiltinESMExports } from 'node:module'
  const cut = path => typeof path === 'string' ? path.replace(/([^/.])[.]+$/, '$1') : path
  for (const call of ['openSync', 'lstatSync', 'unlinkSync']) {
    const real = fs[call]
    fs[call] = (path, ...rest) => real(cut(path), ...rest)
  }
  syncBuiltinESMExports()
  const { RestoreTarget } = await import(${JSON.stringify(TARGET)})
  const target = new RestoreTarget({ root: process.argv[1], overwrite: false })
  console.log(JSON.stringify([target.cutsDots, target.foldsNames]))
  target.removeWork()
`

test('a target finds out whether its disk stores names without the dots at their end', PROCESSES, () => {
  expect(inProcess(CUTTING)).toEqual([true, false])
  expect(inProcess(CUTTING.replace('cut(path)', 'path'))).toEqual([false, false])
})
