import { posix, win32 } from 'node:path'
import { expect, test } from 'vitest'
import { isInside } from '../src/node/path-rules.ts'

test.each([
  ['C:\\arc', 'C:\\arc', true], ['C:\\arc\\client', 'C:\\arc', true], ['c:\\ARC\\Client', 'C:\\arc', true],
  ['C:\\archive', 'C:\\arc', false], ['D:\\arc\\client', 'C:\\arc', false], ['C:\\', 'C:\\arc', false],
  ['C:\\arc\\..data', 'C:\\arc', true],
])('on Windows %s is in %s: %s', (path, directory, isIn) => {
  expect(isInside(path, directory, win32)).toBe(isIn)
})

test.each([
  ['/arc', '/arc', true], ['/arc/client', '/arc', true], ['/ARC/client', '/arc', false], ['/archive', '/arc', false], ['/', '/arc', false],
  ['/arc/..data', '/arc', true],
])('elsewhere %s is in %s: %s', (path, directory, isIn) => {
  expect(isInside(path, directory, posix)).toBe(isIn)
})
