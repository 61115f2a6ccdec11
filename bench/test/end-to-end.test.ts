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
import { sshdTrouble } from '../src/rsync-servers.ts'
import { rsyncVersion } from '../src/rsync-side.ts'
import { runCases } from '../src/run-cases.ts'
import { makeScratch } from './scratch.ts'

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url))
const rsync = await rsyncVersion(new Children())
const sshd = rsync === undefined ? undefined : await triedSshd()
if (rsync === undefined) process.stderr.write('bench: skipped, because rsync is not installed and there is nothing to compare with\n')

let scratch: string
beforeEach(() => { scratch = makeScratch() })
afterEach(() => { rmSync(scratch, { recursive: true, force: true }) })

describe.skipIf(rsync === undefined)('beside rsync', () => {
  test('a tiny case measures both sides, and leaves nothing behind', async () => {
    const said: string[] = []
    const { rows, failures } = await runCases({
      cases: CASES.filter(({ name }) => name === 'one-percent'),
      scale: 0.002, pairs: 1, seed: 3, scratch, keep: false, throughSsh: sshd === 'works', signal: new AbortController().signal, say: text => { said.push(text) },
    })
    expect(failures, said.join('\n')).toEqual([])
    expect(rows).toHaveLength(1)
    const [row] = rows
    if (row === undefined) throw new Error('There is no row.')
    expect(judge(row)).toHaveLength(1)
    expect(row.throughSsh).toHaveLength(sshd === 'works' ? 1 : 0)
    for (const run of [...row.ours, ...row.theirs, ...row.throughSsh ?? []]) {
      expect(run.durationMs).toBeGreaterThan(0)
      expect(run.clientPeakBytes).toBeGreaterThan(1_000_000)
      expect(run.serverPeakBytes).toBeGreaterThan(1_000_000)
      // Two of 200 files changed; what is told is at least their bytes, and what crossed the interface is more than is told.
      expect(run.toldBytes).toBeGreaterThan(row.changedBytes ?? Infinity)
      expect(run.wireBytes).toBeGreaterThan(run.toldBytes ?? Infinity)
    }
    expect(readdirSync(scratch)).toEqual([])
  })

  test('Ctrl-C ends what was started and removes what was made', async () => {
    const bench = spawn(process.execPath, [...process.execArgv, MAIN, 'no-change', '--scale', '0.002', '--pairs', '50', '--dir', scratch, '--json', join(scratch, 'x.json')], { stdio: ['ignore', 'ignore', 'pipe'] })
    const said: string[] = []
    const exited = once(bench, 'exit')
    const lines = createInterface({ input: bench.stderr })
    lines.on('line', line => {
      said.push(line)
      if (line.includes('pair 1 of 50')) bench.kill('SIGINT')
    })
    const [code] = await exited as [number | null]
    expect(code, said.join('\n')).toBe(130)
    expect(readdirSync(scratch)).toEqual([])
    expect(programsBelow(scratch)).toEqual([])
  })
})

/** 'works', or why rsync is not measured through ssh. */
async function triedSshd (): Promise<string> {
  const home = makeScratch()
  try {
    return await sshdTrouble(join(home, 'sshd'), new Children()) ?? 'works'
  } finally {
    rmSync(home, { recursive: true })
  }
}

/** Command lines of running programs that name a directory. */
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
