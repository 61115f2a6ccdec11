import { chmod, mkdir, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { mirrorOf, openPairedStage } from '../src/programs.ts'
import type { RunningServer, Stage } from '../src/programs.ts'
import { treeDifferences } from '../src/trees.ts'

/** As packages are unpacked with, so that builds can be repeated. */
const FIXED_SECONDS = 499_162_500

let stage: Stage
let server: RunningServer
let source: string
beforeEach(async () => { ({ stage, server, source } = await openPairedStage()) })
afterEach(async () => { await stage.dispose() })

async function put (path: string, content: string): Promise<void> {
  await writeFile(join(source, path), content)
  await utimes(join(source, path), FIXED_SECONDS, FIXED_SECONDS)
}

async function push (): Promise<{ filesSent: number, filesRenamed: number }> {
  const { code, result } = await stage.push('client', source, ['--settle', '0s'])
  expect({ code, result: result?.result }).toEqual({ code: 0, result: 'ok' })
  expect(await treeDifferences(source, mirrorOf(server, 'client', source))).toEqual([])
  return result
}

test('another file of the same name, size and time is stored, and one of the same content is not sent', async () => {
  await mkdir(join(source, 'package'))
  await put('package/package.json', '{"version":"1.0.1"}')
  await put('package/license', 'the same')
  await put('other', 'stays')
  await push()
  await rm(join(source, 'package'), { recursive: true })
  await mkdir(join(source, 'package'))
  await put('package/package.json', '{"version":"1.0.2"}')
  await put('package/license', 'the same')
  expect(await push()).toMatchObject({ filesSent: 1, filesRenamed: 0 })
  expect(await push()).toMatchObject({ filesSent: 0 })
})

test('files of the same size and time that change places do so in the archive, without being sent', async () => {
  for (const name of ['a', 'b', 'c']) await put(name, name.repeat(4))
  await push()
  await rename(join(source, 'a'), join(source, 'x'))
  await rename(join(source, 'b'), join(source, 'a'))
  await rename(join(source, 'c'), join(source, 'b'))
  await rename(join(source, 'x'), join(source, 'c'))
  expect(await push()).toMatchObject({ filesSent: 0, filesRenamed: 3 })
})

test('a file that is renamed and made private is private in the archive', async () => {
  await put('public', 'secret')
  await push()
  await rename(join(source, 'public'), join(source, 'private'))
  await chmod(join(source, 'private'), 0o600)
  expect(await push()).toMatchObject({ filesSent: 0, filesRenamed: 1 })
  expect((await stat(join(mirrorOf(server, 'client', source), 'private'))).mode & 0o777).toBe(0o600)
})
