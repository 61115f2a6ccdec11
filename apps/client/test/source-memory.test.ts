import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { recallSource, rememberSource } from '../src/push/source-memory.ts'

const MEMORY = { root: { device: '1', inode: '2', birthtimeNs: '3' }, files: 4 }

async function newStateDir (): Promise<string> {
  const stateDir = await mkdtemp(join(tmpdir(), 'filesync-client-'))
  onTestFinished(async () => { await rm(stateDir, { recursive: true }) })
  return stateDir
}

test('remembers each directory separately', async () => {
  const stateDir = await newStateDir()
  expect(await recallSource(stateDir, '/a')).toBeUndefined()
  await rememberSource(stateDir, '/a', MEMORY)
  await rememberSource(stateDir, '/b', { ...MEMORY, files: 5 })
  expect([await recallSource(stateDir, '/a'), await recallSource(stateDir, '/b')]).toEqual([MEMORY, { ...MEMORY, files: 5 }])
})

test.each([
  'null', '[]', '7', 'no JSON', '', '{"/a":null}', '{"/a":{"files":"4","root":{}}}',
  '{"/a":{"files":4,"root":{"device":1,"inode":2,"birthtimeNs":3}}}',
])('reports %s as damage and does not overwrite it', async text => {
  const stateDir = await newStateDir()
  const path = join(stateDir, 'sources.json')
  await writeFile(path, text)
  const damaged = { code: 'STATE_INVALID', message: expect.stringContaining(`${path} is damaged`) as unknown }
  await expect(recallSource(stateDir, '/a')).rejects.toMatchObject(damaged)
  await expect(rememberSource(stateDir, '/a', MEMORY)).rejects.toMatchObject(damaged)
  expect(await readFile(path, 'utf8')).toBe(text)
})
