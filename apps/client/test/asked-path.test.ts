import { expect, test } from 'vitest'
import { askedPath } from '../src/restore/asked-path.ts'

const FOLDERS = [{ name: 'photos', root: '/home/me/photos' }, { name: 'work', root: '/srv/work' }]
const ENV = { HOME: '/home/me' }

test.each([
  ['/', ''],
  ['photos', 'photos'],
  ['photos/2019/', 'photos/2019'],
  ['gone/since/long', 'gone/since/long'],
  ['/home/me/photos', 'photos'],
  ['/home/me/photos/2019/a.jpg', 'photos/2019/a.jpg'],
  ['~/photos/2019', 'photos/2019'],
  ['/srv/work/x', 'work/x'],
])('%j is %j in the archive', (text, path) => { expect(askedPath(text, FOLDERS, ENV)).toBe(path) })

test('a path relative to the working directory begins with a dot', () => {
  expect(askedPath('./x', [{ name: 'here', root: process.cwd() }], ENV)).toBe('here/x')
  expect(askedPath('.', [{ name: 'here', root: process.cwd() }], ENV)).toBe('here')
})

test.each(['../etc', '/etc/passwd', '/home/me', 'a/../b', 'a//b', '.filesync/x', 'photos/.filesync'])('%j is refused', text => {
  expect(() => askedPath(text, FOLDERS, ENV)).toThrow(/not a path in the archive|not inside a folder/u)
})
