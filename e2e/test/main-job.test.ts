import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, readdir, readFile, readlink, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openPairedStage } from '../src/programs.ts'
import type { RunningServer, Stage } from '../src/programs.ts'
import { treeDifferences } from '../src/trees.ts'

const HOUR_AGO = 1_700_000_000

/** Writes a file that has been quiet for long. */
async function settled (path: string, content: string | Uint8Array, mtimeSeconds = HOUR_AGO): Promise<void> {
  await writeFile(path, content)
  await utimes(path, mtimeSeconds, mtimeSeconds)
}

async function makeTree (root: string): Promise<void> {
  await mkdir(join(root, 'a', 'deep', 'nest'), { recursive: true })
  await mkdir(join(root, 'empty'))
  await settled(join(root, 'small.txt'), 'hello\n', HOUR_AGO + 0.123_456_7)
  await settled(join(root, 'empty.txt'), '')
  await settled(join(root, 'large.bin'), new Uint8Array(3_000_000).map((_, i) => i * 7 + (i >> 8)))
  await settled(join(root, 'a', 'deep', 'nest', 'leaf'), 'leaf')
  for (const name of ['-rf', '$(id)', '%2e%2e', '..a', 'Ünïcödé', '日本語', 'a\\b', 'trailing ', 'CON', '__proto__', 'emoji 🗄️'])
    await settled(join(root, name), name)
  await settled(join(root, 'tool.sh'), '#!/bin/sh\n')
  await chmod(join(root, 'tool.sh'), 0o750)
  await symlink('a/deep', join(root, 'link'))
  await symlink('nowhere', join(root, 'dangling'))
  for (let i = 0; i < 300; i++) await settled(join(root, 'a', `n${i}`), `${i}`.repeat(i))
}

describe('the main job', () => {
  let stage: Stage
  let server: RunningServer
  let source: string
  let mirror: string

  beforeEach(async () => {
    ({ stage, server, source, mirror } = await openPairedStage('laptop'))
    await makeTree(source)
  })

  afterEach(async () => { await stage.dispose() })

  test('a directory appears in the archive as it is, and an unchanged one costs next to nothing', async () => {
    const first = await stage.push('client', source)
    expect(first).toMatchObject({ code: 0, result: { result: 'ok', problems: [] } })
    expect(first.result.filesSent).toBe(first.result.filesTotal)
    expect(await treeDifferences(source, mirror)).toEqual([])

    const second = await stage.push('client', source)
    expect(second).toMatchObject({ code: 0, result: { result: 'ok', filesSent: 0, filesDeleted: 0 } })
    expect(second.result.bytesSent).toBeLessThan(2048)
    expect(Date.parse(second.result.nextSyncAt ?? '')).toBeGreaterThan(Date.now())
  })

  test('only what changed travels, and what vanished or was replaced stays in versions', async () => {
    await stage.push('client', source)
    await settled(join(source, 'small.txt'), 'changed\n', HOUR_AGO + 60)
    await rm(join(source, 'large.bin'))
    await rename(join(source, 'a', 'deep'), join(source, 'moved'))
    const second = await stage.push('client', source)
    expect(second).toMatchObject({ code: 0, result: { result: 'ok', filesSent: 1, filesDeleted: 1, filesRenamed: 1 } })
    expect(second.result.bytesSent).toBeLessThan(64_000)
    expect(await treeDifferences(source, mirror)).toEqual([])
    const kept = await readdir(join(server.archive, '.filesync', 'versions'), { recursive: true })
    expect(kept.some(path => path.includes('small.txt'))).toBe(true)
    expect(kept.some(path => path.includes('large.bin'))).toBe(true)
  })

  test('a file becomes a directory and back, and a link becomes a file', async () => {
    await stage.push('client', source)
    await rm(join(source, 'small.txt'))
    await mkdir(join(source, 'small.txt'))
    await settled(join(source, 'small.txt', 'inside'), 'x')
    await rm(join(source, 'empty'), { recursive: true })
    await settled(join(source, 'empty'), 'was a directory')
    await rm(join(source, 'link'))
    await settled(join(source, 'link'), 'was a link')
    const pushed = await stage.push('client', source)
    expect(pushed).toMatchObject({ code: 0, result: { result: 'ok' } })
    expect(await treeDifferences(source, mirror)).toEqual([])
  })

  test('what cannot be stored is named, and the rest is stored', async () => {
    await settled(join(source, 'bell\u0007'), 'x')
    const pushed = await stage.push('client', source)
    expect(pushed).toMatchObject({ code: 5, result: { result: 'problems' } })
    expect(pushed.result.problems).toMatchObject([{ path: 'source/bell\u0007', code: 'NAME_CONTROL' }])
    expect(await readFile(join(mirror, 'small.txt'), 'utf8')).toBe('hello\n')
    expect(await readdir(mirror)).not.toContain('bell\u0007')
  })

  test('a link that leads out is stored as a link, and a pipe or a socket is left out and no problem', async () => {
    await symlink('/etc/passwd', join(source, 'outside'))
    execFileSync('mkfifo', [join(source, 'pipe')])
    const socket = createServer().listen(join(source, 'socket'))
    await once(socket, 'listening')
    try {
      expect(await stage.push('client', source)).toMatchObject({ code: 0, result: { result: 'ok', problems: [] } })
      expect(await readlink(join(mirror, 'outside'))).toBe('/etc/passwd')
      expect(await readdir(mirror)).not.toContain('pipe')
      expect(await readdir(mirror)).not.toContain('socket')
      // With a rule of the user's own, the link is left out too, and leaves the mirror.
      expect(await stage.push('client', source, ['--links', 'refuse'])).toMatchObject({ code: 0, result: { result: 'ok', problems: [] } })
      expect(await readdir(mirror)).not.toContain('outside')
    } finally {
      socket.close()
    }
  })
})
