import { spawn } from 'node:child_process'
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Children } from '../src/children.ts'
import { CASES } from '../src/cases.ts'
import { judge } from '../src/row.ts'
import { sshdProblem } from '../src/rsync-servers.ts'
import { rsyncVersion } from '../src/rsync-side.ts'
import { runCases } from '../src/run-cases.ts'
import { makeScratch } from './support/scratch.ts'

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url))
const rsync = await rsyncVersion(new Children())
const sshd = rsync === undefined ? undefined : await trySshd()
if (rsync === undefined) process.stderr.write('bench: skipped, because rsync is not installed\n')

let scratch: string
beforeEach(() => { scratch = makeScratch() })
afterEach(() => { rmSync(scratch, { recursive: true, force: true }) })

describe.skipIf(rsync === undefined)('compared with rsync', () => {
  test('a tiny case measures both sides, and removes everything', async () => {
    const logged: string[] = []
    const { rows, failures } = await runCases({
      cases: CASES.filter(({ name }) => name === 'one-percent'),
      scale: 0.002, pairs: 1, files: 1, seed: 3, scratch, keep: false, throughSsh: sshd === 'works', signal: new AbortController().signal,
      log: text => { logged.push(text) },
    })
    expect(failures, logged.join('\n')).toEqual([])
    expect(rows).toHaveLength(1)
    const [row] = rows
    if (row === undefined) throw new Error('There is no row.')
    expect(judge(row)).toHaveLength(1)
    expect(row.throughSsh).toHaveLength(sshd === 'works' ? 1 : 0)
    for (const run of [...row.ours, ...row.theirs, ...row.throughSsh ?? []]) {
      expect(run.durationMs).toBeGreaterThan(0)
      expect(run.clientPeakBytes).toBeGreaterThan(1_000_000)
      expect(run.serverPeakBytes).toBeGreaterThan(1_000_000)
      // Two of 200 files changed: the reported bytes include theirs, and the bytes on the interface are more than the reported ones.
      expect(run.toldBytes).toBeGreaterThan(row.changedBytes ?? Infinity)
      expect(run.wireBytes).toBeGreaterThan(run.toldBytes ?? Infinity)
    }
    expect(readdirSync(scratch)).toEqual([])
  })

  test('Ctrl-C stops all programs and removes all files', async () => {
    const args = ['no-change', '--scale', '0.002', '--pairs', '50', '--dir', scratch, '--json', join(scratch, 'x.json')]
    const bench = spawn(process.execPath, [...process.execArgv, MAIN, ...args], { stdio: ['ignore', 'ignore', 'pipe'] })
    const logged: string[] = []
    const exited = once(bench, 'exit')
    const lines = createInterface({ input: bench.stderr })
    lines.on('line', line => {
      logged.push(line)
      if (line.includes('pair 1 of 50')) bench.kill('SIGINT')
    })
    const [code] = await exited as [number | null]
    expect(code, logged.join('\n')).toBe(130)
    expect(readdirSync(scratch)).toEqual([])
    expect(programsBelow(scratch)).toEqual([])
  })
})

/** 'works', or why rsync cannot be measured through ssh. */
async function trySshd (): Promise<string> {
  const home = makeScratch()
  try {
    return await sshdProblem(join(home, 'sshd'), new Children()) ?? 'works'
  } finally {
    rmSync(home, { recursive: true })
  }
}

/** Command lines of running programs that contain the path of a directory. */
function programsBelow (directory: string): string[] {
  return readdirSync('/proc').filter(name => /^\d+$/u.test(name)).map(pid => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'latin1')
    } catch (error) {
      if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ESRCH')) return ''
      throw error
    }
  }).filter(line => line.includes(directory))
}
