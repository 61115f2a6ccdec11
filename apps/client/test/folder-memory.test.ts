import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { DeviceId } from '@filesync/identity'
import type { FolderMemory } from '../src/folders/folder-memory.ts'
import { commonServer, recallFolders, rememberFolders } from '../src/folders/folder-memory.ts'

const MEMORY: FolderMemory = { path: '/home/me/a', root: { device: '1', inode: '2', birthtimeNs: '3' }, files: 4 }

async function newStateDir (): Promise<string> {
  const stateDir = await mkdtemp(join(tmpdir(), 'filesync-client-'))
  onTestFinished(async () => { await rm(stateDir, { recursive: true }) })
  return stateDir
}

test('remembers each folder separately, and forgets one alone', async () => {
  const stateDir = await newStateDir()
  expect(await recallFolders(stateDir)).toEqual(new Map())
  await rememberFolders(stateDir, new Map([['a', MEMORY]]))
  await rememberFolders(stateDir, new Map([['b', { ...MEMORY, files: 5, bytes: 7, completeAtMs: 8 }]]))
  const second = { ...MEMORY, files: 5, bytes: 7, completeAtMs: 8 }
  expect(await recallFolders(stateDir)).toEqual(new Map<string, FolderMemory>([['a', MEMORY], ['b', second]]))
  await rememberFolders(stateDir, new Map([['a', undefined]]))
  expect([...(await recallFolders(stateDir)).keys()]).toEqual(['b'])
})

test.each([
  'null', '[]', '7', 'no JSON', '', '{"a":null}', '{"a":{"path":"/a","files":"4","root":{}}}',
  '{"a":{"path":"/a","files":4,"root":{"device":1,"inode":2,"birthtimeNs":3}}}',
  '{"a":{"files":4,"root":{"device":"1","inode":"2","birthtimeNs":"3"}}}',
])('reports %s as damage and does not overwrite it', async text => {
  const stateDir = await newStateDir()
  const path = join(stateDir, 'folders.json')
  await writeFile(path, text)
  const damaged = { code: 'STATE_INVALID', message: expect.stringContaining(`${path} is damaged`) as unknown }
  await expect(recallFolders(stateDir)).rejects.toMatchObject(damaged)
  await expect(rememberFolders(stateDir, new Map([['a', MEMORY]]))).rejects.toMatchObject(damaged)
  expect(await readFile(path, 'utf8')).toBe(text)
})

test('a record of mounts that is damaged is reported as such, and a valid one is read', async () => {
  const stateDir = await newStateDir()
  const path = join(stateDir, 'folders.json')
  const mount = { ...MEMORY.root, path: 'usb', files: 3 }
  for (const more of [{ mounts: 5 }, { mounts: [{ path: 'usb' }] }, { mounts: [null] }, { covered: [7] }, { isMountPoint: 'yes' }]) {
    await writeFile(path, JSON.stringify({ a: { ...MEMORY, ...more } }))
    await expect(recallFolders(stateDir), JSON.stringify(more)).rejects.toMatchObject({ code: 'STATE_INVALID' })
  }
  const whole = { ...MEMORY, mounts: [mount], covered: ['x'], isMountPoint: true }
  await writeFile(path, JSON.stringify({ a: whole }))
  expect((await recallFolders(stateDir)).get('a')).toEqual(whole)
})

test('folders that are pushed to different servers are not pushed in one session, unless the user chooses the server', () => {
  const memories = new Map<string, FolderMemory>([
    ['a', { ...MEMORY, serverId: 'A' as DeviceId }], ['b', { ...MEMORY, serverId: 'B' as DeviceId }], ['c', MEMORY],
  ])
  expect(commonServer(['a', 'c'], memories, undefined)).toBe('A')
  expect(commonServer(['c'], memories, undefined)).toBeUndefined()
  expect(() => commonServer(['a', 'b'], memories, undefined)).toThrow('different servers (a, b')
  expect(() => commonServer(['a', 'b'], memories, 'nas')).not.toThrow()
})
