import { join } from 'node:path'
import { expect, test } from 'vitest'
import { checkFolders, checkNewFolders, parseFolders } from '../src/folder.ts'
import { locatePath } from '../src/folders/locate-path.ts'

const PHOTOS = { name: 'photos', root: '/srv/photos' }
const DOCS = { name: 'docs', root: '/home/me/documents' }

test('a path may be absolute, relative to the working directory, or as in the archive', () => {
  const here = { name: 'here', root: process.cwd() }
  expect(locatePath([PHOTOS, DOCS], '/srv/photos/2019/x', {})).toBe('photos/2019/x')
  expect(locatePath([PHOTOS, DOCS], '/home/me/documents', {})).toBe('docs')
  expect(locatePath([PHOTOS, here], 'a/../b', {})).toBe('here/b')
  expect(locatePath([PHOTOS, here], '.', {})).toBe('here')
  expect(locatePath([PHOTOS, DOCS], 'docs/letters/', {})).toBe('docs/letters')
  expect(locatePath([PHOTOS, DOCS], '~/documents/a', { HOME: '/home/me' })).toBe('docs/a')
})

test('a path may be relative to the only folder, and never leads out of it', () => {
  expect(locatePath([PHOTOS], '2019/x', {})).toBe('photos/2019/x')
  for (const path of ['../x', '/srv/photos-2', '/srv', 'a/../../x', 'photos/../../x']) {
    expect(() => locatePath([PHOTOS], path, {}), path).toThrow('is not inside')
  }
  expect(() => locatePath([PHOTOS, DOCS], '2019/x', {})).toThrow('is not inside a folder that is pushed: photos (/srv/photos), docs')
})

test('a folder has the name of its directory, or the one given with it', () => {
  expect(parseFolders(['/srv/photos', 'docs=/home/me/documents', '/srv/a=b'])).toEqual([PHOTOS, DOCS, { name: 'a=b', root: '/srv/a=b' }])
})

test.each([
  [['/'], 'has no name'],
  [['..=/srv/x'], 'NAME_DOTS'],
  [['.filesync=/srv/x'], 'NAME_RESERVED'],
  [['/srv/a', '/home/a'], 'would both be the folder "a"'],
  [['/srv/A', '/home/a'], 'would both be the folder "a"'],
  [['/srv', '/srv/a'], 'is inside /srv'],
  [['/srv/a/b', '/srv'], 'is inside /srv'],
  [['x=/srv', 'y=/srv'], 'is inside /srv'],
  [Array.from({ length: 257 }, (_, i) => join('/srv', String(i))), '257 folders'],
])('refuses %j', (texts, why) => {
  expect(() => parseFolders(texts)).toThrow(expect.objectContaining({ code: 'USAGE', message: expect.stringContaining(why) as unknown }))
})

test('of remembered folders, one inside another is refused with the command that removes it', () => {
  const folders = parseFolders(['/srv/photos', '/home/x']).concat(parseFolders(['/srv/photos/2019']))
  expect(() => checkFolders(folders, true)).toThrow('run "filesync-client folders remove 2019"')
})

test.each([
  ['/srv/photos/2019', 'is inside'], ['/srv', 'contains'], ['pictures=/srv/photos', 'is the folder'],
  ['Photos=/srv/photos', 'letter case'], ['Photos=/home/x', 'letter case'],
])('%s is refused while the folder that it shares files with is pushed', (text, how) => {
  const remembered = parseFolders(['/srv/photos'])
  const refused = expect.objectContaining({ code: 'USAGE', message: expect.stringContaining(how) as unknown }) as Error
  expect(() => checkNewFolders(parseFolders([text]), remembered)).toThrow(refused)
  expect(() => checkNewFolders(parseFolders([text]), remembered)).toThrow('run "filesync-client folders remove photos" first')
})

test.each(['/srv/photos', '/home/photos', '/srv/photos2', '/srv/music'])('%s may be pushed beside a remembered folder', text => {
  expect(checkNewFolders(parseFolders([text]), parseFolders(['/srv/photos']))).toHaveLength(1)
})

test('a folder that was pushed before is not refused', () => {
  const remembered = [...parseFolders(['/srv/photos']), ...parseFolders(['/srv/photos/2019'])]
  expect(checkNewFolders(parseFolders(['/srv/photos']), remembered)).toHaveLength(1)
})
