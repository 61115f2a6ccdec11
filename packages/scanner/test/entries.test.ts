import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, linkSync, lstatSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { toHex } from '@filesync/protocol'
import { describe, expect, onTestFinished, test } from 'vitest'
import { modeFromWindows } from '../src/node/local-directory.ts'
import { open, plainDigest, scanOnce, scratch, write } from './support/fixture.ts'
import { inMountNamespace, scanCommand } from './support/mount-namespace.ts'
import { entries, leftOut, paths, problems } from './support/tree-text.ts'

/** Mounts a directory at another path by a FUSE daemon. */
function bind (directory: string, mountPoint: string): boolean {
  return spawnSync('bindfs', [directory, mountPoint], { stdio: 'ignore' }).status === 0
}

/** Few machines have bindfs, and most containers may not mount. */
const canBind = ((): boolean => {
  const folder = mkdtempSync(join(tmpdir(), 'filesync-scan-'))
  const isBound = bind(folder, folder)
  if (isBound) spawnSync('umount', ['-l', folder])
  rmSync(folder, { recursive: true })
  return isBound
})()

describe('a scan', () => {
  test('lists the same as a plain recursion, with any number of threads', async () => {
    const root = scratch()
    for (let i = 0; i < 300; i++) write(root, { [`d${i % 7}/e${i % 13}/f${i}`]: 'x'.repeat(i) })
    mkdirSync(join(root, 'empty/deeper'), { recursive: true })
    symlinkSync('../d1', join(root, 'd0/link'))
    for (const workers of [1, 2, 4]) {
      const snapshot = await scanOnce(root, { workers })
      expect(toHex(snapshot.rootDigest)).toBe(plainDigest(root))
      expect(paths(snapshot)).toContain('empty/deeper')
      expect(snapshot).toMatchObject({ files: 300, bytes: 300 * 299 / 2, complete: true, problemCount: 0, ignoredCount: 0 })
      expect(snapshot.directories).toBe([...entries(snapshot).values()].filter(entry => entry.kind === 'directory').length)
    }
  })

  test('lists size, mtime to the nanosecond, mode and file id', async () => {
    const root = scratch()
    write(root, { file: 'four' })
    execFileSync('touch', ['-d', '2021-05-06 07:08:09.123456789 UTC', join(root, 'file')])
    chmodSync(join(root, 'file'), 0o4751)
    const before = entries(await scanOnce(root)).get('file')
    expect(before).toMatchObject({ kind: 'file', sizeBytes: 4, mtimeNs: 1_620_284_889_123_456_789n, mode: 0o751 })
    renameSync(join(root, 'file'), join(root, 'renamed'))
    const after = entries(await scanOnce(root)).get('renamed')
    expect(after).toEqual({ ...before, name: 'renamed' })
  })

  test('lists times before 1970, and clamps those that a listing cannot represent', async () => {
    const root = scratch()
    write(root, { old: '', far: '' })
    execFileSync('touch', ['-d', '1969-12-31 23:59:58.5 UTC', join(root, 'old')])
    execFileSync('touch', ['-d', '@20000000000', join(root, 'far')])
    const found = entries(await scanOnce(root))
    expect(found.get('old')).toMatchObject({ mtimeNs: -1_500_000_000n })
    const stored = lstatSync(join(root, 'far'), { bigint: true }).mtimeNs
    expect(found.get('far')).toMatchObject({ mtimeNs: stored > 2n ** 63n - 1n ? 2n ** 63n - 1n : stored })
  })

  test('gives a new file another file id if it reuses an inode number', async () => {
    const root = scratch()
    const scanner = await open(root, { workers: 1 })
    const seen = new Set<bigint>()
    for (let i = 0; i < 20; i++) {
      write(root, { file: 'same', stays: '' })
      const entry = entries(await scanner.scan({ signal: AbortSignal.timeout(20_000) })).get('file')
      if (entry?.kind === 'file') seen.add(entry.fileId)
      rmSync(join(root, 'file'))
    }
    expect(seen.size).toBe(20)
  })

  test('lists hard links as separate files with the same file id', async () => {
    const root = scratch()
    write(root, { one: 'data' })
    linkSync(join(root, 'one'), join(root, 'two'))
    const found = entries(await scanOnce(root))
    expect(found.get('two')).toEqual({ ...found.get('one'), name: 'two' })
  })

  test.skipIf(!canBind)('lists no file id on a file system whose inode numbers are not stable', async () => {
    const root = scratch()
    const elsewhere = scratch()
    write(root, { here: 'data' })
    mkdirSync(join(root, 'mounted'))
    write(elsewhere, { file: 'data' })
    expect(bind(elsewhere, join(root, 'mounted'))).toBe(true)
    onTestFinished(() => { spawnSync('umount', ['-l', join(root, 'mounted')]) })
    const found = entries(await scanOnce(root))
    expect(found.get('mounted/file')).toMatchObject({ kind: 'file', sizeBytes: 4, fileId: 0n })
    expect(found.get('here')).not.toMatchObject({ fileId: 0n })
  })

  test('sorts names by their UTF-8 bytes', async () => {
    const root = scratch()
    const names = ['z', 'ä', '\uffe1', '\u{1f600}', 'a', 'A', '\ue000']
    write(root, Object.fromEntries(names.map(name => [name, ''])))
    expect(paths(await scanOnce(root))).toEqual(names.sort((left, right) => Buffer.compare(Buffer.from(left), Buffer.from(right))))
  })
})

describe('symbolic links', () => {
  test('are listed with their target if they stay inside, dangling or not, and are never followed', async () => {
    const root = scratch()
    write(root, { 'a/file': 'x' })
    const inside = { 'to-file': 'a/file', 'to-directory': 'a', dangling: 'nowhere', 'a/up': '../a/./file', loop: 'loop' }
    for (const [name, target] of Object.entries(inside)) symlinkSync(target, join(root, name))
    const found = entries(await scanOnce(root))
    for (const [name, target] of Object.entries(inside)) expect(found.get(name)).toMatchObject({ kind: 'symlink', target })
    expect([...found.keys()].filter(path => path.startsWith('to-directory/'))).toEqual([])
  })

  test('are listed as they are if they lead out, and left out if such links are refused, which is no problem', async () => {
    const root = scratch()
    mkdirSync(join(root, 'a'))
    symlinkSync('/etc/passwd', join(root, 'absolute'))
    symlinkSync(join(root, 'a'), join(root, 'absolute-inside'))
    symlinkSync('../../etc', join(root, 'a/up'))
    symlinkSync('b/../../x', join(root, 'through'))
    const out = ['a/up', 'absolute', 'absolute-inside', 'through']
    const kept = await scanOnce(root)
    expect(paths(kept).sort()).toEqual(['a', ...out])
    expect(entries(kept).get('a/up')).toMatchObject({ kind: 'symlink', target: '../../etc' })
    expect(kept).toMatchObject({ complete: true, problemCount: 0, leftOut: { first: [], count: 0 } })
    const refused = await scanOnce(root, { links: 'refuse' })
    expect(paths(refused)).toEqual(['a'])
    expect(leftOut(refused).sort()).toEqual(out.map(path => `${path} SYMLINK_OUTSIDE`))
    expect(refused).toMatchObject({ complete: true, problems: [], problemCount: 0, leftOut: { count: 4 } })
  })
})

describe('a scan reports as problems', () => {
  test('names that are not UTF-8, with their bytes, and U+FFFD itself', async () => {
    const root = scratch()
    writeFileSync(Buffer.concat([Buffer.from(`${root}/caf`), Buffer.of(0xe9)]), '')
    write(root, { 'lost-\ufffd': '', fine: '' })
    const snapshot = await scanOnce(root)
    expect(problems(snapshot)).toEqual(['caf\ufffd NAME_NOT_UNICODE', 'lost-\ufffd NAME_NOT_UNICODE'])
    expect(snapshot.problems[0]?.message).toContain('"caf\\xe9"')
    expect(snapshot.problems[1]?.message).toContain('U+FFFD')
    expect(paths(snapshot)).toEqual(['fine'])
  })

  test('control characters, reserved names, and paths that are too long or too deep', async () => {
    const root = scratch()
    write(root, { 'line\nbreak': '', '.FileSync/x': '' })
    const deep = Array.from({ length: 64 }, (_, at) => `d${at}`).join('/')
    write(root, { [`${deep}/file`]: '' })
    const long = Array.from({ length: 4 }, () => 'n'.repeat(250)).join('/')
    write(root, { [`${long}/${'m'.repeat(30)}`]: '', [`${long}/short`]: '' })
    const snapshot = await scanOnce(root)
    expect(problems(snapshot).sort()).toEqual([
      '.FileSync NAME_RESERVED', `${deep}/file PATH_TOO_DEEP`, 'line\nbreak NAME_CONTROL', `${long}/${'m'.repeat(30)} PATH_TOO_LONG`,
    ].sort())
    expect(paths(snapshot)).toContain(`${long}/short`)
  })

})

describe('a scan leaves out, without calling it a problem,', () => {
  test('pipes, sockets and devices, without opening them', async context => {
    const root = scratch()
    execFileSync('sh', ['-c', 'mkfifo "$@"', 'sh', join(root, 'pipe'), join(root, '.filesyncignore')])
    const server = createServer()
    await new Promise<void>(resolve => { server.listen(join(root, 'socket'), resolve) })
    onTestFinished(() => { server.close() })
    const mknod = spawnSync('mknod', [join(root, 'device'), 'c', '1', '3'])
    const expected = ['.filesyncignore', 'pipe', 'socket', ...mknod.status === 0 ? ['device'] : []]
    const snapshot = await scanOnce(root)
    expect(leftOut(snapshot).sort()).toEqual(expected.map(path => `${path} SPECIAL_FILE`).sort())
    expect(snapshot).toMatchObject({ problems: [], problemCount: 0, leftOut: { count: expected.length }, complete: true })
    if (mknod.status !== 0) context.skip('devices were not tried: mknod is not permitted here')
  })
})

describe('mounts', () => {
  test('a mount point is walked, and a bind mount of a directory below itself is a loop', context => {
    const root = scratch()
    write(root, { 'a/b/file': 'x' })
    mkdirSync(join(root, 'a/b/again'))
    mkdirSync(join(root, 'other'))
    const out = inMountNamespace(`
      mount --bind ${root}/a ${root}/a/b/again
      mount -t tmpfs none ${root}/other
      echo inside > ${root}/other/inside; touch -d 2020-01-01 ${root}/other/inside
      ${scanCommand({ root })}`)
    if (out === undefined) return context.skip('mounting is not permitted here')
    expect(JSON.parse(out)).toEqual({
      paths: ['a', 'a/b', 'a/b/file', 'other', 'other/inside'], problems: [],
      leftOut: ['a/b/again DIRECTORY_LOOP'], complete: true,
    })
  })
})

describe('without read permission', () => {
  test('an unreadable directory or entry is a problem that makes the snapshot incomplete; the directory stays listed', context => {
    const root = mkdtempSync('/tmp/filesync-denied-')
    onTestFinished(() => { rmSync(root, { recursive: true, force: true }) })
    write(root, { 'closed/secret': 'x', 'names-only/file': 'x', 'open/file': 'x' })
    for (const directory of ['', 'open']) chmodSync(join(root, directory), 0o755)
    chmodSync(join(root, 'closed'), 0o000)
    chmodSync(join(root, 'names-only'), 0o444)
    const asNobody = process.getuid?.() === 0 ? ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'] : ['env']
    const run = spawnSync(asNobody[0] ?? '', [...asNobody.slice(1), 'sh', '-c', scanCommand({ root })], { encoding: 'utf8' })
    if (/setpriv/u.test(run.stderr)) return context.skip('this process may not give up its rights')
    expect(run.stderr).toBe('')
    expect(JSON.parse(run.stdout)).toEqual({
      paths: ['closed', 'names-only', 'open', 'open/file'],
      problems: ['closed UNREADABLE', 'names-only/file UNREADABLE'],
      leftOut: [],
      complete: false,
    })
  })
})

test.each([
  ['a file', 0o100666, 0o100644], ['a read-only file', 0o100444, 0o100444],
  ['a directory', 0o040666, 0o040755], ['a read-only directory', 0o040444, 0o040755],
])('%s on Windows gets a mode that lets only its owner write', (_, fromSystem, listed) => {
  expect(modeFromWindows(fromSystem)).toBe(listed)
})
