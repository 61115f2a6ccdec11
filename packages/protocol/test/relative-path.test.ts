import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { checkJoin, checkRelativePath, isRelativePath, joinPath, LIMITS, pathDepth, pathNames, ROOT_PATH, splitPath } from '../src/index.ts'
import type { Name, RelativePath } from '../src/index.ts'
import { anyName } from './support/arbitrary.ts'

const path = (text: string): RelativePath => {
  if (!isRelativePath(text)) throw new Error(`${text} is no path`)
  return text
}

describe('checkRelativePath', () => {
  it.each([
    ['', 'NAME_EMPTY'], ['/etc/passwd', 'NAME_EMPTY'], ['..', 'NAME_DOTS'], ['../x', 'NAME_DOTS'], ['a/../../x', 'NAME_DOTS'],
    ['a/..', 'NAME_DOTS'],
    ['./a', 'NAME_DOTS'], ['a/.', 'NAME_DOTS'], ['a//b', 'NAME_EMPTY'], ['a/', 'NAME_EMPTY'], ['/', 'NAME_EMPTY'],
    ['//srv/share', 'NAME_EMPTY'],
    ['a/b\0', 'NAME_CONTROL'], ['.filesync/staging/x', 'NAME_RESERVED'], ['a/.FileSync', 'NAME_RESERVED'],
    ['a/.ﬁlesync/b', 'NAME_RESERVED'],
    [new Array(9).fill('x'.repeat(113)).join('/'), 'PATH_TOO_LONG'],
    [new Array(5).fill('x'.repeat(204)).join('/'), undefined],
    ['x/'.repeat(512) + 'y', 'PATH_TOO_LONG'],
    ['é/'.repeat(400), 'PATH_TOO_LONG'],
    [new Array(64).fill('a').join('/'), undefined], [new Array(65).fill('a').join('/'), 'PATH_TOO_DEEP'],
    [42, 'NAME_NOT_TEXT'], [null, 'NAME_NOT_TEXT'], [['a'], 'NAME_NOT_TEXT'], [Buffer.from('a'), 'NAME_NOT_TEXT'],
    [{ toString: () => 'a' }, 'NAME_NOT_TEXT'],
    ['%2e%2e/x', undefined], ['__proto__/x', undefined], ['.git/config', undefined], ['a\\b', undefined], ['constructor', undefined],
  ])('judges case %#', (given, fault) => { expect(checkRelativePath(given)).toBe(fault) })

  it('counts bytes, not characters', () => {
    const long = (letter: string): string => [
      letter.repeat(100), letter.repeat(100), letter.repeat(100), letter.repeat(100), letter.repeat(100), letter.repeat(100),
    ].join('/')
    expect(checkRelativePath(long('x'))).toBeUndefined()
    expect(checkRelativePath(long('é'))).toBe('PATH_TOO_LONG')
  })

  it('rejects a hundred megabytes of slashes at once', () => { expect(checkRelativePath('/'.repeat(100_000_000))).toBe('PATH_TOO_LONG') })
})

describe('paths', () => {
  it('split and join to the same path', () => {
    fc.assert(fc.property(fc.array(anyName, { minLength: 1, maxLength: 8 }), names => {
      let joined = ROOT_PATH
      for (const name of names) {
        if (checkJoin(joined, name) !== undefined) return
        joined = joinPath(joined, name)
      }
      expect(checkRelativePath(joined)).toBeUndefined()
      expect(pathNames(joined)).toEqual(names)
      expect(pathDepth(joined)).toBe(names.length)
      const { directory, name } = splitPath(joined)
      expect(joinPath(directory, name)).toBe(joined)
      // A path that was accepted is in its only form: nothing is left to clean.
      expect(pathNames(joined).join('/')).toBe(joined)
    }))
  })

  it('know the root', () => {
    expect(pathNames(ROOT_PATH)).toEqual([])
    expect(pathDepth(ROOT_PATH)).toBe(0)
    expect(splitPath(path('a'))).toEqual({ directory: ROOT_PATH, name: 'a' })
    expect(isRelativePath(ROOT_PATH)).toBe(false)
  })
})

describe('checkJoin', () => {
  it('agrees with the validation of the whole path', () => {
    const letter = fc.constantFrom('a', 'é', '😀')
    const longName = fc.tuple(letter, fc.integer({ min: 1, max: 63 })).map(([unit, times]) => unit.repeat(times) as Name)
    fc.assert(fc.property(fc.array(longName, { minLength: 1, maxLength: 70 }), longName, (names, last) => {
      const directory = names.join('/')
      fc.pre(isRelativePath(directory))
      expect(checkJoin(directory, last)).toBe(checkRelativePath(joinPath(directory, last)))
    }))
  })

  it('is exact at the limits', () => {
    const deep = path(new Array(LIMITS.pathDepth - 1).fill('a').join('/'))
    expect(checkJoin(deep, 'b' as Name)).toBeUndefined()
    expect(checkJoin(joinPath(deep, 'b' as Name), 'c' as Name)).toBe('PATH_TOO_DEEP')
    const long = path([...new Array<string>(4).fill('x'.repeat(200)), 'y'.repeat(215)].join('/'))
    expect(long.length).toBe(1019)
    expect(checkJoin(long, 'abcd' as Name)).toBeUndefined()
    expect(checkJoin(long, 'abcde' as Name)).toBe('PATH_TOO_LONG')
  })
})
