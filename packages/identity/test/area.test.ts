import { checkName, checkWindowsName, foldKey } from '@filesync/protocol'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { sanitizeName } from '../src/index.ts'
import { chooseArea } from '../src/area.ts'

test.each([
  ['laptop', 'laptop'],
  ['Anna’s Büro-PC', 'Anna’s Büro-PC'],
  ['../x', 'x'],
  ['..', 'client'],
  ['', 'client'],
  ['   ', 'client'],
  ['/etc/passwd', 'etc-passwd'],
  ['a/../../victim', 'a-..-..-victim'],
  ['C:\\Windows', 'C-Windows'],
  ['CON', 'client-CON'],
  ['nul.tar.gz', 'client-nul.tar.gz'],
  ['.filesync', 'filesync'],
  ['.hidden', 'hidden'],
  ['-rf', 'rf'],
  ['x.', 'x'],
  ['PROGRA~1', 'PROGRA-1'],
  ['a\u0000b\u001b]0;x\u0007', 'a-b-]0;x'],
  ['a\u202etxt.exe', 'a-txt.exe'],
  ['\ud800', 'client'],
  ['\u3042'.repeat(300), '\u3042'.repeat(21)],
  ['n'.repeat(300), 'n'.repeat(64)],
])('a client that wishes to be %j becomes %j', (wish, area) => {
  expect(chooseArea(wish, [])).toBe(area)
})

test('no two clients share an area on a file system that folds case', () => {
  expect(chooseArea('Laptop', ['laptop'])).toBe('Laptop-2')
  expect(chooseArea('laptop', ['LAPTOP', 'laptop-2'])).toBe('laptop-3')
  expect(chooseArea('STRASSE', ['straße'])).toBe('STRASSE-2')
  expect(chooseArea('caf\u00e9', ['cafe\u0301'])).toBe('caf\u00e9-2')
})

test('the folders of the server itself are nobody’s', () => {
  expect(chooseArea('legacy', [])).toBe('legacy-2')
  expect(chooseArea('.FileSync', [])).toBe('FileSync')
})

test('any wish at all becomes a name that every file system can store', () => {
  const wish = fc.string({ unit: 'binary', maxLength: 120 })
  fc.assert(fc.property(wish, fc.array(wish, { maxLength: 3 }), (text, others) => {
    const taken = others.map(sanitizeName)
    const area = chooseArea(text, taken)
    expect(checkName(area)).toBeUndefined()
    expect(checkWindowsName(area)).toBeUndefined()
    expect(taken.map(foldKey)).not.toContain(foldKey(area))
    expect(sanitizeName(area)).toBe(area)
  }), { numRuns: 200 })
})
