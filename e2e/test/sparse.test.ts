import { spawnSync } from 'node:child_process'
import { mkdir, open, rmdir, stat, writeFile } from 'node:fs/promises'
import { mkdtempSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { CLIENT_PROGRAM, SERVER_PROGRAM, Stage } from '../src/programs.ts'
import { treeDifferences } from '../src/trees.ts'

const MIB = 1 << 20
const SIZE_BYTES = 256 * MIB

function mount (at: string, size: string): boolean {
  return spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', at]).status === 0
}

/** File systems may not be mounted in most containers. */
const mayMount = ((): boolean => {
  const at = mkdtempSync(join(tmpdir(), 'filesync-mount-'))
  const isMounted = mount(at, '1m')
  if (isMounted) spawnSync('umount', ['-l', at])
  rmdirSync(at)
  return isMounted
})()

const allocated = async (path: string): Promise<number> => (await stat(path)).blocks * 512

test.runIf(mayMount)(
  'a sparse file is stored on a disk that is far smaller than its size, costs little on the way, and comes back with its holes',
  async () => {
    const stage = await Stage.open()
    onTestFinished(async () => {
      await stage.dispose()
    })
    const disk = stage.path('server-archive')
    await mkdir(disk)
    expect(mount(disk, '32m')).toBe(true)
    onTestFinished(async () => {
      spawnSync('umount', ['-l', disk])
      await rmdir(disk).catch(() => {
        /* the stage removes it */
      })
    })
    const server = await stage.startServer('server', ['--reserve', '0'])
    await stage.pair(server, 'client')
    const source = stage.path('source')
    await mkdir(source)
    await writeFile(join(source, 'thesis'), 'important')
    await writeFile(join(source, 'video'), Buffer.alloc(40 << 20, 7))
    const file = await open(join(source, 'lastlog'), 'w')
    for (const at of [0, SIZE_BYTES / 2]) await file.write(Buffer.alloc(4096, 'x'), 0, 4096, at)
    await file.truncate(SIZE_BYTES)
    await file.close()

    const { code, result } = await stage.push('client', source, ['--settle', '0s'])
    expect(code).toBe(5)
    expect(result).toMatchObject({ filesSent: 2, problems: [{ path: 'source/video', code: 'NO_ROOM' }], problemCount: 1 })
    expect(result.bytesSent).toBeLessThan(300_000)
    expect(await allocated(join(disk, 'client/source/lastlog'))).toBeLessThan(MIB)
    const safe = await stage.run(CLIENT_PROGRAM, [
      'safe',
      join(source, 'lastlog'),
      '--settle',
      '0s',
      ...stage.clientArgs('client'),
    ])
    expect(safe, safe.stdout).toMatchObject({ code: 0 })

    const restored = stage.path('restored')
    expect(
      await stage.run(SERVER_PROGRAM, [
        'restore',
        '--state-dir',
        server.stateDir,
        'client',
        '--at',
        new Date().toISOString(),
        '--to',
        restored,
      ])
    ).toMatchObject({ code: 0 })
    expect(await allocated(join(restored, 'source', 'lastlog'))).toBeLessThan(MIB)
    expect((await treeDifferences(source, join(restored, 'source'))).filter(difference => !difference.includes('video'))).toEqual([])
  },
  120_000
)
