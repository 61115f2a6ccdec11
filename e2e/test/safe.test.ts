import { mkdir, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { closeSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { CLIENT_PROGRAM, openPairedStage } from '../src/programs.ts'
import type { Finished, Stage } from '../src/programs.ts'

const LONG_AGO = 1_700_000_000

interface Row {
  readonly path: string
  readonly safe: boolean
  readonly state: string
  readonly reason: string
  readonly storedAt?: string
  readonly verifiedAt?: string
  readonly read?: string
}

/** Writes a file that has been quiet for long. */
async function settled (path: string, content: string | Uint8Array, mtimeSeconds = LONG_AGO): Promise<void> {
  await writeFile(path, content)
  await utimes(path, mtimeSeconds, mtimeSeconds)
}

/** Changes one byte of a file and none of its times. */
async function damage (path: string, position: number): Promise<void> {
  const { mtimeNs } = await stat(path, { bigint: true })
  const fd = openSync(path, 'r+')
  writeSync(fd, Uint8Array.of(0xaa), 0, 1, position)
  closeSync(fd)
  await utimes(path, Number(mtimeNs) / 1e9, Number(mtimeNs) / 1e9)
}

describe('the safe check', () => {
  let stage: Stage
  let source: string
  let mirror: string

  beforeEach(async () => {
    ({ stage, source, mirror } = await openPairedStage('laptop'))
    await mkdir(join(source, 'd', 'e'), { recursive: true })
    await mkdir(join(source, 'nothing'))
    await settled(join(source, 'top.txt'), 'top')
    await settled(join(source, 'd', 'one.txt'), 'one')
    await settled(join(source, 'd', 'e', 'large.bin'), new Uint8Array(700_000).map((_, i) => i * 13 + (i >> 8)))
    await symlink('one.txt', join(source, 'd', 'link'))
    expect((await stage.push('client', source)).code).toBe(0)
  })

  afterEach(async () => { await stage.dispose() })

  async function safe (...args: readonly string[]): Promise<Finished & { rows: Row[] }> {
    const finished = await stage.run(CLIENT_PROGRAM, ['safe', ...args, '--json', ...stage.clientArgs('client')])
    return { ...finished, rows: finished.stdout.trimEnd().split('\n').filter(line => line !== '').map(line => JSON.parse(line) as Row) }
  }

  const inFolder = (path: string): string => path.replace(/^source\//u, '')
  const states = ({ rows }: { rows: Row[] }): Record<string, string> => Object.fromEntries(
    rows.map(({ path, state }) => [inFolder(path), state])
  )

  test('is yes for what was pushed, and no, with the reason, for what is not as it was or never traveled', async () => {
    const whole = await safe(source)
    expect(states(whole)).toEqual({ 'd/e/large.bin': 'safe', 'd/link': 'safe', 'd/one.txt': 'safe', 'top.txt': 'safe' })
    expect(whole.code).toBe(0)
    expect(Date.parse(whole.rows[0]?.storedAt ?? '')).toBeGreaterThan(Date.now() - 60_000)

    await settled(join(source, 'd', 'one.txt'), 'two', LONG_AGO)
    await settled(join(source, 'd', 'new'), 'new')
    await settled(join(source, 'd', 'trash.tmp'), 'ignored when it is pushed')
    await writeFile(join(source, 'd', 'fresh'), 'just now')
    const changed = await safe('d', join(source, 'top.txt'), 'gone.txt', '--settle', '10m')
    expect(states(changed)).toEqual({
      'd/e/large.bin': 'safe',
      'd/link': 'safe',
      'd/one.txt': 'different',
      'd/new': 'absent',
      'd/trash.tmp': 'absent',
      'd/fresh': 'unsettled',
      'top.txt': 'safe',
      'gone.txt': 'missing',
    })
    const safeOnes = changed.rows.filter(row => row.safe).map(({ path }) => path).sort()
    expect(safeOnes).toEqual(['source/d/e/large.bin', 'source/d/link', 'source/top.txt'])
    expect(changed.code).toBe(5)
    expect(states(await safe('nothing'))).toEqual({ nothing: 'empty' })
    expect((await safe('../elsewhere')).code).toBe(2)
  })

  test('finds what was done to the server\'s copy: by its size and time at once, and every bit with --fresh', async () => {
    await rm(join(mirror, 'top.txt'))
    await damage(join(mirror, 'd', 'e', 'large.bin'), 350_000)
    const first = await safe('.')
    expect(states(first)).toEqual({ 'd/e/large.bin': 'safe', 'd/link': 'safe', 'd/one.txt': 'safe', 'top.txt': 'altered' })
    expect(first.code).toBe(5)
    const fresh = await safe('d', '--fresh')
    expect(states(fresh)).toEqual({ 'd/e/large.bin': 'damaged', 'd/link': 'safe', 'd/one.txt': 'safe' })
    expect(fresh.code).toBe(5)
    expect(fresh.rows.find(({ path }) => path === 'source/d/one.txt')).toMatchObject({
      read: expect.stringMatching(/^(disk|cache)$/u) as string,
      verifiedAt: expect.any(String) as string,
    })
    // What was found is put right by the next push.
    await settled(join(source, 'd', 'more'), 'more')
    expect((await stage.push('client', source)).result).toMatchObject({ result: 'ok' })
    const healed = await safe('.', '--fresh')
    expect(Object.values(states(healed))).toEqual(Array(5).fill('safe'))
    expect(healed.code).toBe(0)
  })
})
