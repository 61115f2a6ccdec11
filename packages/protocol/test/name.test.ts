import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { checkName, checkWindowsName, compareNames, foldKey, isName, LIMITS, utf8Length } from '../src/index.ts'
import type { Name } from '../src/index.ts'
import { anyName } from './support/arbitrary.ts'

describe('checkName', () => {
  it.each([
    ['', 'NAME_EMPTY'], ['.', 'NAME_DOTS'], ['..', 'NAME_DOTS'], ['/', 'NAME_SEPARATOR'], ['a/b', 'NAME_SEPARATOR'],
    ['../x', 'NAME_SEPARATOR'],
    ['a\0b', 'NAME_CONTROL'], ['a\nb', 'NAME_CONTROL'], ['\u001b]0;x\u0007', 'NAME_CONTROL'], ['a\u007f', 'NAME_CONTROL'],
    ['a\u0085', 'NAME_CONTROL'],
    ['a\u202etxt.exe', 'NAME_CONTROL'], ['\u2066a', 'NAME_CONTROL'], ['a\u200f', 'NAME_CONTROL'], ['a\u061c', 'NAME_CONTROL'],
    ['\ud800', 'NAME_NOT_UNICODE'], ['a\udc00b', 'NAME_NOT_UNICODE'], ['a\ufffd', 'NAME_NOT_UNICODE'],
    ['x'.repeat(256), 'NAME_TOO_LONG'], ['é'.repeat(128), 'NAME_TOO_LONG'], ['𐀀'.repeat(64), 'NAME_TOO_LONG'],
    ['.filesync', 'NAME_RESERVED'], ['.FileSync', 'NAME_RESERVED'], ['.ﬁlesync', 'NAME_RESERVED'], ['.FILEſYNC', 'NAME_RESERVED'],
    ['.fılesync', 'NAME_RESERVED'],
    ['.file\u200csync', 'NAME_RESERVED'], ['.file\u00adsync', 'NAME_RESERVED'], ['\ufeff.filesync', 'NAME_RESERVED'],
    [42, 'NAME_NOT_TEXT'], [null, 'NAME_NOT_TEXT'], [undefined, 'NAME_NOT_TEXT'], [['a'], 'NAME_NOT_TEXT'],
    [new Uint8Array(3), 'NAME_NOT_TEXT'],
    [{ toString: () => 'a' }, 'NAME_NOT_TEXT'], [Object('a'), 'NAME_NOT_TEXT'],
  ])('refuses case %#', (name, fault) => {
    expect(checkName(name)).toBe(fault)
    expect(isName(name)).toBe(false)
  })

  it.each([
    '..a', 'a..', '...', '-rf', '$(id)', '%2e%2e', '__proto__', 'constructor', '.git', 'a\\b', 'CON', 'x.', 'x ', ' ', 'f:stream',
    'PROGRA~1',
    'x'.repeat(255), 'é'.repeat(127), '𐀀'.repeat(63), '.filesync2', 'filesync', '.filesyn', '日本語', 'a\u0301', '👩‍👩‍👧', 'a\u200db',
  ])('accepts case %#', name => { expect(checkName(name)).toBeUndefined() })

  it('rejects a hundred megabytes by their length alone', () => {
    expect(checkName('é'.repeat(50_000_000))).toBe('NAME_TOO_LONG')
  })

  it('rejects every spelling that folds to the reserved name', () => {
    const spellings = fc.tuple(...[...'.filesync'].map(letter => fc.constantFrom(
      letter, letter.toUpperCase(), letter === 's' ? 'ſ' : letter
    )))
    fc.assert(fc.property(spellings, letters => { expect(checkName(letters.join(''))).toBe('NAME_RESERVED') }))
  })
})

describe('checkWindowsName', () => {
  it.each([
    'a\\b', '..\\..\\x', 'C:', 'C:x', '\\\\srv', '\\\\?\\C:', 'CON', 'con', 'nul.tar.gz', 'COM¹.log', 'COM1', 'LPT9.txt', 'aux .txt',
    'CONIN$', 'conout$', 'PRN',
    'x.', 'x ', 'f:stream', 'f::$DATA', 'PROGRA~1', 'a*', 'a?', 'a"', 'a<', 'a>', 'a|',
  ])('refuses %j', name => { expect(checkWindowsName(name as Name)).toBe('NAME_WINDOWS') })

  it.each([
    'console', 'CONTENT.txt', 'com', 'com10', 'nullable', 'aux-1', 'a.b', '.hidden', 'a~b', 'auxiliary.txt', 'x .y',
  ])('accepts %j', name => {
    expect(checkWindowsName(name as Name)).toBeUndefined()
  })
})

describe('foldKey', () => {
  it.each([
    ['A', 'a'], ['straße', 'STRASSE'], ['ß', 'ss'], ['ẞ', 'ss'], ['ẞ', 'ß'], ['ﬁle', 'file'], ['\u212a', 'k'], ['\u212a', 'K'], ['ı', 'i'],
    ['ı', 'I'],
    ['é', 'e\u0301'], ['É', 'e\u0301'], ['Å', '\u212b'], ['ς', 'σ'], ['ΑΣ', 'ας'], ['ΑΣ', 'ασ'], ['ſ', 's'], ['ǆ', 'ǅ'], ['ŉ', 'ʼn'],
    ['file.TXT', 'FILE.txt'],
    ['\u1e9b\u0323', '\u1e9b\u0323'.normalize('NFD')],
  ])('joins %j and %j', (left, right) => { expect(foldKey(left)).toBe(foldKey(right)) })

  it.each([['a', 'b'], ['a', 'á'], ['o', '0'], ['file', 'fi le'], ['ö', 'o']])('keeps %j and %j apart', (left, right) => {
    expect(foldKey(left)).not.toBe(foldKey(right))
  })

  it('is the same for every normalization and case of a name', () => {
    fc.assert(fc.property(anyName, name => {
      const key = foldKey(name)
      for (const spelling of [name.normalize('NFC'), name.normalize('NFD'), name.toUpperCase(), name.toLowerCase()]) {
        expect(foldKey(spelling)).toBe(key)
      }
    }))
  })

  it('has the same result with and without its shortcut for plain names', () => {
    fc.assert(fc.property(
      fc.string(), name => { expect(foldKey(name)).toBe(name.normalize('NFD').toLowerCase().toUpperCase().normalize('NFC')) }
    ))
  })
})

describe('compareNames', () => {
  it('is the order of UTF-8 bytes', () => {
    const anyText = fc.string({
      unit: fc.oneof(
        fc.constantFrom('a', 'b', '\uffee', '\ue000', '\ud7ff', '𐀀', '😀', '/'), fc.string({ unit: 'grapheme', minLength: 1, maxLength: 1 })
      ),
      maxLength: 6,
    })
    fc.assert(fc.property(anyText, anyText, (left, right) => {
      expect(Math.sign(compareNames(left, right))).toBe(Math.sign(Buffer.compare(Buffer.from(left), Buffer.from(right))))
    }), { numRuns: 1000 })
  })
})

describe('utf8Length', () => {
  it('is the number of bytes', () => {
    fc.assert(fc.property(
      fc.array(fc.constantFrom('a', '.', '/', '\0', 'é', '\ud7ff', '\ud800', '\udc00', '\uffff', '😀')).map(units => units.join('')),
      text => { expect(utf8Length(text)).toBe(Buffer.byteLength(text)) }
    ))
    expect(utf8Length('x'.repeat(LIMITS.nameBytes))).toBe(LIMITS.nameBytes)
  })
})
