import type { ClientFilesInfo, Name, RelativePath } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import { expect, test } from 'vitest'
import { isComplete, scopeOf } from '../src/session/scope-of.ts'

const FOLDER = { name: 'a' as Name, complete: true, files: 1 }
const INFO: ClientFilesInfo = {
  type: 'CLIENT_FILES_INFO', rootDigest: hashBytes(new Uint8Array(0)), files: 1, directories: 1, bytes: 1,
  folders: [FOLDER, { ...FOLDER, name: 'b' as Name, complete: false }],
  away: ['a/usb' as RelativePath], removed: ['c' as Name], problems: [], problemCount: 0,
}

test('a sync covers the folders that the client names', () => {
  expect(scopeOf(INFO)).toEqual({
    folders: new Map([['a', FOLDER], ['b', { ...FOLDER, name: 'b', complete: false }]]), away: ['a/usb'], removed: new Set(['c']),
  })
  expect(isComplete(INFO)).toBe(false)
  expect(isComplete({ ...INFO, folders: [FOLDER] })).toBe(true)
})

test.each([
  ['a folder twice', { folders: [FOLDER, FOLDER] }],
  ['a folder that is listed and removed', { removed: ['a' as Name] }],
])('refuses %s', (_what, change) => {
  expect(() => scopeOf({ ...INFO, ...change })).toThrow(expect.objectContaining({ code: 'MESSAGE_INVALID' }))
})
