import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { execFileSync } from 'node:child_process'
import fc from 'fast-check'
import type { RelativePath } from '@filesync/protocol'
import { describe, expect, test } from 'vitest'
import { BUILT_IN_RULES, mayMatchBuiltIn } from '../src/built-in-rules.ts'
import { BUILT_IN_SOURCE, IgnoreRules } from '../src/ignore-rules.ts'
import { open, scanOnce, scratch, write } from './support/fixture.ts'
import { entries, paths } from './support/tree-text.ts'

const signal = AbortSignal.timeout(30_000)

/** The files that git does not ignore with the same rules; git is the reference for gitignore(5). */
function keptByGit (root: string): string[] {
  const git = (...args: string[]): string => execFileSync('git', ['-C', root, ...args], { encoding: 'utf8' })
  git('init', '-q')
  const kept = git('-c', 'core.quotePath=false', 'ls-files', '-o', '-z', '--exclude-per-directory=.filesyncignore')
  rmSync(join(root, '.git'), { recursive: true })
  return kept.split('\0').filter(path => path !== '').sort()
}

async function keptByScan (root: string): Promise<string[]> {
  const snapshot = await scanOnce(root, { workers: 1, ignore: { builtIn: false } })
  return [...entries(snapshot)].filter(([, entry]) => entry.kind !== 'directory').map(([path]) => path).sort()
}

describe('.filesyncignore', () => {
  test('ignores the same files as git with the same rules', async () => {
    const root = scratch()
    write(root, {
      '.filesyncignore':
        '# comment\n\n*.log\n!keep.log\n/anchored\nsub/only\nbuild/\ntrail\\ \n\\#hash\n\\!bang\n**/deep/x\na/**/z\n[ab].c\n',
      'sub/.filesyncignore': '!*.log\n/local\n*.tmp\r\nnested/*\n!nested/keep\n\\!odd\n',
      'sub [1]/.filesyncignore': 'x\n/y/z\n',
      'x.log': '', 'keep.log': '', anchored: '', 'sub/anchored': '', 'sub/only': '', 'sub/x.log': '',
      'sub/local': '', 'sub/more/local': '',
      'sub/a.tmp': '', 'sub/nested/a': '', 'sub/nested/keep': '', 'sub/!odd': '', 'build/file': '', 'sub/build/file': '',
      'trail ': '', '#hash': '', '!bang': '',
      'p/deep/x': '', 'a/z': '', 'a/b/c/z': '', 'a.c': '', 'c.c': '', 'sub [1]/x': '', 'sub [1]/q/x': '', 'sub [1]/y/z': '',
      'sub 1/x': '', 'X.LOG': '',
    })
    const kept = await keptByScan(root)
    expect(kept).toEqual(keptByGit(root))
    expect(kept).toContain('keep.log')
    expect(kept).not.toContain('x.log')
  })

  test('ignores the same files as git with random rules', async () => {
    const names = ['a', 'b', 'a.x', 'b.x']
    const name = fc.constantFrom(...names)
    const rule = fc.tuple(
      fc.constantFrom('', '', '!'), fc.constantFrom('', '', '/'),
      fc.array(fc.constantFrom('a', 'b', '*', '*.x', 'a*', '?', '**', '[ab]'), { minLength: 1, maxLength: 3 }),
      fc.constantFrom('', '', '/'),
    ).map(([not, start, parts, end]) => not + start + parts.join('/') + end)
    const text = fc.array(rule, { maxLength: 5 }).map(rules => rules.join('\n'))
    const path = fc.array(name, { minLength: 1, maxLength: 3 }).map(parts => parts.join('/'))
    await fc.assert(fc.asyncProperty(fc.uniqueArray(path, { minLength: 4, maxLength: 12 }), text, text, async (files, top, below) => {
      const root = scratch()
      const whole = files.filter(file => !files.some(other => other.startsWith(`${file}/`)))
      write(root, { ...Object.fromEntries(whole.map(file => [`${file}`, ''])), '.filesyncignore': top })
      mkdirSync(join(root, 'n'))
      write(root, { 'n/.filesyncignore': below, ...Object.fromEntries(whole.map(file => [`n/${file}`, ''])) })
      expect(await keptByScan(root)).toEqual(keptByGit(root))
    }), { numRuns: 10 })
  }, 30_000)

  test('is applied at the next scan after it changed, also by a running scanner', async () => {
    const root = scratch()
    write(root, { 'a/one.log': '', 'a/two.txt': '' })
    const scanner = await open(root)
    expect((await scanner.scan({ signal })).files).toBe(2)
    write(root, { '.filesyncignore': '*.log\n' })
    expect(paths(await scanner.scan({ signal }))).toEqual(['.filesyncignore', 'a', 'a/two.txt'])
    rmSync(join(root, '.filesyncignore'))
    expect((await scanner.scan({ signal })).files).toBe(2)
  })

  test('is not followed if it is a link, and makes its directory a problem if it is too large', async () => {
    const root = scratch()
    write(root, { rules: '*\n', 'a/x': '', 'b/x': '' })
    symlinkSync('rules', join(root, '.filesyncignore'))
    writeFileSync(join(root, 'b/.filesyncignore'), Buffer.alloc((1 << 20) + 1, 'x\n'))
    const snapshot = await scanOnce(root)
    expect(paths(snapshot)).toEqual(['.filesyncignore', 'a', 'a/x', 'b', 'rules'])
    expect(snapshot.complete).toBe(false)
    const message = expect.stringContaining('larger than 1048576 bytes') as string
    expect(snapshot.problems[0]).toMatchObject({ path: 'b', code: 'UNREADABLE', message })
  })
})

describe('explain', () => {
  test('returns the rule with its file and line, also for paths below an ignored directory', async () => {
    const root = scratch()
    const extra = join(scratch(), 'extra')
    write(root, {
      '.filesyncignore': '# first\n*.log\n', 'sub/.filesyncignore': '\ncache/\n',
      'x.log': '', 'sub/cache/deep/file': '', 'by-extra': '', '~$doc.docx': '', 'kept': '',
    })
    writeFileSync(extra, 'by-extra\n')
    const scanner = await open(root, { ignore: { file: extra } })
    expect(scanner.explain('kept' as RelativePath)).toEqual({ state: 'absent' })
    await scanner.scan({ signal })
    const explain = (path: string): unknown => scanner.explain(path as RelativePath)
    expect(explain('x.log')).toEqual({ state: 'ignored', rule: { source: '.filesyncignore', line: 2, pattern: '*.log' } })
    expect(explain('sub/cache')).toEqual({ state: 'ignored', rule: { source: 'sub/.filesyncignore', line: 2, pattern: 'cache/' } })
    expect(explain('sub/cache/deep/file')).toEqual(explain('sub/cache'))
    expect(explain('by-extra')).toEqual({ state: 'ignored', rule: { source: extra, line: 1, pattern: 'by-extra' } })
    expect(explain('~$doc.docx')).toMatchObject({ state: 'ignored', rule: { source: 'built-in', pattern: '~$*' } })
    expect(explain('kept')).toMatchObject({ state: 'listed', entry: { name: 'kept' } })
    expect(explain('sub')).toMatchObject({ state: 'listed', entry: { kind: 'directory' } })
    expect(explain('nothing/here')).toEqual({ state: 'absent' })
  })

  test('returns the problem, and why an entry is left out', async () => {
    const root = scratch()
    write(root, { '.filesync/x': '', 'sub/file': '' })
    symlinkSync('/etc', join(root, 'sub/out'))
    symlinkSync('/etc', join(root, 'out'))
    const scanner = await open(root, { links: 'refuse' })
    await scanner.scan({ signal })
    const explain = (path: string): unknown => scanner.explain(path as RelativePath)
    for (const path of ['.filesync', '.filesync/x']) {
      expect(explain(path)).toMatchObject({ state: 'problem', problem: { code: 'NAME_RESERVED' } })
    }
    for (const path of ['out', 'out/passwd']) {
      expect(explain(path)).toMatchObject({ state: 'left-out', leftOut: { code: 'SYMLINK_OUTSIDE' } })
    }
    const leftOut = { first: [{ path: 'sub/out', code: 'SYMLINK_OUTSIDE', message: expect.stringContaining('/etc') as string }], count: 1 }
    expect(explain('sub')).toMatchObject({ state: 'listed', leftOut })
    expect(explain('sub')).not.toHaveProperty('below')
    expect(explain('sub/file')).not.toHaveProperty('leftOut')
  })
})

describe('the built-in rules', () => {
  const examples = ['.file.swp', '.file.swo', '4913', '.#lock', '#save#', '~$Report.docx', '.~lock.x.odt#', '.goutputstream-ABC',
    'x.crdownload',
    '.nfs00000001', '.fuse_hidden0001', '.DS_Store', 'Thumbs.db', 'ehthumbs.db', '.Trash-1000', '.Trashes', '.Spotlight-V100', '.fseventsd',
    '.TemporaryItems', 'System Volume Information', '$RECYCLE.BIN', 'lost+found']

  test('each have an example that passes the fast filter', () => {
    const rules = new IgnoreRules([{ source: BUILT_IN_SOURCE, directory: '' as RelativePath, text: BUILT_IN_RULES }])
    const matched = new Set(examples.map(name => rules.explain(name, true)?.line))
    expect(matched.size).toBe(BUILT_IN_RULES.trimEnd().split('\n').length)
    expect(examples.filter(name => !mayMatchBuiltIn(name))).toEqual([])
    const kept = ['notes.txt~', 'old.bak', '.profile', 'Thumbs', 'lost+found.txt']
    expect(kept.filter(name => rules.ignores(name, name, false))).toEqual([])
  })

  test('can be overridden and switched off', async () => {
    const root = scratch()
    write(root, { '.DS_Store': '', 'x.crdownload': '', '.filesyncignore': '!*.crdownload\n' })
    expect(paths(await scanOnce(root))).toEqual(['.filesyncignore', 'x.crdownload'])
    const off = await scanOnce(root, { ignore: { builtIn: false } })
    expect(paths(off)).toEqual(['.DS_Store', '.filesyncignore', 'x.crdownload'])
    expect(off.ignoredCount).toBe(0)
  })

  test('an extra file that cannot be read is a usage error', async () => {
    const scanner = await open(scratch(), { ignore: { file: '/nowhere/rules' } })
    const message = expect.stringContaining('/nowhere/rules') as string
    await expect(scanner.scan({ signal })).rejects.toMatchObject({ code: 'USAGE', message })
  })
})
