import { existsSync } from 'node:fs'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { CLIENT_PROGRAM, mirrorOf, openPairedStage } from '../src/programs.ts'

const PROCFS = '/proc/sys/kernel/random'

// Only Linux has files whose size reads 0 and that have content.
test.skipIf(!existsSync(PROCFS))(
  'files whose size reads 0 and that have content are named, never stored empty, and never safe',
  async () => {
    const { stage, server } = await openPairedStage()
    onTestFinished(async () => {
      await stage.dispose()
    })
    const names = (await readdir(PROCFS)).sort()
    const { code, result } = await stage.push('client', PROCFS, ['--settle', '0s'])
    expect(code).toBe(5)
    expect(result.problems.map(({ path }) => path).sort()).toEqual(names.map(name => `random/${name}`))
    expect(new Set(result.problems.map(problem => problem.code))).toEqual(new Set(['SIZE_UNRELIABLE']))
    await mkdir(mirrorOf(server, 'client', PROCFS), { recursive: true })
    expect(await readdir(mirrorOf(server, 'client', PROCFS))).toEqual([])
    const safe = await stage.run(CLIENT_PROGRAM, [
      'safe',
      join(PROCFS, 'boot_id'),
      '--settle',
      '0s',
      '--json',
      ...stage.clientArgs('client'),
    ])
    expect(safe.code).toBe(5)
    expect(JSON.parse(safe.stdout)).toMatchObject({
      path: 'random/boot_id',
      safe: false,
      state: 'unreadable',
      reason: expect.stringContaining('the size that its file system reports') as string,
    })
  }
)

test('a file at the deepest path that is allowed is stored and safe, and one that is deeper is named', async () => {
  const { stage, source, mirror } = await openPairedStage()
  onTestFinished(async () => { await stage.dispose() })
  const deepest = Array.from({ length: 62 }, () => 'd').join('/')
  await mkdir(join(source, deepest, 'e'), { recursive: true })
  for (const path of [`${deepest}/last`, `${deepest}/e/deeper`]) await writeFile(join(source, path), path)
  const { code, result } = await stage.push('client', source, ['--settle', '0s'])
  expect(code).toBe(5)
  expect(result.problems).toMatchObject([{ path: `source/${deepest}/e/deeper`, code: 'PATH_TOO_DEEP' }])
  expect((await readdir(join(mirror, deepest))).sort()).toEqual(['e', 'last'])
  expect(await readdir(join(mirror, deepest, 'e'))).toEqual([])
  const safe = await stage.run(CLIENT_PROGRAM, [
    'safe',
    deepest,
    '--settle',
    '0s',
    '--json',
    ...stage.clientArgs('client'),
  ])
  const rows = safe.stdout.trim().split('\n').map(line => JSON.parse(line) as { path: string, state: string })
  expect(rows.map(({ path, state }) => `${path} ${state}`)).toEqual([`source/${deepest}/e/deeper uncarried`, `source/${deepest}/last safe`])
})
